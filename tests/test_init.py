"""Initial weights: spread, bounds, seeds, and what `init=` accepts."""

import math

import numpy as np
import pytest

from cnn_core import init
from cnn_core.layers import Conv2d, Linear

SHAPE = (200, 10, 3, 5)
FAN_IN, FAN_OUT = 150, 3000

# name: (standard deviation for SHAPE, largest absolute value or None)
CASES = {
    "normal": (0.01, None),
    "he_normal": (math.sqrt(2 / FAN_IN), None),
    "he_uniform": (math.sqrt(2 / FAN_IN), math.sqrt(6 / FAN_IN)),
    "xavier_normal": (math.sqrt(2 / (FAN_IN + FAN_OUT)), None),
    "xavier_uniform": (math.sqrt(2 / (FAN_IN + FAN_OUT)), math.sqrt(6 / (FAN_IN + FAN_OUT))),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_spread_is_that_of_the_formula(name, dtype):
    std, bound = CASES[name]
    values = getattr(init, name)(SHAPE, 0, dtype)
    assert values.shape == SHAPE
    assert values.dtype == dtype
    assert abs(values.mean()) < 0.02 * std
    np.testing.assert_allclose(values.std(), std, rtol=0.02)
    if bound:
        assert 0.999 * bound < np.abs(values).max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize("name", CASES)
def test_seed_decides_the_values_in_both_precisions(name):
    function = getattr(init, name)
    first = function((3, 4), 5, np.float64)
    np.testing.assert_array_equal(first, function((3, 4), np.random.default_rng(5), np.float64))
    np.testing.assert_array_equal(first.astype(np.float32), function((3, 4), 5))
    assert not np.array_equal(first, function((3, 4), 6, np.float64))
    assert not np.array_equal(function((3, 4)), function((3, 4)))


def test_a_generator_moves_on():
    rng = np.random.default_rng(0)
    assert not np.array_equal(init.he_normal((3, 4), rng), init.he_normal((3, 4), rng))


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    Conv2d(3, 4, 3)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_zeros_and_ones():
    np.testing.assert_array_equal(init.zeros((2, 3)), np.zeros((2, 3), np.float32))
    np.testing.assert_array_equal(init.ones((2, 3), dtype=np.float64), np.ones((2, 3)))


def test_fans_are_torchs():
    assert init.fan_in_and_fan_out(SHAPE) == (FAN_IN, FAN_OUT)
    assert init.fan_in_and_fan_out((3, 7)) == (7, 3)
    with pytest.raises(ValueError, match=r"two or more axes .* got shape \(3,\)"):
        init.fan_in_and_fan_out((3,))


@pytest.mark.parametrize("name", ["kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_"])
def test_spread_agrees_with_torch(name):
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    weight = torch.empty(SHAPE)
    options = {"nonlinearity": "relu"} if name.startswith("kaiming") else {}
    getattr(torch.nn.init, name)(weight, generator=torch.Generator().manual_seed(0), **options)
    ours = getattr(init, name.replace("kaiming", "he").removesuffix("_"))(SHAPE, 0)
    np.testing.assert_allclose(ours.std(), weight.numpy().std(), rtol=0.02)


def test_layers_take_names_pairs_and_functions():
    for name in CASES:
        expected = getattr(init, name)((30, 20), 1)
        np.testing.assert_array_equal(Linear(20, 30, init=name, rng=1).weight, expected)
        np.testing.assert_array_equal(Linear(20, 30, init=getattr(init, name), rng=1).weight, expected)
    np.testing.assert_array_equal(Linear(20, 30, rng=1).weight, init.he_normal((30, 20), 1))
    wide = Linear(20, 30, init=("normal", 3.0), rng=1).weight
    np.testing.assert_allclose(wide, 300 * init.normal((30, 20), 1), rtol=1e-6)
    np.testing.assert_array_equal(Conv2d(1, 2, 3, init="zeros").weight, 0)
    ramp = Linear(2, 2, init=lambda shape, rng, dtype: np.arange(4).reshape(shape))
    np.testing.assert_array_equal(ramp.weight, [[0, 1], [2, 3]])
    assert ramp.weight.dtype == np.float32


def test_unknown_initial_weights_are_refused():
    with pytest.raises(ValueError, match=r"unknown name 'he'; one of he_normal, he_uniform"):
        init.resolve("he")
    with pytest.raises(ValueError, match=r"std"):
        init.resolve(("normal", -1))
    with pytest.raises(ValueError, match=r"std"):
        init.resolve(("normal", float("nan")))
    for wrong in (0.01, ("uniform", 1), ("normal",), [1]):
        with pytest.raises(TypeError, match="init: expects None, a name"):
            init.resolve(wrong)
    with pytest.raises(ValueError, match=r"returned shape \(3,\) for a weight of shape \(4, 2\)"):
        Linear(2, 4, init=lambda shape, rng, dtype: np.zeros(3))
