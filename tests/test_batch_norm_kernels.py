"""Batch normalization where the table of cases does not look: large means, blocks, refused arguments."""

import numpy as np
import pytest

from cnn_core import reference
from cnn_core._threads import get_num_threads, set_num_threads
from cnn_core.functional.normalization import (
    batch_norm,
    batch_norm_backward,
    batch_norm_relu,
    batch_norm_relu_backward,
)

# (N, C), one block and many; (N, C, ...) with rows shorter and longer than the lanes, blocks across images
SHAPES = [
    (5, 3), (70, 130), (40000, 3), (4, 3, 1), (3, 2, 2, 2), (4, 5, 7, 7), (2, 3, 4, 5, 6), (3, 40, 33, 31),
    (5, 2, 90, 91), (1, 2, 300, 301), (33, 130, 8, 8),
]  # fmt: skip


def arrays(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x, dy = 3 * rng.standard_normal((2, *shape)) + 1
    weight, bias = rng.standard_normal((2, shape[1]))
    return [a.astype(dtype) for a in (x, dy, weight, bias)]


def running(channels, dtype):
    return np.linspace(-1, 1, channels, dtype=dtype), np.linspace(0.5, 2, channels, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equals_torch(shape, affine, training, dtype):
    torch = pytest.importorskip("torch")
    x, dy, weight, bias = arrays(shape, dtype)
    mean, var = running(shape[1], dtype)
    # torch computes in double what it is compared with: its own float32 sums are less accurate
    t_mean, t_var = torch.tensor(mean, dtype=torch.float64), torch.tensor(var, dtype=torch.float64)
    leaves = [torch.tensor(a, dtype=torch.float64, requires_grad=True) for a in (x, weight, bias)]
    t_y = torch.nn.functional.batch_norm(
        leaves[0], t_mean, t_var, *(leaves[1:] if affine else (None, None)), training, 0.3, 1e-3
    )
    t_y.backward(torch.tensor(dy, dtype=torch.float64))
    y, m, r = batch_norm(
        x, mean, var, *((weight, bias) if affine else (None, None)), training, 0.3, 1e-3, return_stats=True
    )
    grads = batch_norm_backward(dy, x, weight if affine else None, m, r, training)
    tolerance = {"rtol": 2e-6, "atol": 4e-6} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(y, t_y.detach().numpy(), **tolerance)
    np.testing.assert_allclose(mean, t_mean.numpy(), **tolerance)
    np.testing.assert_allclose(var, t_var.numpy(), **tolerance)
    for ours, leaf in zip(grads, leaves[: 3 if affine else 1], strict=False):
        assert ours.dtype == dtype
        expected = leaf.grad.numpy()
        size = np.abs(expected).max()
        np.testing.assert_allclose(ours / size, expected / size, **tolerance)


@pytest.mark.parametrize("shape", [(40000, 3), (20, 2, 60, 50)], ids=str)
def test_a_large_mean_does_not_swamp_the_variance(shape):
    x, _, _, _ = arrays(shape, np.float64)
    # 1e9 has a spacing of 1e-7 in float64: no mean there can be better
    for offset, dtype, tolerance in ((1e4, np.float32, 1e-5), (1e9, np.float64, 2e-7)):
        shifted = (x / 3 + offset).astype(dtype)
        exact = shifted.astype(np.longdouble)
        axes = (0, *range(2, x.ndim))
        expected = (exact - exact.mean(axes, keepdims=True)) / np.sqrt(exact.var(axes, keepdims=True) + 1e-5)
        y = batch_norm(shifted, None, None, training=True)
        np.testing.assert_allclose(y, expected.astype(np.float64), rtol=tolerance, atol=tolerance)


def test_an_outlier_in_front_does_not_spoil_the_sums():
    x = arrays((1, 1, 200, 300), np.float64)[0]
    x[0, 0, 0, 0] = 1e6
    _, mean, rstd = batch_norm(x, None, None, training=True, return_stats=True)
    np.testing.assert_allclose(mean, x.mean(), rtol=1e-13)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(x.var() + 1e-5), rtol=1e-13)


@pytest.mark.parametrize("first", [1e4, -1e6, 1e25])
def test_an_outlier_in_front_of_float32_does_not_spoil_the_sums(first):
    x = arrays((3, 2, 20, 30), np.float32)[0]
    x[0, :, 0, 0] = first
    exact = x.astype(np.float64)
    _, mean, rstd = batch_norm(x, None, None, training=True, return_stats=True)
    np.testing.assert_allclose(mean, exact.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(exact.var((0, 2, 3)) + 1e-5), rtol=1e-6)


def test_a_constant_channel_becomes_its_bias():
    x = np.full((6, 2, 5, 5), 0.1, np.float32)
    y = batch_norm(x, None, None, bias=np.array([3, -4], np.float32), training=True)
    np.testing.assert_allclose(y[:, 0], 3, rtol=1e-5)
    np.testing.assert_allclose(y[:, 1], -4, rtol=1e-5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_threads_do_not_change_a_bit(shape):
    x, dy, weight, bias = arrays(shape, np.float32)
    before = get_num_threads()
    results = []
    try:
        for n_threads in (1, 2, 3, 16):
            set_num_threads(n_threads)
            mean, var = running(shape[1], np.float32)
            y, m, r = batch_norm(x, mean, var, weight, bias, True, return_stats=True)
            e = batch_norm(x, mean, var, weight, bias)
            grads = batch_norm_backward(dy, x, weight, m, r)
            fixed = batch_norm_backward(dy, x, weight, m, r, training=False)
            results.append([a.tobytes() for a in (y, m, r, mean, var, e, *grads, *fixed)])
    finally:
        set_num_threads(before)
    assert all(r == results[0] for r in results)


@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 2, 2), (2, 0, 2, 2), (2, 3, 0, 2)], ids=str)
def test_nothing_comes_of_nothing(shape):
    x = np.empty(shape, np.float32)
    mean, var = running(shape[1], np.float32)
    y, m, r = batch_norm(x, mean, var, training=True, return_stats=True)
    assert y.shape == shape
    np.testing.assert_array_equal(mean, running(shape[1], np.float32)[0])
    dx, dweight, dbias = batch_norm_backward(y, x, None, m, r)
    assert dx.shape == shape
    assert not dweight.any()
    assert not dbias.any()


