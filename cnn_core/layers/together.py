"""Layers of a Sequential that run together: the same results, with fewer passes over memory."""

from typing import Any

import numpy as np

from cnn_core.layers._shapes import Shape
from cnn_core.layers.activation import ReLU
from cnn_core.layers.base import Layer
from cnn_core.layers.norm import BatchNorm2d
from cnn_core.layers.pool import MaxPool2d


class NormReLU(Layer):
    """A BatchNorm2d and the ReLU after it as one step, which writes and reads their image batches once.

    It holds nothing of its own: parameters, gradients and what backward needs are the BatchNorm2d's.
    """

    def __init__(self, norm: BatchNorm2d, relu: ReLU) -> None:
        super().__init__()
        self.layers = norm, relu
        self.params, self.grads = norm.params, norm.grads

    @property
    def name(self) -> str:  # type: ignore[override]
        return "+".join(layer.name for layer in self.layers)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.layers[0].forward_relu(x, training)

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        return self.layers[0].backward(dy, accumulate=accumulate, need_dx=need_dx)

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.layers[0].output_shape(input_shape)


def steps_of(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers as they are run, with the same outputs and gradients.

    A ReLU goes after the max pooling that follows it: the larger of two numbers stays the larger one, or
    becomes equal at zero where no gradient passes, and ReLU has a fraction of the numbers to go through. A
    BatchNorm2d and the ReLU that is then next to it become one `NormReLU`.
    """
    steps = list(layers)
    for i in range(len(steps) - 1):
        if type(steps[i]) is ReLU and type(steps[i + 1]) is MaxPool2d:
            steps[i], steps[i + 1] = steps[i + 1], steps[i]
    for i in range(len(steps) - 2, -1, -1):
        norm, relu = steps[i : i + 2]
        if type(norm) is BatchNorm2d and type(relu) is ReLU:
            steps[i : i + 2] = [NormReLU(norm, relu)]
    return tuple(steps)
