"""Rows O1 to O6: the optimizers of cnn_core.book against their formulas on single numbers."""

import book_naive as naive
import numpy as np
import pytest

from cnn_core.book.optimizer import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSprop

OPTIMIZERS = {cls.__name__: cls for cls in (SGD, Momentum, Nesterov, AdaGrad, RMSprop, Adam)}
SECOND = {"RMSprop": {"a": 0.99}}  # where the defaults of the walk are not those of the class


@pytest.fixture(params=OPTIMIZERS)
def name(request):
    return request.param


def test_arrays_are_moved_in_place(name):
    start = np.random.default_rng(0).standard_normal((3, 4))
    params, optimizer = {"W": start.copy()}, OPTIMIZERS[name](lr=0.05)
    array = params["W"]
    for _ in range(7):
        optimizer.update(params, {"W": np.sin(params["W"]) + params["W"]})
    assert params["W"] is array
    expected = [
        naive.optimizer_walk(name, p, lambda p: np.sin(p) + p, 7, 0.05, **SECOND.get(name, {}))[-1]
        for p in start.ravel()
    ]
    np.testing.assert_allclose(array.ravel(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "lr"),
    [("SGD", 0.95), ("Momentum", 0.1), ("Nesterov", 0.1), ("AdaGrad", 1.5), ("RMSprop", 0.3), ("Adam", 0.3)],
)
def test_plain_numbers_are_replaced_in_the_dict(name, lr):
    """Section 6.1: x**2 / 20 + y**2 from (-7, 2) in 30 steps, with params and grads of Python numbers."""
    params, grads = {"x": -7.0, "y": 2.0}, {"x": 0, "y": 0}
    optimizer = OPTIMIZERS[name](lr=lr)
    history = []
    for _ in range(30):
        grads["x"], grads["y"] = params["x"] / 10.0, 2.0 * params["y"]
        optimizer.update(params, grads)
        history.append((params["x"], params["y"]))
    more = SECOND.get(name, {})
    x = naive.optimizer_walk(name, -7.0, lambda p: p / 10.0, 30, lr, **more)
    y = naive.optimizer_walk(name, 2.0, lambda p: 2.0 * p, 30, lr, **more)
    np.testing.assert_allclose(history, np.transpose([x, y]), rtol=0, atol=1e-12)


def test_default_arguments():
    assert SGD().lr == Momentum().lr == Nesterov().lr == AdaGrad().lr == RMSprop().lr == 0.01
    assert Momentum().momentum == Nesterov().momentum == 0.9
    assert RMSprop().decay_rate == 0.99
    assert (Adam().lr, Adam().beta1, Adam().beta2) == (0.001, 0.9, 0.999)


def test_the_constant_stands_outside_the_root():
    """Kept: a gradient of 1e-7 halves the first step; inside the root 1e-7 would crush it."""
    for optimizer in (AdaGrad(lr=1.0), RMSprop(lr=1.0, decay_rate=0.0)):
        params = {"p": np.zeros(1)}
        optimizer.update(params, {"p": np.full(1, 1e-7)})
        assert params["p"][0] == pytest.approx(-0.5)


def test_adam_adds_the_constant_before_the_bias_correction():
    """Kept: the paper's epsilon hat, not torch's epsilon."""
    params, g = {"p": np.zeros(1)}, 1e-6
    Adam(lr=1.0).update(params, {"p": np.full(1, g)})
    v = (1 - 0.999) * g * g
    epsilon_hat = np.sqrt(1 - 0.999) / (1 - 0.9) * (0.1 * g) / (np.sqrt(v) + 1e-7)
    assert params["p"][0] == pytest.approx(-epsilon_hat, rel=1e-12)
    assert epsilon_hat < 0.5 < g / (g + 1e-7)


def test_float32_stays_float32(name):
    params = {"W": np.ones(3, np.float32)}
    optimizer = OPTIMIZERS[name](lr=0.1)
    for _ in range(2):
        optimizer.update(params, {"W": np.ones(3)})
    assert params["W"].dtype == np.float32


def test_one_optimizer_may_serve_two_networks_of_other_sizes_with_sgd():
    optimizer = SGD(lr=1.0)
    for size in (2, 3):
        params = {"W1": np.ones(size)}
        optimizer.update(params, {"W1": np.ones(size), "unused": np.ones(1)})
        assert params["W1"].tolist() == [0.0] * size


def test_nothing_is_changed_when_a_gradient_does_not_fit(name):
    optimizer = OPTIMIZERS[name]()
    params = {"a": np.ones(2), "b": np.ones(3)}
    with pytest.raises(ValueError, match="'b'"):
        optimizer.update(params, {"a": np.ones(2)})
    with pytest.raises(ValueError, match=r"'b' has shape \(3,\), its gradient \(2,\)"):
        optimizer.update(params, {"a": np.ones(2), "b": np.ones(2)})
    assert params["a"].tolist() == [1, 1]


@pytest.mark.parametrize("lr", [-0.1, float("nan"), float("inf")])
def test_bad_learning_rates(name, lr):
    with pytest.raises(ValueError, match="lr"):
        OPTIMIZERS[name](lr=lr)


@pytest.mark.parametrize(
    ("cls", "argument"),
    [
        (Momentum, "momentum"),
        (Nesterov, "momentum"),
        (RMSprop, "decay_rate"),
        (Adam, "beta1"),
        (Adam, "beta2"),
    ],
)
def test_bad_fractions(cls, argument):
    for value in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=argument):
            cls(**{argument: value})
