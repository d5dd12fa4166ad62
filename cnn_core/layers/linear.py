"""The fully connected layer."""

from typing import Any

import numpy as np

from cnn_core import functional as F
from cnn_core import init as initial
from cnn_core._checks import integer
from cnn_core.functional.dense import linear_backward_into
from cnn_core.layers._parameter import Parameter
from cnn_core.layers._shapes import Shape, ShapeError
from cnn_core.layers.base import Layer, real_dtype


class Linear(Layer):
    """Multiply by a matrix and add a bias: ``y = x @ weight.T + bias``.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last axis of the input and of the output.
    bias : bool
        Whether to add a bias.
    dtype : float32 or float64
    rng : numpy.random.Generator, int or None
        Source of the initial weights.
    init : None, str, tuple or callable
        Initial weights, see :func:`cnn_core.init.resolve`; He normal by default. The bias starts at zero.

    Notes
    -----
    Shapes: x ``(N, ..., in)`` to y ``(N, ..., out)``; ``weight (out, in)``, ``bias (out,)``.
    """

    weight = Parameter()
    bias = Parameter()

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        rng: initial.Rng = None,
        init: initial.Init = None,
    ) -> None:
        super().__init__()
        self.in_features = integer(in_features, "Linear: in_features", at_least=1)
        self.out_features = integer(out_features, "Linear: out_features", at_least=1)
        dtype = real_dtype(dtype)
        shape = (self.out_features, self.in_features)
        self.add_param("weight", initial.initial_weight(shape, init, rng, dtype))
        if bias:
            self.add_param("bias", initial.zeros((self.out_features,), dtype=dtype))

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        y = F.linear(x, self.params["weight"], self.params.get("bias"))
        self.remember(training, y, x)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        (x,) = self.recall(dy)
        # A large gradient takes as long to copy as a hidden layer to compute.
        into = {} if accumulate else self.grads
        dx, dw, db = linear_backward_into(
            into, dy, x, self.params["weight"], need_dx=need_dx, need_dbias="bias" in self.params
        )
        self.store_grads(accumulate, weight=dw, bias=db)
        return dx

    def output_shape(self, input_shape: Shape) -> Shape:
        shape = tuple(input_shape)
        if len(shape) < 2:
            self.expect_rank(shape, "(N, in)")
        if shape[-1] != self.in_features:
            hint = f" on the last axis of {shape}; put Flatten() before it" if len(shape) > 2 else ""
            raise ShapeError(
                f"{self.label}: expects {self.in_features} inputs, got {shape[-1]}{hint}",
                axis=None if hint else len(shape) - 1,
                wanted=self.in_features,
            )
        return (*shape[:-1], self.out_features)

    def macs(self, input_shape: Shape) -> int:
        return int(np.prod(input_shape[:-1], dtype=object)) * self.weight.size

    def explain_axis(self, axis: int, input_shape: Shape) -> tuple[str, int | None]:
        if axis == len(input_shape) - 1:
            return f": {self.label} gave {self.out_features} outputs", None
        return "", axis

    def config(self) -> dict[str, Any]:
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.bias is not None,
            "dtype": self.dtype,
        }
