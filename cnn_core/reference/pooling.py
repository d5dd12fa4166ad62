"""Max and average pooling, one window at a time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cnn_core.reference._common import Array, Pair, f64, pair

Shape = tuple[int, int, int, int]


def _out_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Count the windows: in ceil mode the last one may hang over, but must start inside input or left pad."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    out = -(-room // stride) + 1
    return out - 1 if (out - 1) * stride >= size + padding else out


def max_pool2d(
    x: Array,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array | tuple[Array, NDArray[np.int32]]:
    """``y[n,c,i,j]`` = the largest pixel of the window; its index is ``h * W + w`` in the input plane.

    The first maximum wins ties and NaN wins its window, as in ``numpy.argmax``. Padding is never a candidate.
    """
    n, c, *plane = x.shape
    geometry = list(
        zip(plane, pair(kernel_size), pair(stride or kernel_size), pair(padding), pair(dilation), strict=True)
    )
    oh, ow = (_out_size(*axis, ceil_mode) for axis in geometry)
    y = np.empty((n, c, oh, ow), x.dtype)
    indices = np.empty((n, c, oh, ow), np.int32)
    for i, j in np.ndindex(oh, ow):
        rows, columns = (
            [p * s - pad + k * d for k in range(kernel) if 0 <= p * s - pad + k * d < size]
            for p, (size, kernel, s, pad, d) in zip((i, j), geometry, strict=True)
        )
        window = x[:, :, rows][:, :, :, columns].reshape(n, c, len(rows) * len(columns))
        flat = np.add.outer(np.array(rows) * plane[1], columns).ravel()
        winner = np.argmax(window, axis=2)
        indices[:, :, i, j] = flat[winner]
        y[:, :, i, j] = np.take_along_axis(window, winner[:, :, None], axis=2)[:, :, 0]
    return (y, indices) if return_indices else y


def max_pool2d_backward(dy: Array, indices: NDArray[np.integer], x_shape: Shape) -> Array:
    """Every ``dy`` goes to the pixel that won its window; windows that share a winner add up."""
    n, c, h, w = x_shape
    dx = np.zeros((n, c, h * w))
    for where in np.ndindex(dy.shape):
        dx[where[0], where[1], indices[where]] += dy[where]
    return dx.reshape(x_shape).astype(dy.dtype)


def _average_windows(
    plane: Sequence[int],
    kernel_size: Pair,
    stride: Pair | None,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[tuple[int, int], list[tuple[tuple[int, int], tuple[slice, slice], int]]]:
    """Return the output size and, for each output pixel, its window inside the input and its divisor.

    A window that hangs over the far edge in ceil mode counts the padding but nothing beyond it.
    """
    geometry = list(zip(plane, pair(kernel_size), pair(stride or kernel_size), pair(padding), strict=True))
    oh, ow = (_out_size(size, k, s, p, 1, ceil_mode) for size, k, s, p in geometry)
    windows = []
    for i, j in np.ndindex(oh, ow):
        padded, clipped = [], []
        for pixel, (size, k, s, p) in zip((i, j), geometry, strict=True):
            start, stop = pixel * s - p, min(pixel * s - p + k, size + p)
            padded.append(stop - start)
            clipped.append(slice(max(start, 0), min(stop, size)))
        inside = (clipped[0].stop - clipped[0].start) * (clipped[1].stop - clipped[1].start)
        divisor = divisor_override or (padded[0] * padded[1] if count_include_pad else inside)
        windows.append(((i, j), (clipped[0], clipped[1]), divisor))
    return (oh, ow), windows


def avg_pool2d(
    x: Array,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """``y[n,c,i,j]`` = sum of the window / divisor, padding counting as zeros (or not at all)."""
    size, windows = _average_windows(
        x.shape[2:], kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    y = np.empty((*x.shape[:2], *size))
    for (i, j), (rows, columns), divisor in windows:
        y[:, :, i, j] = f64(x)[:, :, rows, columns].sum(axis=(2, 3)) / divisor
    return y.astype(x.dtype)


def avg_pool2d_backward(
    dy: Array,
    x_shape: Shape,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """Every pixel of a window receives ``dy / divisor``."""
    _, windows = _average_windows(
        x_shape[2:], kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )
    dx = np.zeros(x_shape)
    for (i, j), (rows, columns), divisor in windows:
        dx[:, :, rows, columns] += f64(dy)[:, :, i, j, None, None] / divisor
    return dx.astype(dy.dtype)


def _adaptive_windows(
    plane: Sequence[int], output_size: int | tuple[int | None, int | None] | None
) -> tuple[tuple[int, int], list[tuple[tuple[int, int], tuple[slice, slice]]]]:
    """Output pixel i of o averages the input from ``floor(i * size / o)`` to ``ceil((i + 1) * size / o)``."""
    wanted = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    oh, ow = (size if out is None else out for size, out in zip(plane, wanted, strict=True))
    windows = []
    for i, j in np.ndindex(oh, ow):
        rows, columns = (
            slice(pixel * size // out, -(-(pixel + 1) * size // out))
            for pixel, size, out in zip((i, j), plane, (oh, ow), strict=True)
        )
        windows.append(((i, j), (rows, columns)))
    return (oh, ow), windows


def adaptive_avg_pool2d(x: Array, output_size: int | tuple[int | None, int | None] | None) -> Array:
    """Divide the plane into ``output_size`` windows as even as can be, and average each."""
    size, windows = _adaptive_windows(x.shape[2:], output_size)
    y = np.empty((*x.shape[:2], *size))
    for (i, j), (rows, columns) in windows:
        y[:, :, i, j] = f64(x)[:, :, rows, columns].mean(axis=(2, 3))
    return y.astype(x.dtype)


def adaptive_avg_pool2d_backward(dy: Array, x_shape: Shape) -> Array:
    """Every pixel of a window receives ``dy / size of the window``."""
    _, windows = _adaptive_windows(x_shape[2:], (dy.shape[2], dy.shape[3]))
    dx = np.zeros(x_shape)
    for (i, j), (rows, columns) in windows:
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        dx[:, :, rows, columns] += f64(dy)[:, :, i, j, None, None] / area
    return dx.astype(dy.dtype)
