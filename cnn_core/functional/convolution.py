"""Convolution, forward and backward."""

from typing import NamedTuple

import numpy as np

from cnn_core._checks import (
    Pair,
    as_nchw,
    as_real,
    as_vector,
    checked_size,
    integer,
    out_size,
    pair,
    same_shape,
)
from cnn_core._kernels import conv2d as _conv2d
from cnn_core._kernels import conv2d_backward_input as _backward_input
from cnn_core._kernels import conv2d_backward_weight as _backward_weight
from cnn_core._kernels import winograd as _winograd
from cnn_core._memory import empty, zeros
from cnn_core._threads import get_num_threads

Padding = Pair | str


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """Slide filters over an image batch.

    ``y[n, f, i, j] = bias[f] + sum over c, kh, kw of
    weight[f, c, kh, kw] * x[n, c, i*sh + kh*dh - ph, j*sw + kw*dw - pw]``, c running over the filter's group.

    Parameters
    ----------
    x : ndarray (N, C, H, W), float32 or float64
    weight : ndarray (F, C/groups, KH, KW), dtype of ``x``
    bias : ndarray (F,), optional
    stride, dilation : int or (rows, columns), in pixels
    padding : int, (rows, columns), "valid" (none) or "same" (output as large as the input; stride 1)
    groups : int
        Channels and filters are cut into this many groups that do not see each other; ``groups=C`` is
        depthwise.

    Returns
    -------
    ndarray (N, F, OH, OW), ``OH = (H + 2*ph - dh*(KH - 1) - 1)//sh + 1``

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, channels do not match the weight and groups, or the kernel does not fit.

    Source: *Deep Learning from Scratch*, 7.2.
    """
    x, weight, g = _arguments("conv2d", x, weight, stride, padding, dilation, groups)
    filters = weight.shape[0]
    if bias is not None:
        bias = as_vector(bias, "conv2d: bias", filters, x)
    y = empty(checked_size((x.shape[0], filters, *g.out), "conv2d: result"), x.dtype)
    if y.size == 0:
        return y
    if x.size == 0:  # no channels, or windows of nothing but padding: a sum over nothing
        y[...] = 0 if bias is None else bias[:, None, None]
        return y
    x = _with_extra(x, g)
    if _winograd_pays(x.dtype, weight.shape, g):
        _winograd.winograd(x, weight, bias, y, *g.padding, False, get_num_threads())
    else:
        _conv2d.conv2d(x, weight, bias, y, *g.stride, *g.padding, *g.dilation, g.groups, get_num_threads())
    return y


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    need_dx: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The gradients of `conv2d` with respect to its input, weight and bias.

    Parameters
    ----------
    dy : ndarray (N, F, OH, OW)
        The gradient of the loss with respect to `conv2d`'s result.
    x, weight, stride, padding, dilation, groups
        As given to `conv2d`.
    need_dx : bool
        False saves the work for ``dx`` (a net's first layer) and gives None in its place.

    Returns
    -------
    dx (N, C, H, W) or None, dweight (F, C/groups, KH, KW), dbias (F,)

    Raises
    ------
    TypeError, ValueError
        As `conv2d`, and if ``dy`` does not have the shape of its result.

    Source: *Deep Learning from Scratch*, 7.4.3 (there through im2col and col2im).
    """
    name = "conv2d_backward"
    x, weight, g = _arguments(name, x, weight, stride, padding, dilation, groups)
    dy = as_real(dy, f"{name}: dy", ndim=4, like=x)
    same_shape(dy, f"{name}: dy", (x.shape[0], weight.shape[0], *g.out), "conv2d's result")
    if dy.size == 0 or x.size == 0:
        dx = zeros(x.shape, x.dtype) if need_dx else None
        return dx, zeros(weight.shape, x.dtype), dy.sum(axis=(0, 2, 3))
    n_threads = get_num_threads()
    dweight, dbias = empty(weight.shape, x.dtype), empty((weight.shape[0],), x.dtype)
    padded = _with_extra(x, g)
    if _winograd_pays(x.dtype, weight.shape, g):
        _winograd.winograd_backward_weight(dy, padded, dweight, *g.padding, n_threads)
    else:
        _backward_weight.conv2d_backward_weight(
            dy, padded, dweight, *g.stride, *g.padding, *g.dilation, g.groups, n_threads
        )
    _backward_weight.conv2d_backward_bias(dy, dbias, n_threads)
    dx = _input_gradient(dy, x, weight, g) if need_dx else None
    return dx, dweight, dbias


def conv2d_backward_input(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """The first of the three gradients of `conv2d_backward` alone, for benchmarks: not public.

    Of ``x`` only the shape matters; nothing may be empty.
    """
    x, weight, g = _arguments("conv2d_backward_input", x, weight, stride, padding, dilation, groups)
    return _input_gradient(dy, x, weight, g)


def _input_gradient(dy: np.ndarray, x: np.ndarray, weight: np.ndarray, g: "_Geometry") -> np.ndarray:
    """dx, for arguments that are checked and not empty."""
    n, c, h, w = x.shape
    n_threads = get_num_threads()
    dx = empty((n, c, h + g.extra[0], w + g.extra[1]), x.dtype)
    if _winograd_pays(x.dtype, weight.shape, g):
        _winograd.winograd(dy, weight, None, dx, 2 - g.padding[0], 2 - g.padding[1], True, n_threads)
    else:
        _backward_input.conv2d_backward_input(
            dy, weight, dx, *g.stride, *g.padding, *g.dilation, g.groups, n_threads
        )
    return dx if g.extra == (0, 0) else np.ascontiguousarray(dx[:, :, :h, :w])


class _Geometry(NamedTuple):
    """The numbers of a convolution, checked; rows first, then columns, in pixels."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    extra: tuple[int, int]  # zeros below and to the right beyond the padding: of uneven "same" padding
    dilation: tuple[int, int]
    groups: int
    out: tuple[int, int]


def _winograd_pays(dtype: np.dtype, weight: tuple[int, ...], g: _Geometry) -> bool:
    """Whether a convolution runs by Winograd's algorithm: the one place where the algorithm is chosen.

    It is for float32 and for 3x3 filters at stride 1. A quarter of the multiplications is left, but each
    channel and filter has to be transformed, and tiles of 4x4 pixels overhang small outputs. Measured over
    the layers of the models: twice as fast as the direct sum from 32 channels to 32 filters, 1.2 to 1.5 times
    with 16 and 16, half as fast with one channel.
    """
    in_tiles = 16 * (-(-g.out[0] // 4)) * (-(-g.out[1] // 4))
    return (
        dtype == np.float32
        and weight[2:] == (3, 3)
        and g.stride == g.dilation == (1, 1)
        and g.groups == 1
        and max(g.padding) <= 2
        and min(weight[:2]) >= 12
        and in_tiles <= 2 * g.out[0] * g.out[1]
    )


def _arguments(
    name: str, x: np.ndarray, weight: np.ndarray, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> tuple[np.ndarray, np.ndarray, _Geometry]:
    """What `conv2d` and its backward share, checked."""
    x = as_nchw(x, f"{name}: x")
    weight = as_real(weight, f"{name}: weight", like=x)
    if weight.ndim != 4:
        raise ValueError(
            f"{name}: weight: expects shape (filters, channels/groups, rows, columns), got {weight.shape}"
        )
    groups = integer(groups, f"{name}: groups", at_least=1)
    filters, group_channels, *kernel = weight.shape
    if x.shape[1] != group_channels * groups:
        raise ValueError(
            f"{name}: x has {x.shape[1]} channels, weight {weight.shape} with groups={groups} expects "
            f"{group_channels * groups} = {group_channels}*{groups}"
        )
    if filters % groups:
        raise ValueError(f"{name}: {filters} filters cannot be cut into groups={groups}")
    if 0 in kernel:
        raise ValueError(f"{name}: weight: the kernel {tuple(kernel)} is empty")
    steps = pair(stride, f"{name}: stride")
    gaps = pair(dilation, f"{name}: dilation")
    pads, extra = _paddings(name, padding, kernel, steps, gaps)
    (h, w), (kh, kw) = x.shape[2:], kernel
    out = (
        out_size(h + extra[0], kh, steps[0], pads[0], gaps[0], name=f"{name}: height"),
        out_size(w + extra[1], kw, steps[1], pads[1], gaps[1], name=f"{name}: width"),
    )
    return x, weight, _Geometry(steps, pads, extra, gaps, groups, out)


def _paddings(
    name: str, padding: Padding, kernel: list[int], steps: tuple[int, int], gaps: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding on all sides, and what "same" adds below and to the right, as torch does."""
    if not isinstance(padding, str):
        return pair(padding, f"{name}: padding", at_least=0), (0, 0)
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        raise ValueError(f"{name}: padding: expects integers, 'same' or 'valid', got {padding!r}")
    if steps != (1, 1):
        raise ValueError(f"{name}: padding='same' needs stride 1, got {steps}")
    rows, columns = gaps[0] * (kernel[0] - 1), gaps[1] * (kernel[1] - 1)
    return (rows // 2, columns // 2), (rows % 2, columns % 2)


def _with_extra(x: np.ndarray, g: _Geometry) -> np.ndarray:
    """``x`` itself, or a copy with the extra row or column of zeros that the kernels do not know of."""
    if g.extra == (0, 0):
        return x
    n, c, h, w = x.shape
    padded = zeros((n, c, h + g.extra[0], w + g.extra[1]), x.dtype)
    padded[:, :, :h, :w] = x
    return padded
