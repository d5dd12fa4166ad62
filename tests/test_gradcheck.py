"""The gradient checker: it agrees with right gradients, finds planted errors, and is not fooled by kinks."""

import copy

import numpy as np
import pytest

from cnn_core.gradcheck import (
    GradientError,
    check_function,
    check_layer,
    check_model,
    numerical_gradient,
    tie_free,
)
from cnn_core.gradcheck.differences import derivative_along


class Dense:
    """A small layer of its own kind: the checker needs the interface, not the base class."""

    def __init__(self, inputs=4, outputs=3, dtype=np.float64, wrong=None):
        rng = np.random.default_rng(0)
        self.params = {
            "weight": rng.normal(size=(outputs, inputs)).astype(dtype),
            "bias": rng.normal(size=outputs).astype(dtype),
        }
        self.grads = {name: np.zeros_like(p) for name, p in self.params.items()}
        self.wrong = wrong or (lambda name, gradient: gradient)

    def forward(self, x, training=False):
        self.x = x
        return np.tanh(x @ self.params["weight"].T + self.params["bias"])

    def backward(self, dy):
        y = np.tanh(self.x @ self.params["weight"].T + self.params["bias"])
        dz = dy * (1 - y**2)
        self.grads["weight"][...] = self.wrong("weight", dz.T @ self.x)
        self.grads["bias"][...] = self.wrong("bias", dz.sum(axis=0))
        return self.wrong("x", dz @ self.params["weight"])


class Chain:
    """Layers one after the other."""

    def __init__(self, *layers):
        self.layers = layers

    def _collect(self, kind):
        return {
            f"{i}.{name}": value
            for i, layer in enumerate(self.layers)
            for name, value in getattr(layer, kind, {}).items()
        }

    @property
    def params(self):
        return self._collect("params")

    @property
    def grads(self):
        return self._collect("grads")

    def forward(self, x, training=False):
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, dy):
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


class Rectifier:
    params: dict = {}  # noqa: RUF012
    grads: dict = {}  # noqa: RUF012

    def forward(self, x, training=False):
        self.x = x
        return np.maximum(x, 0)

    def backward(self, dy):
        return dy * (self.x > 0)


class RowMaximum(Rectifier):
    def forward(self, x, training=False):
        self.x = x
        return x.max(axis=1)

    def backward(self, dy):
        dx = np.zeros_like(self.x)
        dx[np.arange(len(dx)), self.x.argmax(axis=1)] = dy
        return dx


class Masked(Rectifier):
    """Dropout: random, with a generator of its own."""

    def __init__(self, rng):
        self.rng = rng

    def forward(self, x, training=False):
        rng = self.rng if self.rng is not None else np.random.default_rng()
        self.mask = rng.random(x.shape) < 0.5
        return 2 * x * self.mask

    def backward(self, dy):
        return 2 * dy * self.mask


class Normalise(Rectifier):
    """Batch normalisation with a running mean."""

    def __init__(self):
        self.running_mean = np.zeros(3)

    def forward(self, x, training=False):
        self.running_mean += 0.1 * x.mean(axis=0)
        self.rstd = 1 / np.sqrt(x.var(axis=0) + 1e-5)
        self.xhat = (x - x.mean(axis=0)) * self.rstd
        return self.xhat

    def backward(self, dy):
        return self.rstd * (dy - dy.mean(axis=0) - self.xhat * (dy * self.xhat).mean(axis=0))


class Squares:
    """The loss ``sum (y - t)^2``."""

    def forward(self, y, t):
        self.difference = y - t
        return float((self.difference**2).sum())

    def backward(self):
        return 2 * self.difference


def flip(which):
    return lambda name, gradient: -gradient if name == which else gradient


X = tie_free((5, 4))


@pytest.mark.parametrize("max_coordinates", [0, 128])
def test_right_gradients_agree(max_coordinates):
    report = check_layer(Dense(), X, max_coordinates=max_coordinates).assert_ok()
    assert report.ok
    assert report.skipped == 0
    assert report.checked == (9 if max_coordinates == 0 else 20 + 12 + 3)
    assert report.max_error < 1e-7
    assert "gradients agree" in str(report)


