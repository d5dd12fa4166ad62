"""Activation layers: element-wise functions between the layers that have weights."""

from typing import Any

import numpy as np

from cnn_core import functional as F
from cnn_core._checks import real_number
from cnn_core.layers.base import Layer


class ReLU(Layer):
    """Set negative values to zero: ``y = max(x, 0)``. The gradient at 0 is 0. Any shape."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        y = F.relu(x)
        self.remember(training, y, y)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        (y,) = self.recall(dy)
        return F.relu_backward(dy, y)


class LeakyReLU(Layer):
    """Scale negative values down: ``y = x`` where ``x > 0``, else ``negative_slope * x``. Any shape.

    Parameters
    ----------
    negative_slope : float
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = real_number(negative_slope, "LeakyReLU: negative_slope")

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        y = F.leaky_relu(x, self.negative_slope)
        # The gradient asks for the sign alone. y has it, unless the slope turns it, and y lives on anyway.
        self.remember(training, y, y if self.negative_slope >= 0 else x)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        (x_or_y,) = self.recall(dy)
        return F.leaky_relu_backward(dy, x_or_y, self.negative_slope)

    def config(self) -> dict[str, Any]:
        return {"negative_slope": self.negative_slope}


class Sigmoid(Layer):
    """Squash into (0, 1): ``y = 1 / (1 + exp(-x))``. Any shape."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        y = F.sigmoid(x)
        self.remember(training, y, y)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        (y,) = self.recall(dy)
        return F.sigmoid_backward(dy, y)


class Tanh(Layer):
    """Squash into (-1, 1): ``y = tanh(x)``. Any shape."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        y = F.tanh(x)
        self.remember(training, y, y)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        (y,) = self.recall(dy)
        return F.tanh_backward(dy, y)
