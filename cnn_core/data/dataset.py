"""Arrays of examples with their targets, and the pair of them that makes a data set."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class Arrays:
    """Examples and their targets, side by side: row ``i`` of ``t`` belongs to row ``i`` of ``x``.

    ``len(arrays)`` is the number of examples. ``arrays[5]`` is one example, ``(x[5], t[5])``; a slice, an
    index array or a mask selects a subset, again as `Arrays` (a slice shares memory, as slices of arrays do).

    Parameters
    ----------
    x : ndarray, shape (N, ...)
        Images are float32 (N, C, H, W) in 0 ... 1.
    t : ndarray, shape (N, ...)
        Class numbers are int64 (N,).

    Raises
    ------
    TypeError
        If one of them is not an array.
    ValueError
        If they have no first axis, or axes of different length.
    """

    x: np.ndarray
    t: np.ndarray

    def __post_init__(self) -> None:
        check_paired(self.x, self.t)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, (int, np.integer)):
            return self.x[index], self.t[index]
        return Arrays(self.x[index], self.t[index])

    def __iter__(self) -> Iterator[tuple[np.ndarray, Any]]:
        return zip(self.x, self.t, strict=True)

    def __repr__(self) -> str:
        return (
            f"Arrays({len(self)} examples: x {self.x.shape} {self.x.dtype}, t {self.t.shape} {self.t.dtype})"
        )


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set as it was published: what to learn from, what to be tested on, what the classes are called.

    Parameters
    ----------
    name : str
        The name in `cnn_core.data.DATASETS`.
    train, test : Arrays
    class_names : tuple of str
        ``class_names[t]`` is the class of target ``t``.
    """

    name: str
    train: Arrays
    test: Arrays
    class_names: tuple[str, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example, (C, H, W)."""
        return self.train.x.shape[1:]


def check_paired(x: Any, t: Any) -> None:
    """Raise unless ``x`` and ``t`` are arrays of as many rows as one another."""
    for array, name in ((x, "x"), (t, "t")):
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name}: expects a numpy array, got {type(array).__name__}")
        if array.ndim == 0:
            raise ValueError(f"{name}: expects an axis of examples, got a single value")
    if len(x) != len(t):
        raise ValueError(
            f"x and t: expect a target for each example, got {len(x)} examples and {len(t)} targets"
        )
