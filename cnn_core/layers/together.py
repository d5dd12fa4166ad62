"""Layers of a Sequential that run together: the same results, with fewer passes over memory."""

from typing import Any

import numpy as np

from cnn_core.layers._shapes import Shape
from cnn_core.layers.activation import ReLU
from cnn_core.layers.base import Layer
from cnn_core.layers.container import Residual, backward_through
from cnn_core.layers.conv import Conv2d
from cnn_core.layers.norm import BatchNorm2d
from cnn_core.layers.pool import MaxPool2d


class Together(Layer):
    """A layer and the ReLU after it as one step, in which the layer's output is written once.

    It holds nothing of its own: parameters, gradients and what backward needs are the two layers'.
    """

    def __init__(self, first: Conv2d | BatchNorm2d | Residual, relu: ReLU) -> None:
        super().__init__()
        self.layers = first, relu
        self.params, self.grads = first.params, first.grads

    @property
    def name(self) -> str:  # type: ignore[override]
        return "+".join(layer.name for layer in self.layers)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        first, relu = self.layers
        y = first.forward_relu(x, training)
        relu.remember(training, y, y)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        first, relu = self.layers
        if not isinstance(first, BatchNorm2d):  # which goes back through both
            dy = relu.backward(dy)
        return backward_through(first, dy, accumulate, need_dx)

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.layers[0].output_shape(input_shape)


_CAN_DO_RELU = (Conv2d, BatchNorm2d, Residual)
_FORWARDS = tuple(kind.forward for kind in _CAN_DO_RELU)  # a subclass with its own is left alone


def steps_of(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers as they are run, with the same outputs and gradients.

    A ReLU goes after the max pooling that follows it: the larger of two numbers stays the larger one, or
    becomes equal at zero where no gradient passes, and ReLU has a fraction of the numbers to go through. A
    Conv2d, BatchNorm2d or Residual and the ReLU that is then next to it run `Together`.
    """
    steps = list(layers)
    for i in range(len(steps) - 1):
        if type(steps[i]) is ReLU and type(steps[i + 1]) is MaxPool2d:
            steps[i], steps[i + 1] = steps[i + 1], steps[i]
    for i in range(len(steps) - 2, -1, -1):
        first, second = steps[i : i + 2]
        if type(second) is ReLU and isinstance(first, _CAN_DO_RELU) and type(first).forward in _FORWARDS:
            steps[i : i + 2] = [Together(first, second)]
    return tuple(steps)
