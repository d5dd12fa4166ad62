"""A network rewritten for prediction: fewer layers, the same function.

BatchNorm goes into the weights of the layer before it; ReLU and 2x2 max pooling are done by that layer while
its output is still in the cache; weights are packed once, into the order in which the kernels read them.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import numpy as np

from cnn_core.layers._shapes import Shape
from cnn_core.layers.activation import ReLU
from cnn_core.layers.base import Layer
from cnn_core.layers.container import Concat, Residual
from cnn_core.layers.conv import Conv2d
from cnn_core.layers.dropout import Dropout
from cnn_core.layers.fused import Fused
from cnn_core.layers.linear import Linear
from cnn_core.layers.norm import BatchNorm1d, BatchNorm2d
from cnn_core.layers.plan import Plans
from cnn_core.layers.pool import MaxPool2d
from cnn_core.layers.sequential import Sequential
from cnn_core.layers.shape import Identity
from cnn_core.layers.together import predicts_as


class InferenceSequential(Sequential):
    """A network for prediction only, made by :meth:`Sequential.for_inference`."""

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        if training:
            self._refuse("forward(x, training=True)")
        return self._plans.predict(x, super().forward)

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        self._refuse("backward")

    def _run_as(self, steps: tuple[Layer, ...]) -> None:
        super()._run_as(steps)
        self._plans = Plans(steps)

    def _convert(self, dtype: np.dtype) -> None:
        super()._convert(dtype)
        self._plans = Plans(self._steps)

    def _refuse(self, what: str) -> NoReturn:
        raise RuntimeError(
            f"{what}: this network came from for_inference() and only predicts; train the original"
        )


class FoldedLinear(Linear):
    """A Linear with a BatchNorm1d in its weights: for (N, in) only, where axis 1 is the last one."""

    def output_shape(self, input_shape: Shape) -> Shape:
        return super().output_shape(self.expect_rank(input_shape, "(N, in)"))


def for_inference(model: Sequential) -> InferenceSequential:
    """Return a copy of ``model`` that predicts the same with fewer passes over memory.

    BatchNorm is folded into the layer before: ``BatchNorm(W x + b) = (s W) x + (s (b - mean) + bias)`` with
    ``s = weight / sqrt(running_var + eps)``, per channel. Dropout and Identity are left out, ReLU and 2x2 max
    pooling are fused with the layer before. Layers in Residual and Concat are treated the same; a nested
    Sequential is merged into the one around it.
    """
    return InferenceSequential(*_fused(_simplified(model.layers)))


def _simplified(layers: Iterable[Layer]) -> list[Layer]:
    result: list[Layer] = []
    for layer in layers:
        for piece in _rewritten(layer):
            folded = _fold(result[-1], piece) if result else None
            if folded is None:
                result.append(piece)
            else:
                result[-1] = folded
    return result


def _fused(layers: list[Layer]) -> list[Layer]:
    """The layers with each convolution and Linear taking what its kernel can do besides."""
    result: list[Layer] = []
    i = 0
    while i < len(layers):
        first = layers[i]
        group = [first]
        if predicts_as(first, Conv2d):
            wanted: list[Callable[[Layer], bool]] = [lambda layer: predicts_as(layer, ReLU)]
            if first.takes_pooling:
                wanted.append(_halves)
        elif predicts_as(first, Linear):
            wanted = [lambda layer: predicts_as(layer, ReLU)]
        else:
            wanted = []
        while i + len(group) < len(layers) and any(fits(layers[i + len(group)]) for fits in wanted):
            following = layers[i + len(group)]
            wanted = [fits for fits in wanted if not fits(following)]
            group.append(following)
        i += len(group)
        result.append(Fused(*group) if predicts_as(first, Conv2d) or predicts_as(first, Linear) else first)
    return result


def _halves(layer: Layer) -> bool:
    return predicts_as(layer, MaxPool2d) and layer.halves


def _rewritten(layer: Layer) -> list[Layer]:
    """The layers to use for one layer."""
    if predicts_as(layer, Dropout) or predicts_as(layer, Identity):
        return []
    if predicts_as(layer, Sequential):
        return _simplified(layer.layers)
    if predicts_as(layer, Residual):
        shortcut = None if layer.shortcut is None else _single(layer.shortcut)
        return [Residual(_single(layer.body), None if isinstance(shortcut, Identity) else shortcut)]
    if predicts_as(layer, Concat):
        return [Concat(*(_single(branch) for branch in layer.branches))]
    return [copy.deepcopy(layer)]


def _single(layer: Layer) -> Layer:
    layers = _fused(_rewritten(layer))
    if not layers:
        return Identity()
    return layers[0] if len(layers) == 1 else Sequential(*layers)


def _fold(layer: Layer, norm: Layer) -> Layer | None:
    """One layer that computes ``norm(layer(x))``, or None where there is none."""
    folded: Conv2d | Linear
    if predicts_as(layer, Conv2d) and isinstance(norm, BatchNorm2d) and norm.buffers:
        folded = copy.deepcopy(layer)
        if layer.bias is None:
            folded.add_param("bias", np.zeros(layer.out_channels, layer.dtype))
    elif predicts_as(layer, Linear) and isinstance(norm, BatchNorm1d) and norm.buffers:
        folded = FoldedLinear(layer.in_features, layer.out_features, dtype=layer.dtype, init="zeros")
    else:
        return None
    one = np.float64(1)  # fold in double precision, round once
    scale = (one if norm.weight is None else norm.weight) / np.sqrt(one * norm.running_var + norm.eps)
    shift = (0 if norm.bias is None else norm.bias) - norm.running_mean * scale
    folded.weight = layer.weight * scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
    folded.bias = shift if layer.bias is None else layer.bias * scale + shift
    return folded
