"""Column matrices, shuffling and smoothing (the book's ``common/util.py``)."""

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import functional
from cnn_core._checks import integer, out_size
from cnn_core.book._arrays import Array, Seed, promote

__all__ = ["col2im", "conv_output_size", "im2col", "np", "shuffle_dataset", "smooth_curve"]

WINDOW = 11  # points under the smoothing window


def smooth_curve(x: ArrayLike) -> Array:
    """Return x smoothed by a Kaiser window of 11 points (beta = 2), for plots of losses (section 6.1.8).

    The ends are continued by reflection, so the result has as many points as x.

    Raises
    ------
    ValueError
        If x is not a sequence of at least 11 numbers.
    """
    (x,) = promote(x)
    if x.ndim != 1 or x.size < WINDOW:
        raise ValueError(f"expects at least {WINDOW} numbers in a row, got shape {x.shape}")
    reflected = np.concatenate([x[WINDOW - 1 : 0 : -1], x, x[-1:-WINDOW:-1]])
    window = np.kaiser(WINDOW, 2)
    smooth = np.convolve(window / window.sum(), reflected, mode="valid")
    return smooth[5:-5]


def shuffle_dataset(x: Array, t: Array, *, rng: Seed = None) -> tuple[Array, Array]:
    """Return x and t in one common random order (section 6.5.2).

    Parameters
    ----------
    x : array (N, ...)
        2-D or 4-D in the book, any shape here.
    t : array (N, ...)
    rng : numpy.random.Generator, int or None
    """
    if len(x) != len(t):
        raise ValueError(f"x has {len(x)} items, t has {len(t)}")
    order = np.random.default_rng(rng).permutation(len(x))
    return x[order], t[order]


def conv_output_size(
    input_size: int, filter_size: int, stride: int = 1, pad: int = 0, *, exact: bool = False
) -> int:
    """Return ``(input_size + 2 * pad - filter_size) // stride + 1``, the length of a convolution's output.

    The book returns a float that need not be whole; this is the number of positions the filter really takes.

    Raises
    ------
    ValueError
        If the filter is larger than the padded input or, only with ``exact=True``, if rows are left over
        behind the last position.
    """
    integer(filter_size, "filter_size", at_least=1)
    integer(stride, "stride", at_least=1)
    integer(pad, "pad", at_least=0)
    size = out_size(input_size, filter_size, stride, pad, name="conv_output_size")
    rest = (input_size + 2 * pad - filter_size) % stride
    if exact and rest:
        raise ValueError(
            f"({input_size} + 2*{pad} - {filter_size}) / {stride} + 1 = {size + rest / stride:g} "
            f"is not whole: {rest} of {input_size + 2 * pad} rows or columns are left over"
        )
    return size


def im2col(input_data: ArrayLike, filter_h: int, filter_w: int, stride: int = 1, pad: int = 0) -> Array:
    """Lay every window of a batch of images out as a row (section 7.4.3).

    Parameters
    ----------
    input_data : array (N, C, H, W)
    filter_h, filter_w, stride, pad : int

    Returns
    -------
    array (N * OH * OW, C * filter_h * filter_w)
        ``OH = (H + 2*pad - filter_h) // stride + 1``; zeros where a window reaches into the padding.
    """
    (x,) = promote(input_data)
    return functional.im2col(x, (filter_h, filter_w), stride, pad)


def col2im(
    col: ArrayLike, input_shape: tuple[int, ...], filter_h: int, filter_w: int, stride: int = 1, pad: int = 0
) -> Array:
    """Add the rows of a column matrix back into images: the adjoint of :func:`im2col`.

    Overlapping windows add up, so ``col2im(im2col(x))`` counts each pixel once per window that sees it.

    Parameters
    ----------
    col : array (N * OH * OW, C * filter_h * filter_w)
    input_shape : (N, C, H, W)
        Shape of the result.
    """
    (col,) = promote(col)
    n, c, h, w = input_shape
    return functional.col2im(col, (n, c, h, w), (filter_h, filter_w), stride, pad)
