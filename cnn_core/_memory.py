"""Arrays whose memory comes from the library's cache."""

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core._kernels import runtime

if TYPE_CHECKING:
    import numpy.typing as npt

# numpy's own small-block cache is quicker below this many elements.
_SMALL = 1 << 13

# Makes the arrays instead, if it is set: how `cnn_core.testing` sees what is done to outputs.
substitute: "Callable[[tuple[int, ...], npt.DTypeLike], np.ndarray] | None" = None


def empty(shape: tuple[int, ...], dtype: "npt.DTypeLike") -> np.ndarray:
    """An uninitialised C-contiguous array.

    Large ones stand on a block of the library's cache, which takes the block back when the last
    array or view on it is gone: nothing is ever reused while somebody can see it.
    """
    if substitute is not None:
        return substitute(shape, dtype)
    size = prod(shape)
    if size < _SMALL:
        return np.empty(shape, dtype)
    block: Any = runtime.Block(size * np.dtype(dtype).itemsize)  # a buffer; types cannot say so before 3.12
    return np.ndarray(shape, dtype, block)


def zeros(shape: tuple[int, ...], dtype: "npt.DTypeLike") -> np.ndarray:
    """Like `empty`, filled with zeros."""
    x = empty(shape, dtype)
    x.fill(0)
    return x