@pytest.mark.parametrize("max_coordinates", [0, 128])
@pytest.mark.parametrize("name", ["x", "weight", "bias"])
@pytest.mark.parametrize(
    "error",
    [
        lambda g: -g,
        lambda g: g * (1 + 1e-4),
        lambda g: g + 1e-3,
        lambda g: 0 * g,
        lambda g: np.where(g == g.max(), -g, g),
        lambda g: g * np.nan,
    ],
    ids=["sign", "scale", "offset", "zero", "one entry", "nan"],
)
def test_planted_errors_are_found(name, error, max_coordinates):
    layer = Dense(wrong=lambda which, g: error(g) if which == name else g)
    report = check_layer(layer, X, max_coordinates=max_coordinates)
    assert not report.ok
    assert [a.name for a in report.arrays if a.problem] == [name]
    with pytest.raises(GradientError, match=f"Dense: gradients do NOT agree(.|\n)*{name}.*FAILED"):
        report.assert_ok()


def test_one_wrong_entry_of_a_large_array_shows_along_a_random_direction():
    def wrong(name, gradient):
        if name == "weight":
            gradient = gradient.copy()
            gradient[17, 23] *= -1
        return gradient

    x = np.random.default_rng(1).normal(size=(8, 90))
    assert check_layer(Dense(90, 70), x).ok
    assert check_layer(Dense(90, 70, wrong=wrong), x)["weight"].problem != ""


def test_the_layer_is_left_as_it_was():
    layer = Normalise()
    before = copy.deepcopy(layer.__dict__)
    check_layer(layer, tie_free((6, 3))).assert_ok()
    np.testing.assert_array_equal(layer.running_mean, before["running_mean"])
    assert layer.__dict__.keys() == before.keys()


def test_dropout_repeats_its_mask():
    layer = Masked(np.random.default_rng(3))
    state = layer.rng.bit_generator.state
    report = check_layer(layer, X).assert_ok()
    assert report.skipped == 0
    assert layer.rng.bit_generator.state == state


def test_randomness_that_a_copy_does_not_repeat_is_an_error():
    with pytest.raises(ValueError, match="generator that the layer holds"):
        check_layer(Masked(None), X)


def test_kinks_are_skipped_and_counted():
    x = X.copy()
    x[0, 0] = 0.0
    x[3, 2] = 1e-8
    report = check_layer(Rectifier(), x).assert_ok()
    assert report.skipped == report["x"].skipped == 2
    assert report.checked == x.size - 2
    assert "18 coordinates (2 skipped at kinks)" in str(report)


@pytest.mark.parametrize("distance", [3e-5, 8e-5, 3e-6, -4e-6])
def test_near_kinks_a_smaller_step_does(distance):
    x = X.copy()
    x[0, 0] = distance
    assert check_layer(Rectifier(), x).assert_ok().skipped == 0


def test_ties_of_a_maximum_are_kinks():
    x = X.copy()
    x[2, 1] = x[2, 3] = x.max() + 1
    assert check_layer(RowMaximum(), x).assert_ok().skipped == 2


@pytest.mark.parametrize("max_coordinates", [0, 128])
def test_too_many_kinks_fail(max_coordinates):
    report = check_layer(Rectifier(), np.zeros((4, 5)), max_coordinates=max_coordinates)
    assert not report.ok
    assert report.checked == 0
    with pytest.raises(GradientError, match="too many kinks"):
        report.assert_ok()


def test_skipping_does_not_depend_on_backward():
    class Wrong(Rectifier):
        def backward(self, dy):
            return -1e6 * super().backward(dy)

    x = X.copy()
    x[0] = 0.0
    right, wrong = check_layer(Rectifier(), x), check_layer(Wrong(), x)
    assert right.ok
    assert not wrong.ok
    assert right.skipped == wrong.skipped == 4


def test_a_deep_network_with_many_kinks():
    rng = np.random.default_rng(0)
    layers = [layer for _ in range(4) for layer in (Dense(40, 40), Rectifier())]
    report = check_layer(Chain(*layers), rng.normal(size=(50, 40))).assert_ok()
    assert report.checked >= 3 * 5
    layers[2].wrong = flip("weight")
    assert check_layer(Chain(*layers), rng.normal(size=(50, 40)))["2.weight"].problem != ""


def test_models_are_checked_through_their_loss():
    t = np.random.default_rng(2).normal(size=(5, 2))
    model, loss = Chain(Dense(4, 6), Dense(6, 2)), Squares()
    report = check_model(model, loss, X, t).assert_ok()
    assert {a.name for a in report.arrays} == {"x", "0.weight", "0.bias", "1.weight", "1.bias"}
    assert not hasattr(loss, "difference")
    model.layers[0].wrong = flip("bias")
    report = check_model(model, loss, X, t)
    assert [a.name for a in report.arrays if a.problem] == ["0.bias"]


