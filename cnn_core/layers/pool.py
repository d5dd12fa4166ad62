"""Pooling layers: the maximum or the average of each window."""

from typing import Any

import numpy as np

from cnn_core import functional as F
from cnn_core._checks import Pair, integer, pair
from cnn_core.functional.pooling import max_pool2d_relu, max_pool2d_relu_backward
from cnn_core.layers._shapes import Shape
from cnn_core.layers._window import WindowLayer, brief
from cnn_core.layers.base import Layer


class _Pool2d(WindowLayer):
    """Window, stride and padding of a pooling layer; the stride is the window's size unless given."""

    is_pooling = True

    def __init__(self, kernel_size: Pair, stride: Pair | None, padding: Pair, ceil_mode: bool) -> None:
        super().__init__()
        kind = type(self).__name__
        self.kernel_size = pair(kernel_size, f"{kind}: kernel_size")
        self.stride = self.kernel_size if stride is None else pair(stride, f"{kind}: stride")
        self.padding = pair(padding, f"{kind}: padding", at_least=0)
        self.ceil_mode = bool(ceil_mode)

    @property
    def pads(self) -> tuple[int, int]:
        return self.padding

    def output_shape(self, input_shape: Shape) -> Shape:
        n, c, h, w = self.expect_rank(input_shape, "(N, C, H, W)")
        return n, c, *self.plane_size((h, w))

    def config(self) -> dict[str, Any]:
        return {
            "kernel_size": brief(self.kernel_size),
            "stride": brief(self.stride),
            "padding": brief(self.padding),
        }


class MaxPool2d(_Pool2d):
    """Take the maximum of each window; padding never wins, a NaN always does, the first of equals does.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window in pixels.
    stride : int or (int, int), optional
        Pixels from one window to the next; ``kernel_size`` by default.
    padding : int or (int, int)
        Rows and columns of minus infinity on each side, at most half the window.
    dilation : int or (int, int)
        Pixels from one element of the window to the next.
    ceil_mode : bool
        Round the output size up, so that a window may hang over the end. By keyword only, because torch has
        ``return_indices`` in this place.

    Notes
    -----
    Shapes: x ``(N, C, H, W)`` to y ``(N, C, OH, OW)`` with ``OH = (H + 2*padding - dilation*(KH - 1) -
    1)//stride + 1``.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        dilation: Pair = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.dilation = pair(dilation, "MaxPool2d: dilation")

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.forward_relu(x, training, relu=False)

    def forward_relu(self, x: np.ndarray, training: bool = False, *, relu: bool = True) -> np.ndarray:
        """`forward` and the ReLU after it in one pass over memory; `backward` is then that of both."""
        self.check_input(x)
        y, indices = max_pool2d_relu(x, *self._window, return_indices=training, relu=relu)
        self.remember(training, y, indices, x.shape, relu)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        indices, x_shape, relu = self.recall(dy)
        return max_pool2d_relu_backward(dy, indices, x_shape, relu=relu)

    @property
    def halves(self) -> bool:
        """Whether it takes the maxima of 2x2 windows that do not overlap."""
        return self._window == ((2, 2), (2, 2), (0, 0), (1, 1), False)

    @property
    def _window(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode

    def config(self) -> dict[str, Any]:
        return {**super().config(), "dilation": brief(self.dilation), "ceil_mode": self.ceil_mode}


class AvgPool2d(_Pool2d):
    """Take the average of each window.

    Parameters
    ----------
    kernel_size : int or (int, int)
        Height and width of the window in pixels.
    stride : int or (int, int), optional
        Pixels from one window to the next; ``kernel_size`` by default.
    padding : int or (int, int)
        Rows and columns of zeros on each side, at most half the window.
    ceil_mode : bool
        Round the output size up, so that a window may hang over the end.
    count_include_pad : bool
        Whether padding counts as pixels when the sum is divided.
    divisor_override : int, optional
        Divide by this number instead of the number of pixels.

    Notes
    -----
    Shapes: x ``(N, C, H, W)`` to y ``(N, C, OH, OW)`` with ``OH = (H + 2*padding - KH)//stride + 1``.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = bool(count_include_pad)
        if divisor_override is not None:
            divisor_override = integer(divisor_override, "AvgPool2d: divisor_override", at_least=1)
        self.divisor_override = divisor_override

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        y = F.avg_pool2d(x, *self._window)
        self.remember(training, y, x.shape)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        (x_shape,) = self.recall(dy)
        return F.avg_pool2d_backward(dy, x_shape, *self._window)

    @property
    def _window(self) -> tuple[Any, ...]:
        """The arguments after the data, the same forward and backward."""
        return (
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def config(self) -> dict[str, Any]:
        return {
            **super().config(),
            "ceil_mode": self.ceil_mode,
            "count_include_pad": self.count_include_pad,
            "divisor_override": self.divisor_override,
        }


class AdaptiveAvgPool2d(Layer):
    """Average over as many windows as the output has pixels; ``output_size=1`` is global average pooling.

    Row ``i`` of the output averages the rows ``floor(i*H/OH)`` to ``ceil((i + 1)*H/OH)`` of the input,
    columns alike.

    Parameters
    ----------
    output_size : int or (int or None, int or None)
        Height and width of the output in pixels; ``None`` keeps that of the input.

    Notes
    -----
    Shapes: x ``(N, C, H, W)`` to y ``(N, C, OH, OW)``.
    """

    def __init__(self, output_size: int | tuple[int | None, int | None]) -> None:
        super().__init__()
        sizes = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
        if len(sizes) != 2:
            raise ValueError(
                f"AdaptiveAvgPool2d: output_size must be a number or a pair, got {output_size!r}"
            )
        name = "AdaptiveAvgPool2d: output_size"
        self.output_size = tuple(None if size is None else integer(size, name, at_least=1) for size in sizes)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        y = F.adaptive_avg_pool2d(x, self.output_shape(x.shape)[2:])
        self.remember(training, y, x.shape)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        (x_shape,) = self.recall(dy)
        return F.adaptive_avg_pool2d_backward(dy, x_shape)

    def output_shape(self, input_shape: Shape) -> Shape:
        n, c, h, w = self.expect_rank(input_shape, "(N, C, H, W)")
        height, width = self.output_size
        return n, c, h if height is None else height, w if width is None else width

    def explain_axis(self, axis: int, input_shape: Shape) -> tuple[str, int | None]:
        if axis < 2 or self.output_size[axis - 2] is None:
            return "", axis
        return f": {self.label} gave {self.output_size[axis - 2]} (its output_size)", None

    def config(self) -> dict[str, Any]:
        height, width = self.output_size
        return {"output_size": height if height == width else self.output_size}
