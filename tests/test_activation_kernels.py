"""Activations and softmax where the table of cases cannot go: special values, accuracy, many classes."""

import numpy as np
import pytest

from cnn_core._threads import get_num_threads, set_num_threads
from cnn_core.functional.activation import (
    leaky_relu,
    leaky_relu_backward,
    log_softmax,
    log_softmax_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)

DTYPES = [np.float32, np.float64]
NAN, INF = np.nan, np.inf


@pytest.fixture
def threads():
    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)


def ulps(got, exact):
    """The largest error in units of the last place of ``got``'s dtype."""
    return float(np.max(np.abs(got.astype(np.longdouble) - exact) / np.spacing(np.abs(got))))


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_values(dtype):
    x = np.array([NAN, INF, -INF, 0.0, -0.0, 3.0, -3.0], dtype)
    np.testing.assert_array_equal(relu(x), [NAN, INF, 0, 0, 0, 3, 0])
    np.testing.assert_array_equal(leaky_relu(x, 0.5), [NAN, INF, -INF, 0, 0, 3, -1.5])
    np.testing.assert_array_equal(sigmoid(x)[:5], [NAN, 1, 0, 0.5, 0.5])
    np.testing.assert_array_equal(tanh(x)[:5], [NAN, 1, -1, 0, 0])
    assert np.signbit(tanh(x)[4])


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_gradient_masks_on_the_output(dtype):
    y = np.array([0.0, -0.0, 1.0, 0.0], dtype)
    np.testing.assert_array_equal(relu_backward(np.array([1, 2, 3, NAN], dtype), y), [0, 0, 3, 0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_and_tanh_are_accurate_everywhere(dtype):
    span = 87 if dtype == np.float32 else 700
    small = np.geomspace(1e-30, 1, 3001)
    x = np.concatenate([np.linspace(-span, span, 40001), small, -small]).astype(dtype)
    wide = x.astype(np.longdouble)
    assert ulps(tanh(x), np.tanh(wide)) <= 3
    assert ulps(sigmoid(x), 1 / (1 + np.exp(-wide))) <= 3


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_far_out(dtype):
    x = np.array([-1e4, -800, -104, 104, 800, 1e4], dtype)
    with np.errstate(all="raise"):
        y = sigmoid(x)
    np.testing.assert_allclose(y, [0, 0, np.exp(-104.0), 1, 1, 1], rtol=1e-5, atol=1e-38)


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_does_not_overflow(dtype):
    x = np.array([[1e4, 1e4 - 1, -1e4], [-1e30, 0, 1e30], [0, -INF, 0]], dtype)
    with np.errstate(all="raise"):
        y, log_y = softmax(x), log_softmax(x)
    e = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(y, [[e, 1 - e, 0], [0, 0, 1], [0.5, 0, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(log_y[2], [-np.log(2), -INF, -np.log(2)], rtol=1e-6)


@pytest.mark.parametrize("row", [[NAN, 0, 0], [INF, 0, 0], [-INF, -INF, -INF], [0, 0, NAN], [NAN, NAN, NAN]])
@pytest.mark.parametrize("times", [1, 15])
def test_softmax_of_nothing_sensible_is_nan_in_its_own_row_only(row, times):
    y = softmax(np.tile(np.array([[0, 1, 2], row, [0, 1, 2]], np.float32), times))
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [NAN, INF, 1000, -INF])
def test_softmax_of_one_outlier_among_many_classes(dtype, value):
    for place in range(45):
        x = np.zeros((3, 45), dtype)
        x[1, place] = value
        y = softmax(x)
        np.testing.assert_allclose(y[[0, 2]], 1 / 45, rtol=1e-6)
        if value == 1000:
            np.testing.assert_array_equal(y[1], np.arange(45) == place)
        elif value == -INF:
            np.testing.assert_allclose(y[1], (np.arange(45) != place) / 44, rtol=1e-6)
        else:
            assert np.isnan(y[1]).all()


def test_softmax_over_many_classes_keeps_its_accuracy():
    x = np.random.default_rng(0).normal(size=(1, 1_000_000)).astype(np.float32)
    wide = np.exp(x.astype(np.float64))
    np.testing.assert_allclose(softmax(x), wide / wide.sum(), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("f", [softmax, log_softmax])
@pytest.mark.parametrize("classes", [10, 45])
def test_a_sample_does_not_depend_on_its_batch(dtype, f, classes):
    x = np.random.default_rng(1).normal(size=(37, classes)).astype(dtype)
    whole = f(x)
    for i in (0, 15, 16, 36):
        np.testing.assert_array_equal(f(x[i : i + 1])[0], whole[i])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [1, 5, 40])
def test_a_pixel_does_not_depend_on_its_neighbours(dtype, classes):
    """Nor on how many there are: in the middle of a strip, at its end, or copied with others."""
    x, dy = np.random.default_rng(1).normal(size=(2, 1, classes, 70)).astype(dtype)
    for f, f_backward in ((softmax, softmax_backward), (log_softmax, log_softmax_backward)):
        y = f(x, 1)
        dx = f_backward(dy, y, 1)
        for n in range(2, 70):
            np.testing.assert_array_equal(f(x[:, :, :n], 1), y[:, :, :n])
            np.testing.assert_array_equal(f_backward(dy[:, :, :n], y[:, :, :n], 1), dx[:, :, :n])


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_softmax_of_equal_scores_is_the_logarithm_of_their_number(dtype):
    for n in (*range(1, 40), 1000, 4095, 4096, 4097):
        y = log_softmax(np.full((1, n, 17), 7, dtype), 1)
        assert ulps(y, -np.log(np.longdouble(n))) <= 2, n


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_do_not_matter(dtype, threads):
    rng = np.random.default_rng(2)
    x, dy = (rng.normal(size=(67, 10, 31, 9)).astype(dtype) for _ in range(2))

    def everything():
        y = [relu(x), leaky_relu(x), sigmoid(x), tanh(x), softmax(x, 1), log_softmax(x, 1), softmax(x)]
        dx = [
            relu_backward(dy, y[0]),
            leaky_relu_backward(dy, x),
            sigmoid_backward(dy, y[2]),
            tanh_backward(dy, y[3]),
            softmax_backward(dy, y[4], 1),
            log_softmax_backward(dy, y[5], 1),
            softmax_backward(dy, y[6]),
        ]
        return b"".join(a.tobytes() for a in y + dx)

    results = set()
    for n in (1, 2, 3):
        threads(n)
        results.add(everything())
    assert len(results) == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "dim"),
    [
        ((5,), 0),
        ((7, 3), 0),
        ((2, 5, 4, 9), 1),
        ((2, 5, 4, 9), -1),
        ((0, 3), 1),
        ((3, 0), 1),
        ((3, 40, 17), 1),
        ((2, 70, 3), 1),
        ((2, 3, 50, 50), 1),
        ((1, 33, 2100), 1),
        ((2, 5000, 20), 1),
    ],
)
def test_softmax_equals_torch(dtype, shape, dim):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    x, dy = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    rtol = 2e-5 if dtype == np.float32 else 1e-12
    for f, f_backward in ((softmax, softmax_backward), (log_softmax, log_softmax_backward)):
        tx = torch.tensor(x, requires_grad=True)
        ty = getattr(torch, f.__name__)(tx, dim)
        ty.backward(torch.tensor(dy))
        y = f(x, dim)
        np.testing.assert_allclose(y, ty.detach(), rtol=rtol, atol=rtol / 10)
        np.testing.assert_allclose(f_backward(dy, y, dim), tx.grad, rtol=rtol, atol=rtol / 10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_elementwise_equals_torch(dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    x, dy = (rng.normal(size=(3, 50)).astype(dtype) for _ in range(2))
    x[0, :3] = NAN, 0, -0.0
    rtol = 1e-5 if dtype == np.float32 else 1e-13
    cases = [
        (relu, relu_backward, torch.relu, "y"),
        (leaky_relu, leaky_relu_backward, torch.nn.functional.leaky_relu, "x"),
        (sigmoid, sigmoid_backward, torch.sigmoid, "y"),
        (tanh, tanh_backward, torch.tanh, "y"),
    ]
    for f, f_backward, reference, takes in cases:
        tx = torch.tensor(x, requires_grad=True)
        ty = reference(tx)
        ty.backward(torch.tensor(dy))
        y = f(x)
        np.testing.assert_allclose(y, ty.detach(), rtol=rtol, atol=1e-7 if dtype == np.float32 else 1e-15)
        np.testing.assert_allclose(f_backward(dy, y if takes == "y" else x), tx.grad, rtol=rtol, atol=1e-6)


def test_arguments_are_checked():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(TypeError, match="relu: x: expects a numpy array"):
        relu([1.0])
    with pytest.raises(TypeError, match="sigmoid: x: expects float32 or float64, got int64"):
        sigmoid(np.zeros(3, np.int64))
    with pytest.raises(ValueError, match=r"relu_backward: dy: expects shape \(2, 3\)"):
        relu_backward(x[:1], x)
    with pytest.raises(TypeError, match="tanh_backward: dy: expects float32"):
        tanh_backward(x.astype(np.float64), x)
    with pytest.raises(ValueError, match="softmax: dim 2 is not an axis"):
        softmax(x, 2)
    with pytest.raises(ValueError, match="leaky_relu: negative_slope: expects a finite"):
        leaky_relu(x, NAN)
    with pytest.raises(TypeError, match="dim"):
        log_softmax(x, 1.0)
