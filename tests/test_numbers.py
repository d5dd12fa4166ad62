"""Numbers at the limits of floating point: what is not finite, what is nearly zero, and very many of them."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from cases import FUNCTIONS, Case, Row
from compare import call

from cnn_core import functional as F
from cnn_core import layers, losses, optim

# ---------------------------------------------------------------- NaN and infinity

# Statistics come from a forward pass: torch ignores some of them where we use them, and the reverse.
STATISTICS = ("mean", "rstd", "running_mean", "running_var")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [row for row in FUNCTIONS if row.name != "dropout"], ids=lambda row: row.name)
def test_nothing_hides_what_is_not_finite(row: Row, value: float, torch_twins: ModuleType) -> None:
    """Where torch's result is not finite, ours is not; where a NaN makes torch's NaN, it makes ours NaN."""
    for case in [Case(row, options) for options in row.sweep[:8]]:
        plain = case.arguments(np.float32)
        for key, array in plain.items():
            if key in STATISTICS or not (isinstance(array, np.ndarray) and array.dtype == np.float32):
                continue
            if not array.size:
                continue

            def arguments(key: str = key, case: Case = case) -> dict[str, Any]:
                changed = case.arguments(np.float32)
                changed[key].reshape(-1)[changed[key].size * 7 // 11] = value
                return changed

            ours = call(F, case, arguments())
            theirs = torch_twins.compute(row.name, arguments())
            for number, (a, b) in enumerate(zip(ours, theirs, strict=False)):
                if a.dtype.kind != "f":
                    continue
                hidden = ~np.isfinite(b) & np.isfinite(a)
                if np.isnan(value):
                    hidden |= np.isnan(b) & ~np.isnan(a)
                assert not hidden.any(), f"{case}, {key}, output {number}: {a[hidden]} for {b[hidden]}"


def test_training_reports_what_is_not_finite() -> None:
    """From one bad pixel to the loss: no layer on the way makes a number of it."""
    rng = np.random.default_rng(0)
    model = layers.Sequential(
        layers.Conv2d(1, 12, 3, padding=1, rng=rng),
        layers.BatchNorm2d(12),
        layers.ReLU(),
        layers.Conv2d(12, 12, 3, padding=1, rng=rng),
        layers.MaxPool2d(2),
        layers.Flatten(),
        layers.Linear(12 * 16, 3, rng=rng),
    )
    x = rng.normal(size=(4, 1, 8, 8)).astype(np.float32)
    x[2, 0, 3, 3] = np.nan
    loss = losses.CrossEntropyLoss()
    assert np.isnan(loss.forward(model.forward(x, training=True), np.arange(4) % 3))
    model.backward(loss.backward())
    assert all(np.isnan(gradient).any() for gradient in model.grads.values())


# ---------------------------------------------------------------- denormal numbers


def denormals_live() -> bool:
    """Whether this thread still computes with numbers below the smallest normal one."""
    return float(np.full(100, 1e-30, np.float32).max() * np.float32(1e-10)) > 0


def flushed(y: np.ndarray) -> bool:
    """Whether all is zero; where the machine has no such mode, the exact products are right as well."""
    return not y.any() or not _machine_flushes()


def _machine_flushes() -> bool:
    import platform

    return platform.machine().lower() in ("x86_64", "amd64", "aarch64", "arm64")


@pytest.mark.parametrize("n_threads", [1, 3])
def test_kernels_flush_denormals_on_every_thread_and_give_the_mode_back(n_threads, threads: Callable) -> None:
    """Flags, not clocks: the products here are all below the smallest normal number."""
    threads(n_threads)
    x = np.full((16, 8, 40, 40), 1e-30, np.float32)
    weight = np.full((8, 8, 3, 3), 1e-10, np.float32)
    assert flushed(F.conv2d(x, weight, padding=1))
    assert flushed(F.linear(x.reshape(400, -1), np.full((30, 512), 1e-10, np.float32)))
    assert flushed(F.leaky_relu(-x, 1e-10))
    assert flushed(F.leaky_relu(np.full_like(x, -3), 2e-39))  # what is below the smallest normal one is zero
    assert flushed(F.leaky_relu_backward(np.full_like(x, 3), -x, 2e-39))
    assert denormals_live()


def test_a_momentum_that_fades_away_ends_at_zero() -> None:
    """Without flushing, velocities would be denormal, and every step slow, for ever after."""
    parameters = {"w": np.ones(1000, np.float32)}
    optimizer = optim.SGD(0.1, momentum=0.5)
    optimizer.update(parameters, {"w": np.full(1000, 1e-36, np.float32)})
    for _ in range(30):
        optimizer.update(parameters, {"w": np.zeros(1000, np.float32)})
    (velocity,) = (value for name, value in optimizer.state_dict().items() if name.startswith("w."))
    assert flushed(velocity)
    assert denormals_live()


# ---------------------------------------------------------------- cancellation and overflow


@pytest.mark.parametrize("shape", [(64, 3, 16, 16), (4096, 3)])
def test_batch_norm_of_a_large_mean(shape) -> None:
    """Mean 10,000, standard deviation 1: the mean of squares minus the square of the mean has no digits."""
    rng = np.random.default_rng(0)
    x = rng.normal(1e4, 1, shape).astype(np.float32)
    axes, exact = (0, *range(2, x.ndim)), x.astype(np.float64)
    layer = (layers.BatchNorm2d if x.ndim == 4 else layers.BatchNorm1d)(3, momentum=1.0)
    y = layer.forward(x, training=True)
    np.testing.assert_allclose(layer.running_var, exact.var(axis=axes, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(layer.running_mean, exact.mean(axis=axes), rtol=1e-7)
    expected = (exact - exact.mean(axis=axes, keepdims=True)) / exact.std(axis=axes, keepdims=True)
    np.testing.assert_allclose(y, expected, atol=2e-3)  # a float32 near 10,000 is known to 0.0005
    dx = layer.backward(y)
    assert np.abs(dx).max() < 0.05  # y is a direction in which the output cannot change


@pytest.mark.parametrize("size", [100.0, 1e4, 3e38])
def test_softmax_and_cross_entropy_do_not_overflow(size) -> None:
    x = np.array([[size, -size, 0], [-size, -size, -size], [size, size, size]], np.float32)
    probabilities = F.softmax(x)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(probabilities[1:], 1 / 3, rtol=1e-6)
    assert (F.log_softmax(x)[1:] == F.log_softmax(np.zeros_like(x))[1:]).all()
    loss, dx = F.cross_entropy_with_grad(x, np.array([0, 1, 2]))
    np.testing.assert_allclose(loss, 2 * np.log(3) / 3, rtol=1e-6)
    assert np.isfinite(dx).all()
    assert F.bce_with_logits(x[0] / 2, np.array([1, 0, 0.5], np.float32)) < 1
    assert np.isfinite(F.sigmoid(x)).all()
    assert np.isfinite(F.tanh(x)).all()


# ---------------------------------------------------------------- ten million numbers

MANY = 10_000_000


@pytest.fixture(scope="module")
def many() -> np.ndarray:
    """Positive numbers: added one after the other in float32, their sum would lose its digits."""
    return np.random.default_rng(0).random(MANY, np.float32)


def sums() -> dict[str, Callable[[np.ndarray], tuple[Any, Any]]]:
    """Functions that add ten million numbers up: what they give, and what it should be."""
    n, c, side = 10, 1, 1000

    def images(x: np.ndarray) -> np.ndarray:
        return x.reshape(n, c, side, side)

    def linear_gradients(x: np.ndarray) -> tuple:
        rows = x.reshape(-1, 5)
        return F.linear_backward(rows, rows, np.eye(5, dtype=np.float32), need_dx=False)

    one = np.ones((1, 1, 1, 1), np.float32)
    exact = {
        "sum": lambda x: x.sum(dtype=np.float64),
        "squares": lambda x: np.vdot(x.astype("f8"), x.astype("f8")),
    }
    return {
        "mse_loss, sum": lambda x: (F.mse_loss(x, np.zeros_like(x), "sum"), exact["squares"](x)),
        "mse_loss, mean": lambda x: (F.mse_loss(x, np.zeros_like(x)), exact["squares"](x) / MANY),
        "conv2d_backward, bias": lambda x: (
            F.conv2d_backward(images(x), images(x), one, need_dx=False)[2], exact["sum"](x)),
        "conv2d_backward, weight": lambda x: (
            F.conv2d_backward(images(x), images(x), one, need_dx=False)[1], exact["squares"](x)),
        "linear_backward, weight": lambda x: (linear_gradients(x)[1].trace(), exact["squares"](x)),
        "linear_backward, bias": lambda x: (linear_gradients(x)[2].sum(), exact["sum"](x)),
        "linear": lambda x: (F.linear(x[None], x[None]), exact["squares"](x)),
        "adaptive_avg_pool2d": lambda x: (
            F.adaptive_avg_pool2d(x.reshape(1, 1, 2500, 4000), 1), exact["sum"](x) / MANY),
        "batch_norm, mean": lambda x: (
            F.batch_norm(images(x), None, None, training=True, return_stats=True)[1], exact["sum"](x) / MANY),
        "batch_norm, deviation": lambda x: (
            F.batch_norm(images(x), None, None, training=True, eps=1e-12, return_stats=True)[2],
            1 / x.astype(np.float64).std()),
        "softmax_backward": lambda x: (
            -F.softmax_backward(x, np.full(MANY, 0.25, np.float32))[0] / 0.25 + x[0], exact["sum"](x) / 4),
    }  # fmt: skip


@pytest.mark.parametrize("name", sums())
def test_sums_of_ten_million_keep_their_digits(name: str, many: np.ndarray) -> None:
    got, expected = sums()[name](many)
    np.testing.assert_allclose(np.asarray(got, np.float64).ravel(), expected, rtol=2e-6)
