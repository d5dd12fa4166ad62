"""Arrays whose memory comes from the library's cache."""

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from cnn_core._kernels import runtime

if TYPE_CHECKING:
    import numpy.typing as npt

# numpy's own small-block cache is quicker below this many elements.
_SMALL = 1 << 13


def empty(shape: tuple[int, ...], dtype: "npt.DTypeLike") -> np.ndarray:
    """An uninitialised C-contiguous array.

    Large ones stand on a block of the library's cache, which takes the block back when the last
    array or view on it is gone: nothing is ever reused while somebody can see it.
    """
    size = prod(shape)
    if size < _SMALL:
        return np.empty(shape, dtype)
    block = runtime.Block(size * np.dtype(dtype).itemsize)
    return np.ndarray(shape, dtype, buffer=block)  # type: ignore[arg-type]  # a buffer


def zeros(shape: tuple[int, ...], dtype: "npt.DTypeLike") -> np.ndarray:
    """Like `empty`, filled with zeros."""
    x = empty(shape, dtype)
    x.fill(0)
    return x
