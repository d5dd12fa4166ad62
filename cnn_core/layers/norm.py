"""Batch normalization."""

from typing import Any

import numpy as np

from cnn_core import init as initial
from cnn_core._checks import integer, real_number
from cnn_core.functional.normalization import batch_norm_relu, batch_norm_relu_backward
from cnn_core.layers import _hints
from cnn_core.layers._parameter import Parameter
from cnn_core.layers._shapes import Shape, ShapeError
from cnn_core.layers.base import Layer, real_dtype


class _BatchNorm(Layer):
    """Both batch normalizations; they differ in the input that they take."""

    layouts: tuple[str, ...]

    weight = Parameter()
    bias = Parameter()
    running_mean = Parameter("buffers")
    running_var = Parameter("buffers")
    num_batches_tracked = Parameter("buffers")

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        kind = type(self).__name__
        self.num_features = integer(num_features, f"{kind}: num_features", at_least=1)
        self.eps = real_number(eps, f"{kind}: eps", at_least=0)
        self.momentum = (
            None if momentum is None else real_number(momentum, f"{kind}: momentum", at_least=0, at_most=1)
        )
        self.dtype = real_dtype(dtype)
        shape = (self.num_features,)
        if affine:
            self.add_param("weight", initial.ones(shape, dtype=self.dtype))
            self.add_param("bias", initial.zeros(shape, dtype=self.dtype))
        if track_running_stats:
            self.buffers["running_mean"] = initial.zeros(shape, dtype=self.dtype)
            self.buffers["running_var"] = initial.ones(shape, dtype=self.dtype)
            self.buffers["num_batches_tracked"] = np.zeros((), np.int64)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.forward_relu(x, training, relu=False)

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        x, numbers, relu = self.recall(dy)
        into = {} if accumulate else self.grads
        dx, dweight, dbias = batch_norm_relu_backward(into, dy, x, numbers, True, relu=relu)
        self.store_grads(accumulate, weight=dweight, bias=dbias)
        return dx

    def forward_relu(self, x: np.ndarray, training: bool = False, *, relu: bool = True) -> np.ndarray:
        """`forward` and the ReLU after it in one pass over memory; `backward` then goes through both."""
        self.check_input(x)
        if training and x.size == self.num_features:
            raise ValueError(
                f"{self.label}: training needs more than one value per channel, got shape {x.shape}; use "
                f"larger batches (Trainer.fit leaves a small last one out with drop_last=True)"
            )
        buffers, learned = self.buffers, self.params.get
        y, numbers = batch_norm_relu(
            x, buffers.get("running_mean"), buffers.get("running_var"), learned("weight"), learned("bias"),
            training or not buffers, self._new_weight() if training else 0.0, self.eps, relu=relu,
        )  # fmt: skip
        if training and buffers:
            tracked = buffers["num_batches_tracked"]
            tracked[()] = int(tracked) + 1  # quicker than numpy's addition of an array without dimensions
        self.remember(training, y, x, numbers, relu)
        return y

    def _new_weight(self) -> float:
        """The weight of the next batch in the running statistics."""
        if self.momentum is not None:
            return self.momentum
        return 1 / (1 + int(self.num_batches_tracked)) if self.buffers else 0.0

    def output_shape(self, input_shape: Shape) -> Shape:
        channels = self.num_features
        shape = self.expect_rank(input_shape, *self.layouts, channels=channels)
        if shape[1] != channels:
            hint = _hints.for_channels(shape, channels)
            raise ShapeError(f"{self.label}: expects {channels} channels, got {shape[1]}", axis=1, hint=hint)
        return shape

    def config(self) -> dict[str, Any]:
        return {
            "num_features": self.num_features,
            "eps": self.eps,
            "momentum": self.momentum,
            "affine": bool(self.params),
            "track_running_stats": bool(self.buffers),
            "dtype": self.dtype,
        }


class BatchNorm2d(_BatchNorm):
    """Normalize each channel of a batch of images, then scale and shift it.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``. In training, ``mean`` and the biased ``var`` are
    those of the channel over the batch; each batch moves the running statistics by ``momentum`` towards its
    mean and its unbiased variance. Outside training, the running statistics are used.

    Parameters
    ----------
    num_features : int
        Number of channels.
    eps : float
        Added to the variance.
    momentum : float or None
        Weight of the new batch in the running statistics; ``None`` averages all batches equally.
    affine : bool
        Whether ``weight`` and ``bias`` exist.
    track_running_stats : bool
        Whether running statistics exist; without them, the batch's own are used outside training too.
    dtype : float32 or float64

    Notes
    -----
    Shapes: x ``(N, C, H, W)`` to y of the same shape; ``weight``, ``bias``, ``running_mean``, ``running_var``
    ``(C,)``.

    Source: Ioffe and Szegedy, *Batch normalization*, 2015.
    """

    layouts = ("(N, C, H, W)",)


class BatchNorm1d(_BatchNorm):
    """Normalize each feature of a batch of vectors, or each channel of a batch of sequences.

    Parameters and formula are those of :class:`BatchNorm2d`.

    Notes
    -----
    Shapes: x ``(N, C)`` or ``(N, C, L)`` to y of the same shape.
    """

    layouts = ("(N, C)", "(N, C, L)")
