"""The convolution layer."""

from typing import Any, Literal

import numpy as np

from cnn_core import init as initial
from cnn_core._checks import Pair, integer, one_of, pair
from cnn_core.functional._convolution import Geometry, arguments
from cnn_core.functional.convolution import conv2d_backward_relu, conv2d_relu
from cnn_core.layers import _hints
from cnn_core.layers._parameter import Parameter
from cnn_core.layers._shapes import Shape, ShapeError
from cnn_core.layers._window import WindowLayer, brief
from cnn_core.layers.base import real_dtype


class Conv2d(WindowLayer):
    """Slide ``out_channels`` learned filters over a batch of images (cross-correlation, as in torch).

    ``y[n, f, i, j] = bias[f] + sum over c, u, v of weight[f, c, u, v] * x[n, c, i*stride + u*dilation -
    padding, ...]``

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or (int, int)
        Height and width of a filter in pixels; one number for both, here and below.
    stride : int or (int, int)
        Pixels from one window to the next.
    padding : int, (int, int), "same" or "valid"
        Rows and columns of zeros added on each side. ``"same"`` gives an output as large as the input
        (stride 1 only), ``"valid"`` is 0.
    dilation : int or (int, int)
        Pixels from one element of a filter to the next.
    groups : int
        The channels are cut into this many groups, each with its own filters; it must divide both channel
        counts. ``groups=in_channels`` is a depthwise convolution.
    bias : bool
        Whether to add a bias per filter.
    dtype : float32 or float64
    rng : numpy.random.Generator, int or None
        Source of the initial weights.
    init : None, str, tuple or callable
        Initial weights, see :func:`cnn_core.init.resolve`; He normal by default. The bias starts at zero.

    Notes
    -----
    Shapes: x ``(N, C, H, W)`` to y ``(N, F, OH, OW)`` with ``OH = (H + 2*padding - dilation*(KH - 1) -
    1)//stride + 1``; ``weight (F, C/groups, KH, KW)``, ``bias (F,)``.
    """

    weight = Parameter()
    bias = Parameter()

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair | Literal["same", "valid"] = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: Any = np.float32,
        rng: initial.Rng = None,
        init: initial.Init = None,
    ) -> None:
        super().__init__()
        self.in_channels = integer(in_channels, "Conv2d: in_channels", at_least=1)
        self.out_channels = integer(out_channels, "Conv2d: out_channels", at_least=1)
        self.kernel_size = pair(kernel_size, "Conv2d: kernel_size")
        self.stride = pair(stride, "Conv2d: stride")
        self.dilation = pair(dilation, "Conv2d: dilation")
        self.groups = integer(groups, "Conv2d: groups", at_least=1)
        self.padding: str | tuple[int, int]
        if isinstance(padding, str):
            self.padding = one_of(padding, "Conv2d: padding", ("same", "valid"))
            if self.padding == "same" and self.stride != (1, 1):
                raise ValueError(f'Conv2d: padding="same" needs stride 1, got {self.stride}')
        else:
            self.padding = pair(padding, "Conv2d: padding", at_least=0)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"Conv2d: groups must divide the channels, got groups={self.groups} for "
                f"{self.in_channels} in_channels and {self.out_channels} out_channels"
            )
        self._fit: tuple[Any, Geometry] | None = None
        dtype = real_dtype(dtype)
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.add_param("weight", initial.initial_weight(shape, init, rng, dtype))
        if bias:
            self.add_param("bias", initial.zeros((self.out_channels,), dtype=dtype))

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.forward_relu(x, training, relu=False)

    def forward_relu(self, x: np.ndarray, training: bool = False, *, relu: bool = True) -> np.ndarray:
        """`forward` and the ReLU after it in one pass over memory; `backward` is that of the convolution."""
        self.check_input(x)
        x, weight, g = self.fitted(x)
        y = conv2d_relu(x, weight, g, bias=self.params.get("bias"), relu=relu)
        self.remember(training, y, x)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        return self.backward_relu(dy, accumulate, need_dx, relu=False)

    def backward_relu(self, dy: np.ndarray, accumulate: bool, need_dx: bool, *, relu: bool = True) -> Any:
        """`backward` and that of the ReLU that gave the input, in one pass over memory."""
        (x,) = self.recall(dy)
        dx, dw, db = conv2d_backward_relu(
            dy, *self.fitted(x), need_dx=need_dx, need_dbias="bias" in self.params, relu=relu,
            into={} if accumulate else self.grads,
        )  # fmt: skip
        self.store_grads(accumulate, weight=dw, bias=db)
        return dx

    def fitted(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, Geometry]:
        """``x`` and the weight as kernels take them, and the geometry, kept for images like the last ones."""
        weight = self.params["weight"]
        options = self.stride, self.padding, self.dilation, self.groups
        what = x.shape, x.dtype, weight.shape, weight.dtype, options
        fit = self._fit  # looked at once: another thread may predict images of another shape meanwhile
        if fit is not None and fit[0] == what and weight.flags.carray and x.flags.carray:
            return x, weight, fit[1]
        x, weight, g = arguments("conv2d", x, weight, *options)
        self._fit = what, g
        return x, weight, g

    def output_shape(self, input_shape: Shape) -> Shape:
        n, c, h, w = self.expect_rank(input_shape, "(N, C, H, W)", channels=self.in_channels)
        if c != self.in_channels:
            hint = _hints.for_channels((n, c, h, w), self.in_channels)
            raise ShapeError(f"{self.label}: expects {self.in_channels} channels, got {c}", axis=1, hint=hint)
        if self.padding == "same":
            return n, self.out_channels, h, w
        return n, self.out_channels, *self.plane_size((h, w))

    def macs(self, input_shape: Shape) -> int:
        n, _, oh, ow = self.output_shape(input_shape)
        return n * oh * ow * self.weight.size

    def explain_axis(self, axis: int, input_shape: Shape) -> tuple[str, int | None]:
        if axis == 1:
            return f": {self.label} gave {self.out_channels} channels", None
        return ("", axis) if self.padding == "same" else super().explain_axis(axis, input_shape)

    @property
    def takes_pooling(self) -> bool:
        """Whether its kernel can do the 2x2 max pooling after it in the same pass over memory.

        At a stride, the kernel has filters side by side, not pixels.
        """
        return self.stride == (1, 1)

    @property
    def geometry(self) -> tuple[Any, ...]:
        """The arguments of a convolution that follow weight and bias."""
        return self.stride, self.padding, self.dilation, self.groups

    @property
    def pads(self) -> tuple[int, int]:
        return (0, 0) if isinstance(self.padding, str) else self.padding

    def config(self) -> dict[str, Any]:
        return {
            "in_channels": self.in_channels,
            "out_channels": self.out_channels,
            "kernel_size": brief(self.kernel_size),
            "stride": brief(self.stride),
            "padding": repr(self.padding) if isinstance(self.padding, str) else brief(self.padding),
            "dilation": brief(self.dilation),
            "groups": self.groups,
            "bias": self.bias is not None,
            "dtype": self.dtype,
        }
