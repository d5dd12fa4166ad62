"""Ranges of hyperparameters: what is drawn from them, how they narrow, what they refuse."""

import math

import numpy as np
import pytest

from cnn_core.search import Choice, Integer, LogUniform, Uniform
from cnn_core.search.space import check_space, sample

RANGES = [Uniform(-1.5, 2), LogUniform(1e-6, 1e-2), Integer(-2, 5), Choice("sgd", "adam", None, True, 0.5)]


def draw(parameter, count=2000):
    rng = np.random.default_rng(0)
    return [parameter.sample(rng) for _ in range(count)]


@pytest.mark.parametrize("parameter", RANGES, ids=repr)
def test_optuna_agrees_that_values_are_within(parameter):
    pytest.importorskip("optuna")
    distribution = parameter.distribution()
    for value in draw(parameter, 200):
        internal = distribution.to_internal_repr(value)
        assert distribution._contains(internal)
        assert distribution.to_external_repr(internal) == value


def test_a_log_range_is_uniform_in_its_powers_of_ten():
    powers = np.log10(draw(LogUniform(1e-6, 1e-2)))
    counts, _ = np.histogram(powers, bins=[-6, -5, -4, -3, -2])
    assert counts.sum() == 2000
    assert (abs(counts - 500) < 80).all()


def test_all_ends_of_integers_and_all_options_occur():
    assert set(draw(Integer(-2, 5))) == set(range(-2, 6))
    assert {type(value) for value in draw(Integer(-2, 5))} == {int}
    assert set(map(repr, draw(RANGES[3]))) == {"'sgd'", "'adam'", "None", "True", "0.5"}


def test_a_sample_depends_on_seed_number_and_name_alone():
    space = {"lr": LogUniform(1e-6, 1e-2), "units": Integer(10, 1000)}
    one = sample(space, 3, 7)
    assert one == sample(dict(reversed(space.items())), 3, 7)
    assert one["lr"] == sample({"lr": space["lr"]}, 3, 7)["lr"]
    others = [sample(space, 3, 8), sample(space, 4, 7), sample({"wd": space["lr"]}, 3, 7)]
    assert all(one["lr"] != next(iter(other.values())) for other in others)


def test_samples_are_these():
    # Stored searches go on with these numbers, so they must stay what they are.
    space = {"lr": LogUniform(1e-6, 1e-2), "momentum": Uniform(0, 1), "units": Integer(10, 1000)}
    assert sample(space, 0, 0) == {"lr": 0.00107749, "momentum": 0.823596, "units": 385}


def test_narrowing_spans_the_values_and_stays_within():
    assert Uniform(0, 1).narrowed([0.25, 0.61234, 0.5]) == Uniform(0.25, 0.613)
    assert LogUniform(1e-6, 1e-2).narrowed([3.3333e-5, 9.9999e-3]) == LogUniform(3.33e-5, 1e-2)
    assert LogUniform(1.2345e-5, 1).narrowed([1.23456e-5, 0.5]) == LogUniform(1.2345e-5, 0.5)
    assert Uniform(-1, 1).narrowed([-0.12345, 0]) == Uniform(-0.124, 0)
    assert Integer(1, 9).narrowed([4, 3, 3]) == Integer(3, 4)
    assert Choice("a", "b", "c").narrowed(["c", "a", "c"]) == Choice("a", "c")


def test_a_range_may_be_a_single_value():
    assert Uniform(0.5, 0.5).sample(np.random.default_rng(0)) == 0.5
    assert LogUniform(1e-3, 1e-3).narrowed([1e-3, 1e-3]) == LogUniform(1e-3, 1e-3)
    assert Integer(4, 4).sample(np.random.default_rng(0)) == 4


def test_the_centre_is_the_median_on_the_scale_of_the_range():
    assert LogUniform(1e-6, 1).centre([1e-4, 1e-2]) == pytest.approx(1e-3)
    assert LogUniform(1e-6, 1).centre([1e-4, 2e-4, 1]) == 2e-4
    assert Uniform(0, 1).centre([0.2, 0.4]) == pytest.approx(0.3)
    assert Integer(0, 9).centre([3, 4, 9, 1]) == 3
    assert Choice("a", "b").centre(["b", "a", "b"]) == "b"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LogUniform(0, 1), ValueError, "LogUniform: low: expects a number > 0"),
        (lambda: LogUniform(1e-2, 1e-6), ValueError, "expects low <= high, got 0.01 and 1e-06"),
        (lambda: Uniform(0, math.inf), ValueError, "Uniform: high: expects a finite"),
        (lambda: Uniform("0", 1), TypeError, "Uniform: low: expects a real number"),
        (lambda: Integer(1.5, 2), TypeError, "Integer: low: expects an integer"),
        (lambda: Integer(3, 2), ValueError, "expects low <= high"),
        (lambda: Choice(), ValueError, "at least one option"),
        (lambda: Choice("a", "a"), ValueError, "differ"),
        (lambda: Choice(math.nan), ValueError, "differ"),
        (lambda: Choice([1, 2]), TypeError, r"got \[1, 2\]"),
        (lambda: check_space({}), ValueError, "at least one range"),
        (lambda: check_space([("lr", Uniform(0, 1))]), TypeError, "expects a dict"),
        (lambda: check_space({"lr": (1e-6, 1e-2)}), TypeError, "'lr' expects LogUniform"),
        (lambda: check_space({1: Uniform(0, 1)}), TypeError, "names that are strings"),
    ],
)
def test_bad_ranges_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
