"""Pooling where the table of cases does not look: NaN, ties, infinities, odd geometries, hostile indices."""

import itertools

import numpy as np
import pytest

from cnn_core import reference
from cnn_core._threads import get_num_threads, set_num_threads
from cnn_core.functional.pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)

# kernel, stride, padding, dilation
GEOMETRIES = [
    (2, None, 0, 1),
    (3, 2, 1, 1),
    (3, 1, 1, 1),
    ((2, 3), (3, 1), (1, 0), 1),
    ((1, 5), (1, 4), (0, 2), (3, 1)),
    (3, 2, 1, 2),
    ((2, 3), (1, 2), (1, 1), (3, 2)),
    (5, 3, 2, 1),
    (4, 5, 2, 1),
]
# of averages besides: few taps at strides one and two, gaps between windows, windows of many rows or columns
AVERAGES = [
    *(g[:3] for g in GEOMETRIES if g[3] == 1),
    (1, 2, 0),
    (2, 1, 0),
    (3, 2, 0),
    (4, 2, 1),
    (5, 2, 2),
    ((1, 4), (1, 2), 0),
    ((5, 18), 1, (2, 9)),
    ((18, 5), (2, 1), (9, 2)),
    ((1, 40), (1, 40), (0, 15)),
]
SIZES = [(11, 12), (9, 9), (5, 70), (6, 133), (7, 6), (8, 8), (16, 18), (40, 8)]


