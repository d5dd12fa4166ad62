"""What work costs at least: floating-point operations and compulsory bytes.

Operations are those of the definition: a convolution counts two for each multiply-add of the direct sum,
whatever algorithm computes it (Winograd's does fewer, and may pass the roof). Additions, comparisons,
products, quotients, roots and exponentials count one each. The addition of a bias is left out, as is usual.

Bytes: each input is read once and each output written once.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from cnn_core import layers as L
from cnn_core.layers.fused import Fused
from cnn_core.layers.together import Together

# Operations per element.
PER_ELEMENT = {
    "relu": 1,  # compare
    "relu_backward": 1,
    "leaky_relu": 2,  # compare, scale
    "leaky_relu_backward": 2,
    "sigmoid": 4,  # 1 / (1 + exp(-x))
    "sigmoid_backward": 3,  # dy * (1 - y) * y
    "tanh": 1,
    "tanh_backward": 3,  # dy * (1 - y * y)
    "softmax": 5,  # compare, subtract, exp, add, divide
    "softmax_backward": 4,  # multiply, add, subtract, multiply
    "log_softmax": 5,
    "log_softmax_backward": 4,
    "cross_entropy": 6,  # softmax and the subtraction of the target
    "dropout": 2,  # compare, scale; the random numbers are not counted
    "dropout_backward": 2,
    "batch_norm": 6,  # mean 1, variance 3, scale and shift 2
    "batch_norm_inference": 2,
    "batch_norm_backward": 8,  # two sums 4, dx 4
    "sgd": 2,
    "momentum": 4,
    "nesterov": 6,
    "adagrad": 7,  # h 2, step 5
    "rmsprop": 9,  # h 4, step 5
    "adam": 12,  # m 3, v 4, step 5
    "adamw": 13,
}


class Cost(NamedTuple):
    """Operations and bytes."""

    flops: int
    nbytes: int

    def __add__(self, other: object) -> "Cost":
        if not isinstance(other, Cost):
            return NotImplemented
        return Cost(self.flops + other.flops, self.nbytes + other.nbytes)


Shape = tuple[int, ...]


def adaptive_taps(x_shape: Shape, y_shape: Shape) -> int:
    """How many pixels the windows of adaptive pooling have together; they may overlap by one."""

    def along(size: int, out: int) -> int:
        return sum(-(-(i + 1) * size // out) - i * size // out for i in range(out))

    return math.prod(x_shape[:2]) * along(x_shape[2], y_shape[2]) * along(x_shape[3], y_shape[3])


def layer_cost(
    layer: L.Layer, x_shape: Shape, y_shape: Shape, itemsize: int, *, training: bool = True
) -> Cost:
    """The cost of ``layer.forward``.

    A layer that this library does not know costs twice its ``macs``, and its input, parameters and output.
    """
    if isinstance(layer, Together):
        return _cost_together(layer, x_shape, itemsize, partial(layer_cost, training=training))
    if _does_nothing(layer) or (isinstance(layer, L.Dropout) and not training):
        return Cost(0, 0)
    x, y = math.prod(x_shape), math.prod(y_shape)
    numbers = x + y + layer.num_parameters
    flops, extra_bytes = 2 * layer.macs(x_shape), 0
    if isinstance(layer, L.MaxPool2d):
        flops = y * math.prod(layer.kernel_size)
        extra_bytes = 4 * y if training else 0  # the indices of the winners
    elif isinstance(layer, L.AvgPool2d):
        flops = y * math.prod(layer.kernel_size)
    elif isinstance(layer, L.AdaptiveAvgPool2d):
        flops = adaptive_taps(x_shape, y_shape)
    elif isinstance(layer, (L.BatchNorm1d, L.BatchNorm2d)):
        flops = x * PER_ELEMENT["batch_norm" if training else "batch_norm_inference"]
    elif isinstance(layer, L.Dropout):
        flops, extra_bytes = x * PER_ELEMENT["dropout"], x  # a mask of bytes
    elif name := _activation(layer):
        flops = x * PER_ELEMENT[name]
    elif isinstance(layer, L.Residual):
        flops, numbers = y, 3 * y
    elif isinstance(layer, L.Concat):
        flops, numbers = 0, 2 * y
    return Cost(flops, numbers * itemsize + extra_bytes)


def layer_backward_cost(
    layer: L.Layer, x_shape: Shape, y_shape: Shape, itemsize: int, *, need_dx: bool = True
) -> Cost:
    """The cost of ``layer.backward`` after a training forward.

    A layer that this library does not know reads dy, its input and its parameters, and writes dx and the
    gradients; its operations are twice those of its forward pass, half of that without dx.
    """
    if isinstance(layer, Together):
        return _cost_together(layer, x_shape, itemsize, partial(layer_backward_cost, need_dx=need_dx))
    if _does_nothing(layer):
        return Cost(0, 0)
    x, y = math.prod(x_shape), math.prod(y_shape)
    parameters = layer.num_parameters
    if isinstance(layer, L.Residual):
        return Cost(x, 3 * x * itemsize) if need_dx else Cost(0, 0)
    if isinstance(layer, L.Concat):
        n = len(layer.branches)
        return Cost((n - 1) * x, (n + 1) * x * itemsize) if need_dx else Cost(0, 0)
    dx = x if need_dx else 0
    weights = parameters if need_dx else 0  # of a layer whose weights only dx depends on
    numbers = y + x + dx + weights + parameters
    flops = 2 * layer.macs(x_shape) * (2 if need_dx else 1)
    extra_bytes = 0
    if isinstance(layer, L.MaxPool2d):
        flops, numbers, extra_bytes = y, y + x, 4 * y
    elif isinstance(layer, L.AvgPool2d):
        flops, numbers = y * math.prod(layer.kernel_size), y + x
    elif isinstance(layer, L.AdaptiveAvgPool2d):
        flops, numbers = adaptive_taps(x_shape, y_shape), y + x
    elif isinstance(layer, (L.BatchNorm1d, L.BatchNorm2d)):
        flops = x * PER_ELEMENT["batch_norm_backward"]
    elif isinstance(layer, L.Dropout):
        flops, numbers, extra_bytes = x * PER_ELEMENT["dropout_backward"], 2 * x, x
    elif name := _activation(layer):
        flops, numbers = x * PER_ELEMENT[f"{name}_backward"], 3 * x  # dy, y (or x), dx
    return Cost(flops, numbers * itemsize + extra_bytes)


def _cost_together(layer: Together, x_shape: Shape, itemsize: int, cost_of: Callable[..., Cost]) -> Cost:
    """The cost of layers that run as one: ReLU comes for nothing, what lies between them is not moved."""
    total = Cost(0, 0)
    parts = [part for part in layer.layers if not isinstance(part, L.ReLU)]
    for i, part in enumerate(parts):
        if i > 0:
            total += Cost(0, -2 * math.prod(x_shape) * itemsize)
        y_shape = part.output_shape(x_shape)
        total += cost_of(part, x_shape, y_shape, itemsize)
        x_shape = y_shape
    return total


def training_cost(model: L.Layer, input_shape: Shape, itemsize: int = 4) -> Cost:
    """Forward and backward of all layers, without the gradient for the network's input."""
    steps: list[Any] = []
    model.trace(input_shape, None, steps)
    total = Cost(0, 0)
    seen_parameters = False
    for layer, x_shape, y_shape, _ in steps:
        need_dx = seen_parameters
        seen_parameters = seen_parameters or bool(layer.params)
        total += layer_cost(layer, x_shape, y_shape, itemsize)
        if need_dx or layer.params:
            total += layer_backward_cost(layer, x_shape, y_shape, itemsize, need_dx=need_dx)
    return total


def inference_cost(model: L.Layer, input_shape: Shape, itemsize: int = 4) -> Cost:
    """Forward of all layers outside training."""
    steps: list[Any] = []
    model.trace(input_shape, None, steps)
    return sum(
        (layer_cost(layer, x, y, itemsize, training=False) for layer, x, y, _ in steps), start=Cost(0, 0)
    )


_ACTIVATIONS: dict[type[L.Layer], str] = {
    L.ReLU: "relu",
    L.LeakyReLU: "leaky_relu",
    L.Sigmoid: "sigmoid",
    L.Tanh: "tanh",
}


def _does_nothing(layer: L.Layer) -> bool:
    """Whether the layer only hands on: a view, or what its children made."""
    works = isinstance(layer, (L.Residual, L.Concat, Fused))
    return layer.returns_view or (isinstance(layer, L.Container) and not works)


def _activation(layer: L.Layer) -> str | None:
    """The function of an activation layer."""
    return next((name for kind, name in _ACTIVATIONS.items() if isinstance(layer, kind)), None)
