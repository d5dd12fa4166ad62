"""A convolution or Linear of a network for prediction, with what its kernel does besides."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from cnn_core.functional._calls import Call, run
from cnn_core.functional.convolution import PackedConv2d
from cnn_core.functional.dense import prepared_linear
from cnn_core.layers.activation import ReLU
from cnn_core.layers.conv import Conv2d
from cnn_core.layers.pool import MaxPool2d
from cnn_core.layers.sequential import Sequential


class Fused(Sequential):
    """Layers done by one kernel: a convolution or Linear, then ReLU, then 2x2 max pooling if they follow.

    The weights are packed at the first prediction and read-only from then on.
    """

    _prepare: Callable[[np.ndarray], tuple[np.ndarray, Call | None]] | None = None

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        y, call = self.prepared(x)
        run(call)
        return y

    def prepared(self, x: np.ndarray) -> tuple[np.ndarray, Call | None]:
        """The array for the output, and what fills it unless it is filled already."""
        self.check_input(x)
        prepare = self._prepare
        if prepare is None:  # threads that come here at once pack the same
            prepare = self._prepare = self._packed()
        return prepare(x)

    def _packed(self) -> Callable[[np.ndarray], tuple[np.ndarray, Call | None]]:
        for value in self.params.values():
            value.flags.writeable = False
        first = self.layers[0]
        relu = any(isinstance(layer, ReLU) for layer in self.layers)
        if isinstance(first, Conv2d):
            pool = any(isinstance(layer, MaxPool2d) for layer in self.layers)
            return PackedConv2d(first.weight, first.bias, *first.geometry, relu=relu, pool=pool).prepared
        return partial(
            prepared_linear, weight=self.params["0.weight"], bias=self.params.get("0.bias"), relu=relu
        )

    def _convert(self, dtype: np.dtype) -> None:
        super()._convert(dtype)
        self._prepare = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_prepare": None}
