"""Layers of a Sequential that run together: the same results, with fewer passes over memory."""

from typing import Any, get_args

import numpy as np

from cnn_core.functional.convolution import conv2d_pool, conv2d_pool_backward
from cnn_core.layers._shapes import Shape
from cnn_core.layers.activation import ReLU
from cnn_core.layers.base import Layer
from cnn_core.layers.container import Residual, backward_through
from cnn_core.layers.conv import Conv2d
from cnn_core.layers.norm import BatchNorm2d
from cnn_core.layers.pool import MaxPool2d


class Together(Layer):
    """Several layers as one step.

    It holds nothing of its own: parameters, gradients and what backward needs are the layers'.

    Attributes
    ----------
    layers : tuple of Layer
        In the order in which they run. Only the first may have parameters.
    """

    def __init__(self, *layers: Layer) -> None:
        super().__init__()
        self.layers = layers
        self.params, self.grads = layers[0].params, layers[0].grads

    @property
    def name(self) -> str:  # type: ignore[override]
        return "+".join(layer.name for layer in self.layers)

    def output_shape(self, input_shape: Shape) -> Shape:
        for layer in self.layers:
            input_shape = layer.output_shape(input_shape)
        return input_shape


class ConvPool(Together):
    """A convolution and the 2x2 max pooling after it: what lies between them never goes to memory."""

    def __init__(self, conv: Conv2d, pool: MaxPool2d) -> None:
        super().__init__(conv, pool)
        self._conv, self._pool = conv, pool
        self._shapes: tuple[Shape, Shape] | None = None  # of the input, and between the layers

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.forward_relu(x, training, relu=False)

    def forward_relu(self, x: np.ndarray, training: bool = False, *, relu: bool = True) -> np.ndarray:
        """`forward` and the ReLU after it; `backward` is then that of all three."""
        conv, pool = self._conv, self._pool
        conv.check_input(x)
        shapes = self._shapes  # looked at once: another thread may predict images of another shape meanwhile
        if shapes is None or shapes[0] != x.shape:
            shapes = x.shape, conv.output_shape(x.shape)
            pool.output_shape(shapes[1])
            self._shapes = shapes
        between = shapes[1]
        if not x.size:
            return pool.forward_relu(conv.forward(x, training), training, relu=relu)
        y, indices = conv2d_pool(
            x, conv.weight, conv.bias, *conv.geometry, return_indices=training, relu=relu
        )
        conv.remember_shape(training, between, y.dtype, x)
        pool.remember(training, y, indices, between, relu)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        conv, pool = self._conv, self._pool
        indices, between, _ = pool.recall(dy)
        (x,) = conv.recall(np.broadcast_to(dy.dtype.type(0), between))  # in place of what was never written
        if not x.size:
            return conv.backward(pool.backward(dy), accumulate=accumulate, need_dx=need_dx)
        dx, dw, db = conv2d_pool_backward(
            dy, indices, x, conv.weight, *conv.geometry, need_dx=need_dx, need_dbias=conv.bias is not None
        )
        conv.store_grads(accumulate, weight=dw, bias=db)
        return dx


class WithReLU(Together):
    """A layer and the ReLU after it, in which the layer's output is written once."""

    def __init__(self, first: "DoesReLU", relu: ReLU) -> None:
        super().__init__(*(first.layers if isinstance(first, Together) else (first,)), relu)
        self._first, self._relu = first, relu

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        y = self._first.forward_relu(x, training)
        self._relu.remember(training, y, y)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        if not isinstance(self._first, _GO_BACK_THROUGH_RELU):
            dy = self._relu.backward(dy)
        return backward_through(self._first, dy, accumulate, need_dx)


DoesReLU = Conv2d | BatchNorm2d | Residual | MaxPool2d | ConvPool
_GO_BACK_THROUGH_RELU = (BatchNorm2d, MaxPool2d, ConvPool)
_FORWARDS = tuple(kind.forward for kind in get_args(DoesReLU))  # a subclass with its own is left alone


def steps_of(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers as they are run, with the same outputs and gradients.

    A ReLU goes after the max pooling that follows it: the larger of two numbers stays the larger one, or
    becomes equal at zero where no gradient passes. Then a Conv2d at stride 1 and the 2x2 max pooling that is
    next to it run as one step, and so do a layer that can (`DoesReLU`) and the ReLU next to it.
    """
    steps = list(layers)
    for i in range(len(steps) - 1):
        if type(steps[i]) is ReLU and type(steps[i + 1]) is MaxPool2d:
            steps[i], steps[i + 1] = steps[i + 1], steps[i]
    for i in range(len(steps) - 2, -1, -1):
        conv, pool = steps[i : i + 2]
        if (
            isinstance(conv, Conv2d)
            and type(conv).forward in _FORWARDS
            and conv.stride == (1, 1)
            and type(pool) is MaxPool2d
            and pool.halves
        ):
            steps[i : i + 2] = [ConvPool(conv, pool)]
    for i in range(len(steps) - 2, -1, -1):
        first, relu = steps[i : i + 2]
        if isinstance(first, DoesReLU) and type(first).forward in _FORWARDS and type(relu) is ReLU:
            steps[i : i + 2] = [WithReLU(first, relu)]
    return tuple(steps)