def test_infinities_do_not_warn():
    x = arrays((4, 2, 3, 3), np.float32)[0]
    x[0, 0, 0, 0] = np.inf
    x[0, 1, 0, 0] = 1e30
    mean, var = running(2, np.float32)
    y = batch_norm(x, mean, var, training=True)
    assert np.isnan(y[:, 0]).all()
    assert np.isfinite(y[:, 1]).all()
    assert var[1] == np.inf


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.ones((1, 2))}, ValueError, r"more than 1 value per channel .* got shape \(1, 2\)"),
        ({"x": np.ones(2)}, ValueError, "2 dimensions"),
        ({"running_var": None}, ValueError, "both or neither"),
        ({"running_mean": None, "running_var": None, "training": False}, ValueError, "when not training"),
        ({"running_mean": np.zeros(3)}, ValueError, r"expects shape \(2,\)"),
        ({"running_var": np.zeros(2, np.float32)}, TypeError, "float64"),
        ({"weight": np.ones(1)}, ValueError, r"weight: expects shape \(2,\)"),
        ({"momentum": None}, TypeError, "momentum"),
        ({"momentum": np.nan}, ValueError, "momentum"),
        ({"eps": 0.0}, ValueError, "eps: expects a number > 0"),
        ({"eps": -1.0, "training": False}, ValueError, "eps: expects a number >= 0"),
    ],
)
def test_a_refused_call_changes_nothing(change, error, message):
    x = np.arange(8.0).reshape(4, 2)
    arguments = {"x": x, "running_mean": np.zeros(2), "running_var": np.ones(2), "training": True} | change
    before = {name: np.array(value) for name, value in arguments.items()}
    with pytest.raises(error, match=message):
        batch_norm(**arguments)
    for name, value in arguments.items():
        np.testing.assert_array_equal(before[name], value)


def test_running_statistics_must_be_writable():
    mean, var = running(2, np.float64)
    var.flags.writeable = False
    with pytest.raises(ValueError, match="running_var: expects a writable array"):
        batch_norm(np.ones((4, 2)), mean, var, training=True)
    np.testing.assert_array_equal(mean, running(2, np.float64)[0])
    batch_norm(np.ones((4, 2)), mean, var)


@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 4, 5), (2, 2, 40, 60)])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_mean_that_is_not_finite_shows_in_the_gradient(shape, training, value, dtype):
    """One channel's mean, which may come from anywhere; the other channel is as it would be."""
    rng = np.random.default_rng(0)
    dy, x = rng.normal(size=(2, *shape)).astype(dtype)
    weight, rstd = np.array([1, 2], dtype), np.array([0.5, 3], dtype)
    mean = np.array([value, 0.25], dtype)
    with np.errstate(invalid="ignore"):
        expected = reference.batch_norm_backward(dy, x, weight, mean, rstd, training)
    for got, wanted in zip(batch_norm_backward(dy, x, weight, mean, rstd, training), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)
    assert not np.isfinite(expected[1][0])


@pytest.mark.parametrize("with_running", [False, True])
def test_an_empty_batch_has_no_statistics(with_running):
    statistics = ([3.0, 4.0], [5.0, 6.0]) if with_running else (None, None)
    ours, theirs = [], []
    for function, results in ((batch_norm, ours), (reference.batch_norm, theirs)):
        mean, var = (None if s is None else np.array(s) for s in statistics)
        results += [*function(np.empty((0, 2, 3)), mean, var, training=True, return_stats=True), mean, var]
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None and b is None) or np.array_equal(a, b), (a, b)
    assert ours[1].tolist() == [0, 0]
    if with_running:
        assert (ours[3].tolist(), ours[4].tolist()) == statistics


@pytest.mark.parametrize(
    "size", [(1, 2), (3, 3), (5, 3), (4, 7), (7, 7), (14, 14), (16, 16), (9, 40)], ids=str
)
def test_relu_in_the_same_pass_changes_no_bit(size):
    x, dy, weight, bias = arrays((3, 4, *size), np.float32)
    y, numbers = batch_norm_relu(x, None, None, weight, bias, True, 0.1, 1e-5, relu=True)
    alone = batch_norm(x, None, None, weight, bias, training=True)
    np.testing.assert_array_equal(y, np.maximum(alone, 0))
    passed = np.where(y > 0, dy, np.float32(0))
    together = batch_norm_relu_backward({}, dy, x, numbers, True, relu=True)
    apart = batch_norm_relu_backward({}, passed, x, numbers, True, relu=False)
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_array_equal(one, other)
