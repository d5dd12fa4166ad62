"""Convolution and its column form, one output pixel at a time."""

import numpy as np

from cnn_core.reference._common import Array, Padding, Pair, f64, pair


def _sides(padding: Padding, kernel_size: Pair, dilation: Pair) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return ``((top, bottom), (left, right))``; "same" puts an odd pixel at the bottom and at the right."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(pair(kernel_size), pair(dilation), strict=True)]
        top, left = (total // 2 for total in totals)
        return (top, totals[0] - top), (left, totals[1] - left)
    assert not isinstance(padding, str)
    ph, pw = pair(padding)
    return (ph, ph), (pw, pw)


class _Windows:
    """The windows that a kernel visits on a zero-padded plane, each as a slice."""

    def __init__(
        self,
        plane: tuple[int, int],
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
    ) -> None:
        self.sides = _sides(padding, kernel_size, dilation)
        self.kernel_size, self.stride, self.dilation = pair(kernel_size), pair(stride), pair(dilation)
        self.plane = plane
        self.padded = tuple(size + sum(side) for size, side in zip(plane, self.sides, strict=True))
        # out = floor((in + before + after - dilation * (kernel - 1) - 1) / stride) + 1
        self.oh, self.ow = (
            (size - d * (k - 1) - 1) // s + 1
            for size, k, s, d in zip(self.padded, self.kernel_size, self.stride, self.dilation, strict=True)
        )

    def pad(self, x: Array) -> Array:
        """Surround the last two axes with zeros."""
        return np.pad(x, ((0, 0), (0, 0), *self.sides))

    def crop(self, padded: Array) -> Array:
        """Undo :meth:`pad`."""
        (top, _), (left, _) = self.sides
        return padded[:, :, top : top + self.plane[0], left : left + self.plane[1]]

    def __getitem__(self, pixel: tuple[int, int]) -> tuple[slice, slice]:
        """Return the rows and columns of the padded plane that output pixel ``(i, j)`` sees."""
        rows, columns = (
            slice(i * s, i * s + d * (k - 1) + 1, d)
            for i, k, s, d in zip(pixel, self.kernel_size, self.stride, self.dilation, strict=True)
        )
        return rows, columns


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """``y[n,f,i,j] = b[f] + sum_{c,k,l} x[n, c, i*s + k*d - p, j*s + l*d - p] * w[f,c,k,l]``.

    With groups, filter ``f`` of group ``g`` sees the channels of group ``g`` only.
    """
    windows = _Windows(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    xp, w = windows.pad(f64(x)), f64(weight)
    y = np.zeros((x.shape[0], w.shape[0], windows.oh, windows.ow))
    for filters, channels in _groups(w, groups):
        for i, j in np.ndindex(windows.oh, windows.ow):
            rows, columns = windows[i, j]
            y[:, filters, i, j] = np.einsum("nckl,fckl->nf", xp[:, channels, rows, columns], w[filters])
    if bias is not None:
        y += f64(bias)[:, None, None]
    return y.astype(x.dtype)


def conv2d_backward(
    dy: Array,
    x: Array,
    weight: Array,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    need_dx: bool = True,
    need_dbias: bool = True,
) -> tuple[Array | None, Array, Array | None]:
    """Each output pixel gives ``dy * w`` to its window of dx and ``dy * window`` to dw; ``db = sum dy``."""
    windows = _Windows(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    xp, w, dy = windows.pad(f64(x)), f64(weight), f64(dy)
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for filters, channels in _groups(w, groups):
        for i, j in np.ndindex(windows.oh, windows.ow):
            rows, columns = windows[i, j]
            pixel = dy[:, filters, i, j]
            dw[filters] += np.einsum("nf,nckl->fckl", pixel, xp[:, channels, rows, columns])
            dxp[:, channels, rows, columns] += np.einsum("nf,fckl->nckl", pixel, w[filters])
    dx = windows.crop(dxp).astype(x.dtype) if need_dx else None
    db = dy.sum(axis=(0, 2, 3)).astype(x.dtype) if need_dbias else None
    return dx, dw.astype(x.dtype), db


def _groups(weight: Array, groups: int) -> list[tuple[slice, slice]]:
    """Return the filters and the input channels of every group."""
    filters, channels = weight.shape[0] // groups, weight.shape[1]
    return [
        (slice(g * filters, (g + 1) * filters), slice(g * channels, (g + 1) * channels))
        for g in range(groups)
    ]


def im2col(x: Array, kernel_size: Pair, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1) -> Array:
    """Row ``(n, i, j)`` is the window of output pixel (i, j) of image n, in the order ``(c, k, l)``."""
    windows = _Windows(x.shape[2:], kernel_size, stride, padding, dilation)
    xp, (n, c), (kh, kw) = windows.pad(x), x.shape[:2], pair(kernel_size)
    col = np.empty((n, windows.oh, windows.ow, c, kh, kw), x.dtype)
    for i, j in np.ndindex(windows.oh, windows.ow):
        rows, columns = windows[i, j]
        col[:, i, j] = xp[:, :, rows, columns]
    return col.reshape(n * windows.oh * windows.ow, c * kh * kw)


def col2im(
    col: Array,
    x_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
) -> Array:
    """The adjoint of :func:`im2col`: every window is added back to the place it came from."""
    n, c, h, w = x_shape
    windows = _Windows((h, w), kernel_size, stride, padding, dilation)
    col6 = f64(col).reshape(n, windows.oh, windows.ow, c, *pair(kernel_size))
    xp = np.zeros((n, c, *windows.padded))
    for i, j in np.ndindex(windows.oh, windows.ow):
        rows, columns = windows[i, j]
        xp[:, :, rows, columns] += col6[:, i, j]
    return windows.crop(xp).astype(col.dtype)
