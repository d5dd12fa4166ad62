"""What several reference functions need."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating]
Pair = int | tuple[int, int]
Padding = Pair | str


def pair(value: Pair) -> tuple[int, int]:
    """Return ``(value, value)`` for a number, the pair itself for a pair."""
    if isinstance(value, int | np.integer):
        return int(value), int(value)
    first, second = value
    return int(first), int(second)


def f64(x: ArrayLike) -> NDArray[np.float64]:
    """Return a float64 copy, in which every reference function computes."""
    return np.array(x, dtype=np.float64)
