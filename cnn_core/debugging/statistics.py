"""What an array holds, and the error that tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np


@dataclass(frozen=True)
class Statistics:
    """What an array holds; printing it gives one line.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    nan, inf : int
        How many values are not a number, and how many are infinite.
    first : tuple of int or None
        Where the first of these stands.
    minimum, maximum, mean, std : float
        Of the finite values; NaN if there are none.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    nan: int
    inf: int
    first: tuple[int, ...] | None
    minimum: float
    maximum: float
    mean: float
    std: float

    @classmethod
    def of(cls, array: np.ndarray) -> Self:
        """Count and measure ``array``."""
        array = np.asarray(array)
        finite = np.isfinite(array)
        nan = int(np.isnan(array).sum())
        first = None if finite.all() else tuple(map(int, np.argwhere(~finite)[0]))
        values = array[finite]
        numbers = (float("nan"),) * 4
        if values.size:
            lowest, highest = float(values.min()), float(values.max())
            unit = max(abs(lowest), abs(highest)) or 1.0  # squares of the largest numbers would overflow
            values = values / np.float64(unit)
            numbers = lowest, highest, unit * float(values.mean()), unit * float(values.std())
        return cls(array.shape, array.dtype, nan, array.size - int(finite.sum()) - nan, first, *numbers)

    @property
    def all_finite(self) -> bool:
        """Whether there is neither NaN nor infinity."""
        return self.first is None

    def __str__(self) -> str:
        size = int(np.prod(self.shape, dtype=object))
        text = f"{self.dtype} {self.shape}: "
        if not self.all_finite:
            text += f"{self.nan} NaN and {self.inf} inf of {size}"
            text += f", first at {self.first}" if self.first else ""
            text += "; the others " if self.nan + self.inf < size else ""
        if self.nan + self.inf < size:
            text += f"from {self.minimum:.4g} to {self.maximum:.4g}, mean {self.mean:.4g}, std {self.std:.4g}"
        return text if size else f"{text}empty"


class NonFiniteError(FloatingPointError):
    """A NaN or an infinity has appeared; the message says where, and what the arrays around it held.

    Attributes
    ----------
    layer : Layer, Loss, Optimizer or None
        Where it appeared; ``None`` if it came with the data.
    direction : {"data", "forward", "loss", "backward", "update"}
        In which part of the step.
    quantity : str
        Which array: ``"output"``, ``"input gradient"``, ``"gradient of weight"``, ``"running_var"``, ...
    statistics : dict of str to Statistics
        Of this array, first, and of what it was computed from.
    """

    def __init__(
        self,
        message: str,
        *,
        layer: Any = None,
        direction: str = "data",
        quantity: str = "",
        statistics: Mapping[str, Statistics] | None = None,
    ) -> None:
        super().__init__(message)
        self.layer = layer
        self.direction = direction
        self.quantity = quantity
        self.statistics = dict(statistics or {})


NonFiniteError.__module__ = "cnn_core.debugging"  # where users import it from, and what a traceback shows


def all_finite(array: np.ndarray) -> bool:
    """Return whether there is neither NaN nor infinity in an array of floating-point numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum()  # shows each of them, takes no memory, and is only rarely infinite without one
    return bool(np.isfinite(total) or np.isfinite(array).all())


def check_examples(x: np.ndarray, name: str) -> None:
    """Raise `NonFiniteError` if examples ``x`` (N, ...) hold a NaN or an infinity; say which example."""
    if x.dtype.kind != "f" or all_finite(x):
        return
    found = Statistics.of(x)
    example, *place = found.first or ()
    at = f" at {tuple(place)}" if place else ""
    raise NonFiniteError(
        f"{name}: contains {found.nan} NaN and {found.inf} inf, first in example {example}{at}\n"
        f"  {name}: {found}\n"
        f"Mend such examples or leave them out: good = np.isfinite(x.reshape(len(x), -1)).all(axis=1)",
        quantity=name,
        statistics={name: found},
    )
