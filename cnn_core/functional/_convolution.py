"""What convolutions check and decide before they compute: the geometry, and the algorithm."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from cnn_core._checks import Pair, as_nchw, as_real, integer, out_size, pair, shown
from cnn_core._memory import zeros

Padding = Pair | str


class Geometry(NamedTuple):
    """The numbers of a convolution, checked; rows first, then columns, in pixels."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    extra: tuple[int, int]  # zeros below and to the right beyond the padding: of uneven "same" padding
    dilation: tuple[int, int]
    groups: int
    out: tuple[int, int]
    numbers: tuple[int, int, int, int, int, int, int]  # stride to groups, as kernels take them
    by_winograd: bool


def winograd_pays(weight: tuple[int, ...], dtype: np.dtype, g: Geometry) -> bool:
    """Whether a convolution runs by Winograd's algorithm: the one place where the algorithm is chosen.

    It is for float32 and for 3x3 filters at stride 1. A quarter of the multiplications is left, but each
    channel and filter has to be transformed, and tiles of 4x4 pixels overhang small outputs. Forward on one
    thread, its speed over the direct sum's is 3.9 with 64 channels and filters, 2.9 with 32, 2.0 with 16, 1.3
    with 12, 0.7 with 8, 0.3 with 4; with 64 and outputs of 2x2 pixels still 3.7 (AVX-512; more with AVX2;
    backward much the same). docs/performance.md says how to measure it.
    """
    in_tiles = 16 * (-(-g.out[0] // 4)) * (-(-g.out[1] // 4))
    return (
        dtype == np.float32
        and g.kernel == (3, 3)
        and g.stride == g.dilation == (1, 1)
        and g.groups == 1
        and max(g.padding) <= 2
        and min(weight[:2]) >= 12
        and in_tiles <= 4 * g.out[0] * g.out[1]
    )


def arguments(
    name: str, x: np.ndarray, weight: np.ndarray, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> tuple[np.ndarray, np.ndarray, Geometry]:
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
    numbers = tuple(kernel), steps, pads, extra, gaps, groups
    return x, weight, _geometry(name, x.shape[2:], weight.shape, x.dtype, *numbers)


@lru_cache(maxsize=1024)  # a network asks for the same few again and again
def _geometry(
    name: str,
    size: tuple[int, int],
    weight: tuple[int, ...],
    dtype: np.dtype,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    extra: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
) -> Geometry:
    out = (
        out_size(size[0] + extra[0], kernel[0], stride[0], padding[0], dilation[0], name=f"{name}: height"),
        out_size(size[1] + extra[1], kernel[1], stride[1], padding[1], dilation[1], name=f"{name}: width"),
    )
    numbers = *stride, *padding, *dilation, groups
    g = Geometry(kernel, stride, padding, extra, dilation, groups, out, numbers, False)
    return g._replace(by_winograd=winograd_pays(weight, dtype, g))


def _paddings(
    name: str, padding: Padding, kernel: list[int], steps: tuple[int, int], gaps: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The padding on all sides, and what "same" adds below and to the right, as torch does."""
    if not isinstance(padding, str):
        return pair(padding, f"{name}: padding", at_least=0), (0, 0)
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        raise ValueError(f"{name}: padding: expects integers, 'same' or 'valid', got {shown(padding)}")
    if steps != (1, 1):
        raise ValueError(f"{name}: padding='same' needs stride 1, got {steps}")
    rows, columns = gaps[0] * (kernel[0] - 1), gaps[1] * (kernel[1] - 1)
    return (rows // 2, columns // 2), (rows % 2, columns % 2)


def with_extra(x: np.ndarray, g: Geometry) -> np.ndarray:
    """``x`` itself, or a copy with the extra row or column of zeros that the kernels do not know of."""
    if g.extra == (0, 0):
        return x
    n, c, h, w = x.shape
    padded = zeros((n, c, h + g.extra[0], w + g.extra[1]), x.dtype)
    padded[:, :, :h, :w] = x
    return padded
