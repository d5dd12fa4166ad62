"""The windows of a pooling: how many fit, and whether each of them sees the image."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from cnn_core import _checks
from cnn_core._checks import Pair


class Windows(NamedTuple):
    """The geometry of one pooling, checked: rows first, then columns."""

    out: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]


_MOST_PIXELS = 2**31 - 1


def check_numbering(size: Sequence[int], name: str) -> None:
    """Raise ValueError if planes of ``size`` (rows, columns) have more pixels than int32 can number."""
    if size[0] * size[1] > _MOST_PIXELS:
        raise ValueError(f"{name}: planes of {tuple(size)} pixels are more than int32 can number")


def windows_of(
    x_shape: Sequence[int],
    kernel_size: Pair,
    stride: Pair | None,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
    name: str,
) -> Windows:
    """The windows over images of ``x_shape`` (N, C, H, W), each of which holds at least one pixel.

    Raises
    ------
    TypeError, ValueError
        If an argument is not what it should be, or the windows do not fit.
    """
    kernel = _checks.pair(kernel_size, f"{name}: kernel_size")
    step = kernel if stride is None else _checks.pair(stride, f"{name}: stride")
    pad = _checks.pair(padding, f"{name}: padding", at_least=0)
    spacing = _checks.pair(dilation, f"{name}: dilation")
    return _fitted(tuple(x_shape), kernel, step, pad, spacing, bool(ceil_mode), name)


@lru_cache  # a network asks for the same few geometries again and again
def _fitted(
    x_shape: tuple[int, ...],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    ceil_mode: bool,
    name: str,
) -> Windows:
    has_pixels(x_shape, name)
    rows, columns = (
        _out_size(size, k, s, p, d, ceil_mode, name)
        for size, k, s, p, d in zip(x_shape[2:], kernel, stride, padding, dilation, strict=True)
    )
    return Windows((rows, columns), kernel, stride, padding, dilation)


def has_pixels(x_shape: Sequence[int], name: str) -> None:
    """Raise ValueError if images of ``x_shape`` (N, C, H, W) are empty; a batch may be."""
    if 0 in x_shape[1:]:
        raise ValueError(f"{name}: x: expects at least one channel, row and column, got {tuple(x_shape)}")


def _out_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool, name: str
) -> int:
    out = _checks.pool_size(size, kernel, stride, padding, dilation, ceil_mode, name=name)
    if dilation > size:  # the taps of a window that starts on the padding may jump over the whole input
        starts_on_padding = min(out, -(-padding // stride))
        if any((o * stride - padding) % dilation >= size for o in range(starts_on_padding)):
            raise ValueError(
                f"{name}: dilation {dilation} and padding {padding} make a window that jumps over the whole "
                f"input of {size}: use a dilation of at most {size}"
            )
    return out
