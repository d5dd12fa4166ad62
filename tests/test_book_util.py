"""Rows U1 to U5: the helpers of cnn_core.book."""

import book_naive as naive
import numpy as np
import pytest

from cnn_core.book.util import col2im, conv_output_size, im2col, shuffle_dataset, smooth_curve

WINDOWS = [  # (N, C, H, W), filter_h, filter_w, stride, pad
    ((1, 1, 3, 3), 3, 3, 1, 0),
    ((2, 3, 7, 7), 5, 5, 1, 0),
    ((2, 3, 7, 6), 3, 2, 2, 1),
    ((3, 1, 5, 8), 2, 4, 3, 2),
]


def test_smooth_curve():
    x = naive.images(40)
    window = np.kaiser(11, 2)
    window /= window.sum()
    mirrored = np.concatenate([x[5:0:-1], x, x[:-6:-1]])  # as in the book: only the right end is repeated
    expected = [np.dot(window, mirrored[i : i + 11]) for i in range(40)]
    np.testing.assert_allclose(smooth_curve(x), expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(smooth_curve([3] * 11), [3.0] * 11)


def test_smooth_curve_needs_a_window_of_numbers():
    with pytest.raises(ValueError, match="at least 11"):
        smooth_curve(np.zeros(10))


@pytest.mark.parametrize("shape", [(20, 5), (20, 1, 2, 3)])
def test_shuffle_dataset_keeps_pairs_together(shape):
    x = np.arange(np.prod(shape)).reshape(shape)
    t = x.reshape(20, -1)[:, 0].copy()
    shuffled_x, shuffled_t = shuffle_dataset(x, t, rng=0)
    np.testing.assert_array_equal(shuffled_x.reshape(20, -1)[:, 0], shuffled_t)
    assert sorted(shuffled_t) == sorted(t)
    assert list(shuffled_t) != list(t)
    assert t[0] == 0
    np.testing.assert_array_equal(shuffle_dataset(x, t, rng=0)[1], shuffled_t)


def test_shuffle_dataset_refuses_unequal_lengths():
    with pytest.raises(ValueError, match="3 items, t has 2"):
        shuffle_dataset(np.zeros((3, 2)), np.zeros(2))


def test_conv_output_size_is_whole():
    """Fixed: the book returns a float that is not rounded down, 12.5 for (28, 5, stride 2)."""
    assert conv_output_size(28, 5) == 24
    assert conv_output_size(28, 3, stride=1, pad=1) == 28
    assert isinstance(conv_output_size(28, 5, stride=2), int)
    assert conv_output_size(28, 5, stride=2) == 12
    assert conv_output_size(7, 7, stride=5) == 1
    for size, window, stride, pad in [(28, 5, 2, 0), (9, 2, 3, 1), (5, 5, 1, 0)]:
        assert conv_output_size(size, window, stride, pad) == naive.out_size(size, window, stride, pad)


def test_conv_output_size_raises_on_a_rest_only_if_asked():
    assert conv_output_size(29, 5, stride=2, exact=True) == 13
    with pytest.raises(ValueError, match=r"12\.5 is not whole"):
        conv_output_size(28, 5, stride=2, exact=True)


@pytest.mark.parametrize("args", [(4, 5), (4, 2, 0), (4, 2, 1, -1), (4, 0)])
def test_conv_output_size_refuses_what_cannot_be(args):
    with pytest.raises(ValueError, match=r"larger|expects"):
        conv_output_size(*args)


@pytest.mark.parametrize(("shape", "fh", "fw", "stride", "pad"), WINDOWS)
def test_im2col_and_col2im(shape, fh, fw, stride, pad):
    x = naive.images(*shape)
    col = im2col(x, fh, fw, stride, pad)
    np.testing.assert_array_equal(col, naive.im2col(x, fh, fw, stride, pad))

    weights = naive.images(*col.shape, seed=1)
    back = col2im(weights, shape, fh, fw, stride, pad)
    np.testing.assert_allclose(back, naive.col2im(weights, shape, fh, fw, stride, pad), rtol=0, atol=1e-12)
    assert np.sum(col * weights) == pytest.approx(np.sum(x * back), abs=1e-12)


def test_im2col_shapes_and_dtype_of_the_book():
    assert im2col(np.random.default_rng(0).random((1, 3, 7, 7)), 5, 5, stride=1, pad=0).shape == (9, 75)
    assert im2col(np.random.default_rng(0).random((10, 3, 7, 7)), 5, 5, stride=1, pad=0).shape == (90, 75)
    assert im2col(np.ones((1, 1, 4, 4), np.float32), 2, 2).dtype == np.float32
