"""im2col and col2im where vectors end: what fits into one, images that threads share, NaN beside pixels."""

import itertools

import numpy as np
import pytest

from cnn_core import reference
from cnn_core.functional import col2im, im2col


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", [1, 2, 3, (2, 4), 5, (1, 7), (3, 8), (2, 9)], ids=str)
def test_any_width(kernel, dtype):
    rng = np.random.default_rng(0)
    for width, stride, channels, padding in itertools.product(range(1, 14), (1, 2, 3), (1, 3), (0, 1)):
        shape = (2, channels, 7, width)
        geometry = {"kernel_size": kernel, "stride": stride, "padding": padding}
        x = rng.standard_normal(shape).astype(dtype)
        try:
            col = im2col(x, **geometry)
        except ValueError:  # no window fits
            continue
        np.testing.assert_array_equal(col, reference.im2col(x, **geometry))
        col = rng.standard_normal(col.shape)
        sums = reference.col2im(col, shape, **geometry)
        eps = 4 * np.finfo(dtype).eps * reference.col2im(np.abs(col), shape, **geometry)
        assert (np.abs(col2im(col.astype(dtype), shape, **geometry) - sums) <= eps).all(), (width, geometry)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", [2, 3, 5])
def test_groups_of_channels_do_not_change_a_bit(kernel, dtype, threads):
    """Threads share the channels of few images, and all but one group may read on after a window."""
    rng = np.random.default_rng(0)
    for shape in ((1, 8, 9, 10), (1, 3, 6, 13), (2, 5, 8, 7), (1, 70, 12, 30)):
        col = rng.standard_normal(im2col(np.zeros(shape), kernel, 1, 1).shape).astype(dtype)
        results = set()
        for n_threads in (1, 2, 3, 8):
            threads(n_threads)
            results.add(col2im(col, shape, kernel, 1, 1).tobytes())
        assert len(results) == 1, shape


@pytest.mark.parametrize("kernel", [3, 5])
def test_nan_stays_in_its_pixel(kernel):
    shape = (1, 2, 8, 12)
    col = np.zeros_like(im2col(np.zeros(shape, np.float32), kernel, 1, 1))
    col[17, 4] = np.nan
    col[-1, -1] = np.inf
    x, expected = col2im(col, shape, kernel, 1, 1), reference.col2im(col, shape, kernel, 1, 1)
    np.testing.assert_array_equal(x, expected)