def test_functions():
    w = np.random.default_rng(4).normal(size=(3, 4))
    product = check_function(lambda x, w: x @ w.T, lambda dy, x, w: (dy @ w, dy.T @ x), [X, w]).assert_ok()
    assert product.checked == X.size + w.size
    check_function(np.sum, lambda dy, x: dy * np.ones_like(x), [X]).assert_ok()
    only_w = check_function(lambda x, w: x @ w.T, lambda dy, x, w: (None, dy.T @ x), [X, w]).assert_ok()
    assert only_w.checked == w.size
    assert not check_function(np.exp, lambda dy, x: dy * np.cos(x), [X]).ok


def test_empty_inputs_have_nothing_to_check():
    report = check_layer(Rectifier(), np.zeros((0, 3))).assert_ok()
    assert report.checked == report.skipped == 0


def test_bad_arguments():
    with pytest.raises(TypeError, match="weight is float32"):
        check_layer(Dense(dtype=np.float32), X)
    with pytest.raises(ValueError, match="NaN or infinity"):
        check_layer(Rectifier(), np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="tolerance must be positive, got nan"):
        check_layer(Rectifier(), X, tolerance=np.nan)
    with pytest.raises(ValueError, match="1 gradients for 2 inputs"):
        check_function(lambda x, w: x + w, lambda dy, x, w: dy, [X, X])
    with pytest.raises(ValueError, match=r"shape \(5, 4\), its gradient \(4, 5\)"):
        check_function(lambda x: x, lambda dy, x: dy.T, [X])


def test_no_kink_is_taken_for_a_slope():
    """Wherever a kink lies, the derivative is either right to the tolerance or refused."""
    rng = np.random.default_rng(7)
    refused = 0
    for _ in range(2000):
        kinks = rng.uniform(-2e-4, 2e-4, rng.integers(1, 4)) * 10.0 ** -rng.integers(0, 3)
        jumps, slopes = rng.normal(size=kinks.size), rng.normal(size=2)

        def f(t, kinks=kinks, jumps=jumps, slopes=slopes):
            bends = jumps * np.maximum(t - kinks, 0)
            return np.append(bends, slopes[0] * np.sin(t) + slopes[1] * t**2)

        zero = np.zeros(1)
        dy = rng.choice([-1.0, 1.0], kinks.size + 1)
        found = derivative_along(f, zero, f(zero), np.ones(1), dy, 1e-6)
        if found is None:
            refused += 1
        else:
            true = (dy * np.append(jumps * (kinks < 0), slopes[0])).sum()
            assert abs(found.value - true) <= 1e-6 * abs(true) + 2 * found.noise
    assert 0 < refused < 1000


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1001])
def test_tie_free_numbers_keep_their_distance(size):
    values = np.sort(np.append(tie_free((size,), 5), 0.0))
    assert np.diff(values).min() > 1 / (size + 1)
    assert np.abs(values).max() <= 4
    assert tie_free((0, 3)).shape == (0, 3)


def test_numerical_gradient_is_that_of_the_definition():
    x = np.array([[1.0, -2.0], [0.5, 3.0]])
    np.testing.assert_allclose(numerical_gradient(lambda x: (x**3).sum(), x), 3 * x**2, rtol=1e-8)
    elsewhere = {"w": x}
    np.testing.assert_allclose(numerical_gradient(lambda _: (elsewhere["w"] ** 2).sum(), x), 2 * x, rtol=1e-8)
    np.testing.assert_array_equal(x, [[1.0, -2.0], [0.5, 3.0]])


def test_numerical_gradient_restores_its_argument():
    x = np.ones(3)
    with pytest.raises(ZeroDivisionError):
        numerical_gradient(lambda x: 1 // 0, x)
    np.testing.assert_array_equal(x, np.ones(3))


@pytest.mark.parametrize(
    ("x", "h", "error", "message"),
    [
        (np.ones(2, np.float32), 1e-5, TypeError, "float32"),
        ([1.0], 1e-5, TypeError, "list"),
        (np.ones(2), 0.0, ValueError, "h must be positive"),
        (np.ones(2), np.nan, ValueError, "h must be positive"),
        (np.broadcast_to(1.0, 2), 1e-5, ValueError, "read-only"),
    ],
)
def test_numerical_gradient_refuses(x, h, error, message):
    with pytest.raises(error, match=message):
        numerical_gradient(lambda x: 0.0, x, h)
