"""Layers of a Sequential that run together: the same results, with fewer passes over memory."""

from typing import Any, TypeGuard, TypeVar, get_args

import numpy as np

from cnn_core.functional.convolution import conv2d_pool, conv2d_pool_backward
from cnn_core.layers._shapes import Shape
from cnn_core.layers.activation import ReLU
from cnn_core.layers.base import Layer
from cnn_core.layers.container import Residual, backward_through
from cnn_core.layers.conv import Conv2d
from cnn_core.layers.norm import BatchNorm2d
from cnn_core.layers.pool import MaxPool2d

L = TypeVar("L", bound=Layer)


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

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.forward_relu(x, training, relu=False)

    def forward_relu(self, x: np.ndarray, training: bool = False, *, relu: bool = True) -> np.ndarray:
        """`forward` and the ReLU after it; `backward` is then that of all three."""
        conv, pool = self._conv, self._pool
        conv.check_input(x)
        if not x.size:
            return pool.forward_relu(conv.forward(x, training), training, relu=relu)
        x, weight, g = conv.fitted(x)
        between = x.shape[0], weight.shape[0], *g.out
        if min(g.out) < 2:
            pool.output_shape(between)  # says so
        y, indices = conv2d_pool(x, weight, g, bias=conv.bias, return_indices=training, relu=relu)
        conv.remember_shape(training, between, y.dtype, x)
        pool.remember(training, y, indices, between, relu)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        return self.backward_relu(dy, accumulate, need_dx, relu=False)

    def backward_relu(self, dy: np.ndarray, accumulate: bool, need_dx: bool, *, relu: bool = True) -> Any:
        """`backward` and that of the ReLU that gave the input."""
        conv, pool = self._conv, self._pool
        indices, between, _ = pool.recall(dy)
        (x,) = conv.recall_shape(between, dy.dtype)
        if not x.size:
            return conv.backward_relu(pool.backward(dy), accumulate, need_dx, relu=relu)
        dx, dw, db = conv2d_pool_backward(
            dy, indices, *conv.fitted(x), need_dx=need_dx, need_dbias=conv.bias is not None, relu=relu,
            into={} if accumulate else conv.grads,
        )  # fmt: skip
        conv.store_grads(accumulate, weight=dw, bias=db)
        return dx


class WithReLU(Together):
    """A layer and the ReLU after it, in which the layer's output is written once."""

    def __init__(self, first: Layer, relu: ReLU) -> None:
        super().__init__(*_layers_of(first), relu)
        self.first, self._relu = first, relu
        self.goes_back = True  # through the ReLU, too; False where the next step does (`AfterReLU`)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        assert isinstance(self.first, DoesReLU)
        y = self.first.forward_relu(x, training)
        self._relu.remember(training, y, y)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        return backward_through(self.first, self._through_relu(dy), accumulate, need_dx)

    def backward_relu(self, dy: np.ndarray, accumulate: bool, need_dx: bool) -> Any:
        """`backward` and that of another ReLU, which gave the input."""
        assert isinstance(self.first, DoesReLUBefore)
        return self.first.backward_relu(self._through_relu(dy), accumulate, need_dx)

    def _through_relu(self, dy: np.ndarray) -> np.ndarray:
        if self.goes_back and not isinstance(self.first, _GO_BACK_THROUGH_RELU):
            return self._relu.backward(dy)
        return dy


class AfterReLU(Together):
    """A step that begins with a convolution, and does the backward pass of the ReLU before it, too.

    The gradient of the convolution's input is written once, and is then that of the ReLU's.
    """

    def __init__(self, step: "DoesReLUBefore | WithReLU") -> None:
        super().__init__(*_layers_of(step))
        self._step = step

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self._step.forward(x, training)

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        return self._step.backward_relu(dy, accumulate, need_dx)


DoesReLU = Conv2d | BatchNorm2d | Residual | MaxPool2d | ConvPool
DoesReLUBefore = Conv2d | ConvPool
_GO_BACK_THROUGH_RELU = (BatchNorm2d, MaxPool2d, ConvPool)


def _layers_of(step: Layer) -> tuple[Layer, ...]:
    return step.layers if isinstance(step, Together) else (step,)


def predicts_as(layer: Layer, kind: type[L]) -> TypeGuard[L]:
    """Whether ``layer`` is of ``kind``, or of a subclass that gives the same outputs."""
    return isinstance(layer, kind) and type(layer).forward is kind.forward


def computes_as(layer: Layer, kind: type[L]) -> TypeGuard[L]:
    """Whether ``layer`` is of ``kind``, or of a subclass that gives the same outputs and gradients."""
    return predicts_as(layer, kind) and type(layer).backward is kind.backward


def steps_of(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The layers as they are run, with the same outputs and gradients.

    A ReLU goes after the max pooling that follows it: the larger of two numbers stays the larger one, or
    becomes equal at zero where no gradient passes. Then a Conv2d that can and the 2x2 max pooling that is
    next to it run as one step, and so do a layer that can (`DoesReLU`) and the ReLU next to it. Between two
    convolutions, the second takes the ReLU's backward pass.
    """
    steps = list(layers)
    for i in range(len(steps) - 1):
        if type(steps[i]) is ReLU and type(steps[i + 1]) is MaxPool2d:
            steps[i], steps[i + 1] = steps[i + 1], steps[i]
    for i in range(len(steps) - 2, -1, -1):
        conv, pool = steps[i : i + 2]
        if computes_as(conv, Conv2d) and conv.takes_pooling and type(pool) is MaxPool2d and pool.halves:
            steps[i : i + 2] = [ConvPool(conv, pool)]
    for i in range(len(steps) - 2, -1, -1):
        first, relu = steps[i : i + 2]
        if type(relu) is ReLU and any(computes_as(first, kind) for kind in get_args(DoesReLU)):
            steps[i : i + 2] = [WithReLU(first, relu)]
    for i in range(len(steps) - 2, -1, -1):
        relu, step = steps[i : i + 2]
        if isinstance(relu, WithReLU) and isinstance(relu.first, Conv2d) and _begins_with_conv(step):
            relu.goes_back = False
            steps[i + 1] = AfterReLU(step)
    return tuple(steps)


def _begins_with_conv(step: Layer) -> "TypeGuard[DoesReLUBefore | WithReLU]":
    return computes_as(_layers_of(step)[0], Conv2d)
