"""Pooling: the maximum or the average of each window of an image."""

from collections.abc import Sequence
from typing import Any, Literal, overload

import numpy as np

from cnn_core import _checks
from cnn_core._checks import Pair, shown
from cnn_core._kernels import avg_pool, max_pool
from cnn_core._memory import empty, zeros
from cnn_core._threads import get_num_threads
from cnn_core.functional._windows import check_numbering, has_pixels, windows_of

_INDEX = np.dtype(np.int32)


def _same_planes(dy: np.ndarray, x_shape: Sequence[int], name: str) -> None:
    if dy.shape[:2] != tuple(x_shape[:2]):
        raise ValueError(f"{name}: dy: expects N, C = {tuple(x_shape[:2])} of x_shape, got shape {dy.shape}")


@overload
def max_pool2d(
    x: np.ndarray,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> np.ndarray: ...
@overload
def max_pool2d(
    x: np.ndarray,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any: ...
def max_pool2d(
    x: np.ndarray,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest value of each window.

    ``y[n, c, i, j] = max over k, l of x[n, c, row, column]``, where ``row = i*stride - padding + k*dilation``
    and ``column = j*stride - padding + l*dilation``.

    Padding never wins, NaN always does, and the first of several equal maxima does.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W), float32 or float64
    kernel_size, stride, padding, dilation : int or (int, int)
        In pixels, rows first. ``stride`` is ``kernel_size`` unless given; ``padding`` is at most half
        the kernel.
    ceil_mode : bool
        Round the output size up, so that the last window may reach beyond the padded input.
    return_indices : bool
        Return ``(y, indices)``: ``indices`` (int32, shaped as ``y``) says where in its input plane each
        maximum lies, as ``row * W + column``. `max_pool2d_backward` needs it.

    Returns
    -------
    ndarray of shape (N, C, OH, OW), where OH = (H + 2*padding - dilation*(kernel_size - 1) - 1) // stride + 1

    Raises
    ------
    TypeError, ValueError
        If ``x`` is not a real image batch, or the windows do not fit into it.

    References
    ----------
    *Deep Learning from Scratch*, section 7.3.
    """
    y, indices = max_pool2d_relu(
        x, kernel_size, stride, padding, dilation, ceil_mode, return_indices=return_indices, relu=False
    )
    return y if indices is None else (y, indices)


def max_pool2d_relu(
    x: np.ndarray,
    kernel_size: Pair,
    stride: Pair | None,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
    *,
    return_indices: bool,
    relu: bool = True,
) -> tuple[np.ndarray, np.ndarray | None]:
    """`relu` of `max_pool2d`, and the indices if asked for, in one pass; not public.

    The index of what `relu` sets to zero is minus one.
    """
    x = _checks.as_nchw(x, "max_pool2d: x")
    windows = windows_of(x.shape, kernel_size, stride, padding, dilation, ceil_mode, "max_pool2d")
    check_numbering(x.shape[2:], "max_pool2d: x")
    shape = _checks.checked_size(x.shape[:2] + windows.out, "max_pool2d: the result")
    y = empty(shape, x.dtype)
    indices = empty(shape, np.int32) if return_indices else None
    if y.size:
        max_pool.max_pool2d(
            x, y, indices, *windows.kernel, *windows.stride, *windows.padding, *windows.dilation, relu,
            get_num_threads(),
        )  # fmt: skip
    return y, indices


def max_pool2d_backward(dy: np.ndarray, indices: np.ndarray, x_shape: Sequence[int]) -> np.ndarray:
    """The gradient of `max_pool2d`: each ``dy`` goes to the input that won its window.

    ``dx[n, c, p] = sum of dy[n, c, i, j] over the windows i, j with indices[n, c, i, j] == p``

    Parameters
    ----------
    dy : ndarray of shape (N, C, OH, OW), float32 or float64
    indices : ndarray of the same shape, int32 or int64
        As `max_pool2d` returned them.
    x_shape : (N, C, H, W)
        The shape of the input.

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not match, or an index is not in ``0 ... H*W - 1``.

    References
    ----------
    *Deep Learning from Scratch*, section 7.4.4.
    """
    return max_pool2d_relu_backward(dy, indices, x_shape, relu=False)


def max_pool2d_relu_backward(
    dy: np.ndarray, indices: np.ndarray, x_shape: Sequence[int], *, relu: bool = True
) -> np.ndarray:
    """The gradient of `max_pool2d_relu`, in one pass; not public."""
    name = "max_pool2d_backward"
    dy = _checks.as_nchw(dy, f"{name}: dy")
    x_shape = _checks.checked_shape(x_shape, f"{name}: x_shape", 4)
    has_pixels(x_shape, name)
    _same_planes(dy, x_shape, name)
    check_numbering(x_shape[2:], f"{name}: x_shape")
    indices = _winners(indices, dy, x_shape[2] * x_shape[3], name)
    if dy.size == 0:
        return zeros(x_shape, dy.dtype)
    dx = empty(x_shape, dy.dtype)
    if not max_pool.max_pool2d_backward(dy, indices, dx, relu, get_num_threads()):
        _refuse_outsiders(indices, x_shape[2] * x_shape[3], name)
    return dx


def _winners(indices: np.ndarray, dy: np.ndarray, plane: int, name: str) -> np.ndarray:
    """Indices as C-contiguous int32; the kernel says whether they are inside the plane."""
    if (  # as max_pool2d made them: one quick test, the long way for all others
        type(indices) is np.ndarray
        and indices.dtype == _INDEX
        and indices.shape == dy.shape
        and indices.flags.carray
    ):
        return indices
    if not isinstance(indices, np.ndarray) or indices.dtype.newbyteorder("=") not in (np.int32, np.int64):
        raise TypeError(f"{name}: indices: expects int32 or int64 from max_pool2d, got {_kind(indices)}")
    _checks.same_shape(indices, f"{name}: indices", dy.shape, "dy")
    native = np.require(indices, indices.dtype.newbyteorder("="), ["C_CONTIGUOUS", "ALIGNED"])
    if native.dtype != np.int32:
        _refuse_outsiders(native, plane, name)  # before they are cut to 32 bits
    return native.astype(np.int32, copy=False)


def _refuse_outsiders(indices: np.ndarray, plane: int, name: str) -> None:
    outside = (indices < 0) | (indices >= plane)
    if outside.any():
        wrong = indices[outside][0]
        raise ValueError(f"{name}: indices: {wrong} is not in 0 ... {plane - 1} of a plane of x_shape")


def _kind(x: object) -> str:
    return str(x.dtype) if isinstance(x, np.ndarray) else type(x).__name__


def _divisor(divisor_override: int | None, name: str) -> float:
    """The kernel's divisor argument, where 0 means: count the window's pixels."""
    if divisor_override is None:
        return 0.0
    value = _checks.integer(divisor_override, f"{name}: divisor_override", at_least=-(2**62))
    if value == 0:
        raise ValueError(f"{name}: divisor_override: expects an integer other than 0")
    return float(value)


def avg_pool2d(
    x: np.ndarray,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """The mean of each window.

    ``y[n, c, i, j] = sum over k, l of x[n, c, i*stride - padding + k, j*stride - padding + l] / divisor``

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W), float32 or float64
    kernel_size, stride, padding : int or (int, int)
        In pixels, rows first. ``stride`` is ``kernel_size`` unless given; ``padding`` is zeros, at most half
        the kernel.
    ceil_mode : bool
        Round the output size up, so that the last window may reach beyond the padded input.
    count_include_pad : bool
        Whether the divisor, the number of pixels in the window, counts those of the padding.
    divisor_override : int, optional
        Divide by this instead.

    Returns
    -------
    ndarray of shape (N, C, OH, OW), where OH = (H + 2*padding - kernel_size) // stride + 1

    Raises
    ------
    TypeError, ValueError
        If ``x`` is not a real image batch, or the windows do not fit into it.

    References
    ----------
    *Deep Learning from Scratch*, section 7.3.
    """
    x = _checks.as_nchw(x, "avg_pool2d: x")
    windows = windows_of(x.shape, kernel_size, stride, padding, 1, ceil_mode, "avg_pool2d")
    divisor = _divisor(divisor_override, "avg_pool2d")
    y = empty(_checks.checked_size(x.shape[:2] + windows.out, "avg_pool2d: the result"), x.dtype)
    if y.size:
        avg_pool.avg_pool2d(
            x, y, *windows.kernel, *windows.stride, *windows.padding,
            bool(count_include_pad), divisor, get_num_threads(),
        )  # fmt: skip
    return y


def avg_pool2d_backward(
    dy: np.ndarray,
    x_shape: Sequence[int],
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> np.ndarray:
    """The gradient of `avg_pool2d`: each ``dy / divisor`` goes to all inputs of its window.

    Parameters
    ----------
    dy : ndarray of shape (N, C, OH, OW), float32 or float64
    x_shape : (N, C, H, W)
        The shape of the input.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As given to `avg_pool2d`.

    Raises
    ------
    TypeError, ValueError
        If ``dy`` is not what `avg_pool2d` would give for ``x_shape``, or an argument is wrong.
    """
    name = "avg_pool2d_backward"
    dy = _checks.as_nchw(dy, f"{name}: dy")
    x_shape = _checks.checked_shape(x_shape, f"{name}: x_shape", 4)
    windows = windows_of(x_shape, kernel_size, stride, padding, 1, ceil_mode, name)
    divisor = _divisor(divisor_override, name)
    _checks.same_shape(dy, f"{name}: dy", x_shape[:2] + windows.out, "avg_pool2d's result")
    dx = empty(x_shape, dy.dtype)
    if dx.size:
        avg_pool.avg_pool2d_backward(
            dy, dx, *windows.kernel, *windows.stride, *windows.padding,
            bool(count_include_pad), divisor, get_num_threads(),
        )  # fmt: skip
    return dx


def adaptive_avg_pool2d(x: np.ndarray, output_size: int | Sequence[int | None] | None) -> np.ndarray:
    """The mean of each window, with windows chosen so that the output has a given size.

    Window i of OH covers the rows ``floor(i*H/OH) ... ceil((i + 1)*H/OH) - 1``, and so for columns;
    ``output_size=1`` is global average pooling.

    Parameters
    ----------
    x : ndarray of shape (N, C, H, W), float32 or float64
    output_size : int, None, or a pair of them
        Rows and columns of the output; None keeps the input's.

    Returns
    -------
    ndarray of shape (N, C, *output_size)

    Raises
    ------
    TypeError, ValueError
        If ``x`` is not a real image batch, or ``output_size`` not a positive size.

    References
    ----------
    Lin, Chen and Yan, "Network in Network" (2014), section 3.2.
    """
    name = "adaptive_avg_pool2d"
    x = _checks.as_nchw(x, f"{name}: x")
    has_pixels(x.shape, name)
    sizes = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    if len(sizes) != 2:
        raise ValueError(f"{name}: output_size: expects an integer or a pair, got {shown(output_size)}")
    kept = [x.shape[2 + axis] if size is None else size for axis, size in enumerate(sizes)]
    out = _checks.pair(kept, f"{name}: output_size")
    y = empty(_checks.checked_size(x.shape[:2] + out, f"{name}: the result"), x.dtype)
    if y.size:
        avg_pool.adaptive_avg_pool2d(x, y, get_num_threads())
    return y


def adaptive_avg_pool2d_backward(dy: np.ndarray, x_shape: Sequence[int]) -> np.ndarray:
    """The gradient of `adaptive_avg_pool2d`: each ``dy`` is shared equally among the inputs of its window.

    Parameters
    ----------
    dy : ndarray of shape (N, C, OH, OW), float32 or float64
    x_shape : (N, C, H, W)
        The shape of the input.

    Raises
    ------
    TypeError, ValueError
        If shapes do not match.
    """
    name = "adaptive_avg_pool2d_backward"
    dy = _checks.as_nchw(dy, f"{name}: dy")
    x_shape = _checks.checked_shape(x_shape, f"{name}: x_shape", 4)
    has_pixels(x_shape, name)
    _same_planes(dy, x_shape, name)
    if dy.size == 0:
        return zeros(x_shape, dy.dtype)
    dx = empty(x_shape, dy.dtype)
    avg_pool.adaptive_avg_pool2d_backward(dy, dx, get_num_threads())
    return dx
