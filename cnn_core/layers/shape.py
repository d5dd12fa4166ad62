"""Layers that change the shape of the data, or nothing."""

import math
import operator
from typing import Any

import numpy as np

from cnn_core.layers._shapes import Shape, ShapeError
from cnn_core.layers.base import Layer


class Flatten(Layer):
    """Merge the axes from ``start_dim`` to ``end_dim`` into one; by default all but the batch axis.

    Parameters
    ----------
    start_dim, end_dim : int
        First and last axis to merge; negative numbers count from the end.

    Notes
    -----
    Shapes: x ``(N, C, H, W)`` to y ``(N, C*H*W)`` by default. No data is copied unless x is strided.
    """

    returns_view = True

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = operator.index(start_dim)
        self.end_dim = operator.index(end_dim)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        y = x.reshape(self.output_shape(x.shape))
        self.remember(training, y, x.shape)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        (x_shape,) = self.recall(dy)
        return dy.reshape(x_shape)

    def output_shape(self, input_shape: Shape) -> Shape:
        shape = tuple(input_shape)
        first, last = self._range(len(shape))
        return (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])

    def explain_axis(self, axis: int, input_shape: Shape) -> tuple[str, int | tuple[int, ...] | None]:
        first, last = self._range(len(input_shape))
        if axis < first:
            return "", axis
        if axis > first:
            return "", axis + last - first
        merged = tuple(input_shape[first : last + 1])
        return ("", axis) if len(merged) == 1 else (f" = {merged}", tuple(range(last, first - 1, -1)))

    def _range(self, ndim: int) -> tuple[int, int]:
        """First and last axis to merge, as numbers from the front."""
        first, last = self.start_dim, self.end_dim
        first += ndim if first < 0 else 0
        last += ndim if last < 0 else 0
        if not 0 <= first <= last < ndim:
            raise ShapeError(
                f"{self.label}: cannot merge axes {self.start_dim} to {self.end_dim} of {ndim} axes",
                of_rank=True,
            )
        return first, last

    def config(self) -> dict[str, Any]:
        return {"start_dim": self.start_dim, "end_dim": self.end_dim}


class Identity(Layer):
    """Hand the input on as it is: ``y = x``. A placeholder for a branch that does nothing."""

    returns_view = True

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        self.remember(training, x)
        return x

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        self.recall(dy)
        return dy
