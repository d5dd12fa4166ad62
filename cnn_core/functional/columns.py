"""The column matrix that defines convolution, and its adjoint."""

from typing import NamedTuple

import numpy as np

from cnn_core._checks import Pair, as_nchw, as_real, checked_shape, checked_size, out_size, pair, same_shape
from cnn_core._kernels import im2col as _im2col
from cnn_core._memory import empty, zeros
from cnn_core._threads import get_num_threads


def im2col(
    x: np.ndarray, kernel_size: Pair, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1
) -> np.ndarray:
    """Lay every window of an image batch out as one row.

    ``col[(n, oh, ow), (c, kh, kw)] = x[n, c, oh*sh + kh*dh - ph, ow*sw + kw*dw - pw]``, 0 in the padding.

    Parameters
    ----------
    x : ndarray (N, C, H, W), float32 or float64
    kernel_size, stride, padding, dilation : int or (rows, columns), in pixels

    Returns
    -------
    ndarray (N*OH*OW, C*KH*KW)

    Raises
    ------
    TypeError, ValueError
        If ``x`` is no image batch of floats or the kernel does not fit into the padded input.

    Source: *Deep Learning from Scratch*, 7.4.2.
    """
    x = as_nchw(x, "im2col: x")
    g = _geometry("im2col", x.shape[2:], kernel_size, stride, padding, dilation)
    rows, columns = x.shape[0] * g.out[0] * g.out[1], x.shape[1] * g.kernel[0] * g.kernel[1]
    shape = checked_size((rows, columns), "im2col: result")
    if x.size == 0:
        return zeros(shape, x.dtype)  # windows of nothing but padding
    col = empty(shape, x.dtype)
    if col.size:
        _im2col.im2col(x, col, *g.kernel, *g.stride, *g.padding, *g.dilation, *g.out, get_num_threads())
    return col


def col2im(
    col: np.ndarray,
    x_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
) -> np.ndarray:
    """Add rows of windows up into an image batch: the adjoint of `im2col`.

    ``x[n, c, h, w]`` is the sum of all ``col[(n, oh, ow), (c, kh, kw)]`` that `im2col` would have copied
    from there.

    Parameters
    ----------
    col : ndarray (N*OH*OW, C*KH*KW), float32 or float64
    x_shape : (N, C, H, W) of the result
    kernel_size, stride, padding, dilation : int or (rows, columns), in pixels

    Returns
    -------
    ndarray (N, C, H, W)

    Raises
    ------
    TypeError, ValueError
        If ``col`` does not have the shape that `im2col` gives for ``x_shape``.

    Source: *Deep Learning from Scratch*, 7.4.3.
    """
    col = as_real(col, "col2im: col", ndim=2)
    n, c, h, w = checked_shape(x_shape, "col2im: x_shape", 4)
    g = _geometry("col2im", (h, w), kernel_size, stride, padding, dilation)
    rows, columns = n * g.out[0] * g.out[1], c * g.kernel[0] * g.kernel[1]
    same_shape(col, "col2im: col", (rows, columns), "im2col's result")
    if col.size == 0:
        return zeros((n, c, h, w), col.dtype)
    x = empty((n, c, h, w), col.dtype)
    if x.size:
        _im2col.col2im(col, x, *g.kernel, *g.stride, *g.padding, *g.dilation, *g.out, get_num_threads())
    return x


class _Geometry(NamedTuple):
    """Rows first, then columns; in pixels."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    out: tuple[int, int]


def _geometry(
    name: str, size: tuple[int, ...], kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> _Geometry:
    kernel = pair(kernel_size, f"{name}: kernel_size")
    steps = pair(stride, f"{name}: stride")
    pads = pair(padding, f"{name}: padding", at_least=0)
    gaps = pair(dilation, f"{name}: dilation")
    out = (
        out_size(size[0], kernel[0], steps[0], pads[0], gaps[0], name=f"{name}: height"),
        out_size(size[1], kernel[1], steps[1], pads[1], gaps[1], name=f"{name}: width"),
    )
    return _Geometry(kernel, steps, pads, gaps, out)
