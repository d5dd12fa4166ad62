"""to_float and Normalize."""

import numpy as np
import pytest

from cnn_core.data import Normalize, to_float


def test_to_float_is_division_in_single_precision():
    x = np.arange(256, dtype=np.uint8).reshape(2, 128)
    y = to_float(x)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, x.astype(np.float32) / np.float32(255))
    assert y.max() == 1


@pytest.mark.parametrize("shape", [(), (0, 3), (600, 2)])
def test_to_float_shapes_and_out(shape):
    x = np.full(shape, 8, np.int64)
    out = np.full(shape, np.nan, np.float32)
    assert to_float(x, maximum=16, out=out) is out
    np.testing.assert_array_equal(out, np.full(shape, 0.5))
    np.testing.assert_array_equal(to_float(x, maximum=16), out)


@pytest.mark.parametrize(
    ("x", "options", "error"),
    [
        ([1], {}, TypeError),
        (np.ones(3), {}, TypeError),
        (np.ones(3, bool), {}, TypeError),
        (np.ones(3, int), {"maximum": 0}, ValueError),
        (np.ones(3, int), {"maximum": np.inf}, ValueError),
        (np.ones(3, int), {"out": np.ones(3)}, TypeError),
        (np.ones(3, int), {"out": np.ones(4, np.float32)}, ValueError),
    ],
)
def test_to_float_bad_arguments(x, options, error):
    with pytest.raises(error):
        to_float(x, **options)


@pytest.fixture
def x():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((600, 3, 4, 5)) * [[[[1]], [[2]], [[5]]]] + [[[[0]], [[1]], [[-3]]]]).astype(
        np.float32
    )


def test_fit_takes_statistics_per_channel(x):
    normalize = Normalize.fit(x)
    np.testing.assert_allclose(normalize.mean, x.mean((0, 2, 3), np.float64), rtol=1e-12)
    np.testing.assert_allclose(normalize.std, x.std((0, 2, 3), np.float64), rtol=1e-12)


def test_fit_keeps_precision_far_from_zero():
    x = np.float32([[1e6], [1e6 + 1], [1e6 + 2]])
    np.testing.assert_allclose(Normalize.fit(x).std, np.sqrt(2 / 3), rtol=1e-12)


def test_apply_and_inverse(x):
    normalize = Normalize.fit(x)
    before = x.copy()
    y = normalize(x)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(y.mean((0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(y.std((0, 2, 3)), 1, rtol=1e-5)
    np.testing.assert_allclose(normalize.inverse(y), x, atol=1e-5)


def test_in_place(x):
    normalize = Normalize([0, 1, -3], [1, 2, 5])
    expected, copy = normalize(x), x.copy()
    assert normalize(copy, out=copy) is copy
    np.testing.assert_array_equal(copy, expected)
    assert normalize.inverse(copy, out=copy) is copy
    np.testing.assert_allclose(copy, x, atol=1e-5)


def test_a_constant_channel_is_only_shifted():
    x = np.full((4, 2, 3, 3), 7.0)
    np.testing.assert_array_equal(Normalize.fit(x)(x), np.zeros_like(x))


def test_features_without_pixels():
    x = np.random.default_rng(0).standard_normal((50, 4))
    np.testing.assert_allclose(Normalize.fit(x)(x), (x - x.mean(0)) / x.std(0), atol=1e-12)


def test_repr():
    assert repr(Normalize(0.5, 0.25)) == "Normalize(mean=[0.5], std=[0.25])"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Normalize([0, 1], [1]), ValueError, "one number for each channel"),
        (lambda: Normalize([0, np.nan], [1, 1]), ValueError, "finite"),
        (lambda: Normalize([0], [-1]), ValueError, "std >= 0"),
        (lambda: Normalize.fit(np.zeros((0, 3, 2, 2))), ValueError, "expects examples"),
        (lambda: Normalize.fit(np.zeros((3, 3), int)), TypeError, "floating-point"),
        (lambda: Normalize.fit(np.zeros(3)), ValueError, r"\(N, C, ...\)"),
        (lambda: Normalize([0], [1])(np.zeros((2, 3, 4, 4))), ValueError, "expects 1 channels, got 3"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