def image(rng, shape, dtype=np.float64):
    return rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_max_pool_equals_torch(geometry, dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for size, ceil_mode in itertools.product(SIZES, [False, True]):
        x = np.round(image(rng, (2, 3, *size), dtype), 1)  # rounded: many ties
        x[rng.random(x.shape) < 0.01] = np.nan
        x[rng.random(x.shape) < 0.01] = -np.inf
        kernel, stride, padding, dilation = geometry
        tx = torch.tensor(x, requires_grad=True)
        ty, t_indices = torch.nn.functional.max_pool2d(
            tx, kernel, stride, padding, dilation, ceil_mode, return_indices=True
        )
        y, indices = max_pool2d(x, kernel, stride, padding, dilation, ceil_mode, return_indices=True)
        np.testing.assert_array_equal(y, ty.detach().numpy())
        np.testing.assert_array_equal(indices, t_indices.numpy())
        assert y.dtype == dtype
        assert indices.dtype == np.int32
        np.testing.assert_array_equal(max_pool2d(x, *geometry, ceil_mode), y)
        dy = image(rng, y.shape, dtype)
        ty.backward(torch.tensor(dy))
        dx = max_pool2d_backward(dy, indices, x.shape)
        np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(max_pool2d_backward(dy, indices.astype(np.int64), x.shape), dx)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("geometry", AVERAGES, ids=str)
def test_avg_pool_equals_torch(geometry, dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    sizes = [*SIZES, (1, 50), (19, 35)]
    options = itertools.product(sizes, [False, True], [False, True], [None, 3, -2])
    for size, ceil_mode, count_include_pad, divisor in options:
        x = image(rng, (2, 3, *size), dtype)
        arguments = (*geometry, ceil_mode, count_include_pad, divisor)
        try:
            y = avg_pool2d(x, *arguments)
        except ValueError:  # no window fits
            continue
        tx = torch.tensor(x, requires_grad=True)
        ty = torch.nn.functional.avg_pool2d(tx, *arguments)
        np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-5, atol=1e-5)
        assert y.dtype == dtype
        dy = image(rng, y.shape, dtype)
        ty.backward(torch.tensor(dy))
        dx = avg_pool2d_backward(dy, x.shape, *arguments)
        np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("output_size", [1, 2, 4, (3, 5), (1, 6), (6, 1), (None, 2), 13], ids=str)
def test_adaptive_avg_pool_equals_torch(output_size, dtype):
    """With windows side by side where they divide the image, and others that overlap."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for size in [*SIZES, (1, 50), (56, 36), (70, 40)]:
        x = image(rng, (2, 3, *size), dtype)
        tx = torch.tensor(x, requires_grad=True)
        ty = torch.nn.functional.adaptive_avg_pool2d(tx, output_size)
        y = adaptive_avg_pool2d(x, output_size)
        np.testing.assert_allclose(y, ty.detach().numpy(), rtol=1e-5, atol=1e-6)
        dy = image(rng, y.shape, dtype)
        ty.backward(torch.tensor(dy))
        dx = adaptive_avg_pool2d_backward(dy, x.shape)
        np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(3, 5, 70, 66), (41, 50, 9, 9)], ids=str)
def test_threads_do_not_change_a_bit(shape):
    x = image(np.random.default_rng(0), shape, np.float32)
    before = get_num_threads()
    results = []
    try:
        for n_threads in (1, 2, 3):
            set_num_threads(n_threads)
            y, indices = max_pool2d(x, 3, 2, 1, return_indices=True)
            outputs = [y, indices, max_pool2d_backward(y, indices, x.shape)]
            for windows in ((3, 2, 1), (3, 1, 1), (5, 5), (4, 3, 2)):
                outputs += [mean := avg_pool2d(x, *windows), avg_pool2d_backward(mean, x.shape, *windows)]
            for size in ((1, 3), 5):
                outputs += [mean := adaptive_avg_pool2d(x, size), adaptive_avg_pool2d_backward(mean, x.shape)]
            results.append(b"".join(r.tobytes() for r in outputs))
    finally:
        set_num_threads(before)
    assert results[0] == results[1] == results[2]


# Planes (H, W) so small that many of them lie side by side, more than fill whole vectors, or less than one
MANY_PLANES = [
    (5, 7, 8, 8),
    (3, 11, 7, 5),
    (2, 20, 4, 4),
    (1, 17, 9, 30),
    (16, 2, 1, 1),
    (2, 9, 3, 20),
    (1, 3, 4, 4),
    (1, 17, 5, 34),
]


@pytest.mark.parametrize("geometry", [*GEOMETRIES, (1, 1, 0, 1), (2, 1, 0, 1), (3, 2, 0, 1)], ids=str)
@pytest.mark.parametrize("shape", MANY_PLANES, ids=str)
def test_small_planes_equal_large_ones(shape, geometry):
    """float32 planes lie side by side where there are many; those of float64 are pooled one by one."""
    rng = np.random.default_rng(0)
    kernel, stride, padding, dilation = geometry
    x = np.round(image(rng, shape, np.float32), 1)
    x[rng.random(shape) < 0.02] = np.nan
    x[rng.random(shape) < 0.05] = -np.inf
    z = image(rng, shape)
    for ceil_mode in (False, True):
        options = (kernel, stride, padding, dilation, ceil_mode)
        try:
            expected, places = max_pool2d(x.astype(np.float64), *options, return_indices=True)
        except ValueError:  # no window fits
            continue
        y, indices = max_pool2d(x, *options, return_indices=True)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(indices, places)
        np.testing.assert_array_equal(max_pool2d(x, *options), expected)
        if dilation != 1:
            continue
        for count_include_pad, divisor in itertools.product([False, True], [None, -3]):
            windows = (kernel, stride, padding, ceil_mode, count_include_pad, divisor)
            mean = avg_pool2d(z, *windows)
            np.testing.assert_allclose(avg_pool2d(z.astype(np.float32), *windows), mean, rtol=2e-6, atol=1e-6)
            dy = image(rng, mean.shape)
            dx = avg_pool2d_backward(dy, shape, *windows)
            dx_of_float32 = avg_pool2d_backward(dy.astype(np.float32), shape, *windows)
            np.testing.assert_allclose(dx_of_float32, dx, rtol=2e-6, atol=1e-6)


def test_the_first_of_equal_maxima_wins():
    _, indices = max_pool2d(np.zeros((1, 1, 4, 20)), 2, return_indices=True)
    np.testing.assert_array_equal(indices[0, 0], [np.arange(0, 20, 2), np.arange(40, 60, 2)])


def test_a_window_of_minus_infinity_has_a_winner():
    y, indices = max_pool2d(np.full((1, 1, 3, 3), -np.inf), 3, 2, 1, return_indices=True)
    assert (y == -np.inf).all()
    np.testing.assert_array_equal(indices[0, 0], [[0, 1], [3, 4]])


def test_nan_wins():
    x = np.zeros((1, 1, 2, 34), np.float32)
    x[0, 0, 1, 5] = np.nan
    x[0, 0, 0, 4] = np.inf
    y, indices = max_pool2d(x, 2, return_indices=True)
    assert np.flatnonzero(np.isnan(y)) == [2]
    assert indices[0, 0, 0, 2] == 34 + 5


def test_global_average_of_many_large_numbers():
    x = np.full((1, 1, 1500, 1501), 0.1, np.float32)
    x[..., 0] += 1000
    mean = x.astype(np.float64).mean()
    assert adaptive_avg_pool2d(x, 1).item() == np.float32(mean)
    assert avg_pool2d(x, (1500, 1501)).item() == np.float32(mean)
    halves = x.reshape(1500, -1)[:, :1500].astype(np.float64).reshape(2, 750, 2, 750).mean((1, 3))
    np.testing.assert_array_equal(avg_pool2d(x, 750)[0, 0], halves.astype(np.float32))


def test_an_enormous_kernel_on_padding_is_quick():
    x = np.ones((1, 1, 3, 3))
    assert max_pool2d(x, 2**40, 1, 2**39 - 1).shape == (1, 1, 2, 2)
    assert avg_pool2d(x, 2**40, 1, 2**39, count_include_pad=False).min() == 1


def test_empty_batch():
    shape = (0, 2, 4, 4)
    x = np.empty(shape, np.float32)
    y, indices = max_pool2d(x, 2, return_indices=True)
    assert y.shape == indices.shape == (0, 2, 2, 2)
    assert max_pool2d_backward(y, indices, shape).shape == shape
    assert avg_pool2d_backward(avg_pool2d(x, 2), shape, 2).shape == shape
    assert adaptive_avg_pool2d_backward(adaptive_avg_pool2d(x, 1), shape).shape == shape


@pytest.mark.parametrize("index", [-1, 16, 2**31 - 1, -(2**31)])
def test_indices_outside_the_plane_are_refused(index):
    dy = np.ones((1, 1, 2, 2))
    for dtype in (np.int32, np.int64):
        indices = np.array([0, 1, index, 2], dtype).reshape(dy.shape)
        with pytest.raises(ValueError, match=rf"{index} is not in 0 \.\.\. 15"):
            max_pool2d_backward(dy, indices, (1, 1, 4, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: max_pool2d(x, 2, 2, 2), "more than half the kernel"),
        (lambda x: max_pool2d(x, 5), "larger than the padded input"),
        (lambda x: max_pool2d(x, 2, 0), "stride: expects an integer >= 1"),
        (lambda x: max_pool2d(x[:, :, :1], (2, 1), 1, (1, 0), (2, 1)), "jumps over the whole input"),
        (lambda x: max_pool2d(x[:, :, :0], 1), "at least one channel, row and column"),
        (lambda x: max_pool2d(x[0], 2), "expects 4 dimensions"),
        (lambda x: avg_pool2d(x, 2, divisor_override=0), "other than 0"),
        (lambda x: avg_pool2d_backward(x, (1, 1, 4, 4), 2), r"expects shape \(1, 1, 2, 2\)"),
        (lambda x: adaptive_avg_pool2d(x, 0), "expects an integer >= 1"),
        (lambda x: adaptive_avg_pool2d(x, (1, 2, 3)), "an integer or a pair"),
        (lambda x: adaptive_avg_pool2d_backward(x, (2, 1, 4, 4)), "of x_shape"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.ones((1, 1, 4, 4)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_indices_in_the_plane_will_do(size, dtype):
    """Also those of other windows than 2x2, which the kernel tries first, in some planes or in all."""
    rng = np.random.default_rng(0)
    x = image(rng, (3, 4, *size), dtype)
    y, indices = max_pool2d(x, 2, return_indices=True)
    dy = image(rng, y.shape, dtype)
    anywhere = rng.integers(0, size[0] * size[1], indices.shape, dtype=np.int32)
    mixed = indices.copy()
    mixed[1, 2, -1, -1] = 0
    for these in (indices, anywhere, mixed):
        expected = np.zeros((12, size[0] * size[1]))
        for plane in range(12):
            np.add.at(expected[plane], these.reshape(12, -1)[plane], dy.reshape(12, -1)[plane])
        dx = max_pool2d_backward(dy, these, x.shape)
        np.testing.assert_allclose(dx.reshape(12, -1), expected, rtol=1e-5, atol=1e-6)
    mixed[2, 3, -1, -1] = size[0] * size[1]
    with pytest.raises(ValueError, match="is not in 0"):
        max_pool2d_backward(dy, mixed, x.shape)


def test_indices_must_be_integers():
    dy = np.ones((1, 1, 2, 2))
    with pytest.raises(TypeError, match="int32 or int64"):
        max_pool2d_backward(dy, dy, (1, 1, 4, 4))


@pytest.mark.parametrize("stride", [7, 2**31, 2**62])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_stride_beyond_the_image_has_one_window(stride, dtype):
    """UndefinedBehaviorSanitizer found that the lanes without a window overflowed."""
    x = np.random.default_rng(0).normal(size=(2, 3, 7, 5)).astype(dtype)
    y, indices = max_pool2d(x, 3, stride=stride, padding=1, return_indices=True)
    expected = reference.max_pool2d(x, 3, stride=9, padding=1, return_indices=True)
    np.testing.assert_array_equal(y, expected[0])
    np.testing.assert_array_equal(indices, expected[1])
