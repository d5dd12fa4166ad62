"""Arrays whose memory comes from the library's cache."""

import math

import numpy as np
import numpy.typing as npt

from cnn_core._kernels import runtime

# numpy's own small-block cache is quicker below this many bytes.
_SMALL = 1 << 15


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
    """An uninitialised C-contiguous array.

    Large ones stand on a block of the library's cache, which takes the block back when the last
    array or view on it is gone: nothing is ever reused while somebody can see it.
    """
    dtype = np.dtype(dtype)
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes < _SMALL:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, buffer=runtime.Block(nbytes))  # type: ignore[arg-type]  # a buffer


def zeros(shape: tuple[int, ...], dtype: npt.DTypeLike) -> np.ndarray:
    """Like `empty`, filled with zeros."""
    x = empty(shape, dtype)
    x.fill(0)
    return x
