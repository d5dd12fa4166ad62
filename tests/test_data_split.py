"""split: parts that share nothing, leave nothing out, and keep the proportions asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnn_core.data import Arrays, split


def numbered(n, classes=3, seed=0):
    t = np.random.default_rng(seed).integers(0, classes, n)
    return Arrays(np.arange(n, dtype=np.float32), t)


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=5),
    classes=st.integers(1, 5),
    stratify=st.booleans(),
    seed=st.integers(0, 100),
)
def test_parts_are_a_partition(counts, classes, stratify, seed):
    data = numbered(sum(counts), classes, seed)
    parts = split(data, counts, stratify=stratify, rng=seed)
    assert [len(part) for part in parts] == counts
    rows = np.concatenate([part.x for part in parts])
    np.testing.assert_array_equal(np.sort(rows), data.x)
    for part in parts:
        np.testing.assert_array_equal(part.x, np.sort(part.x))
        np.testing.assert_array_equal(part.t, data.t[part.x.astype(int)])
        if stratify:
            expected = np.bincount(data.t, minlength=classes) * (len(part) / max(len(data), 1))
            assert np.abs(np.bincount(part.t, minlength=classes) - expected).max() < 2


@pytest.mark.parametrize(
    ("n", "fractions", "counts"),
    [
        (10, [0.7, 0.3], [7, 3]),
        (10, [0.8, 0.1, 0.1], [8, 1, 1]),
        (11, [0.5, 0.5], [6, 5]),
        (7, [0.5, 0.25, 0.25], [3, 2, 2]),
        (10, [1.0], [10]),
        (3, [0.0, 1.0], [0, 3]),
        (0, [0.5, 0.5], [0, 0]),
    ],
)
def test_fractions(n, fractions, counts):
    assert [len(part) for part in split(numbered(n), fractions, rng=0)] == counts


@pytest.mark.parametrize("stratify", [False, True])
def test_a_seed_repeats_the_division(stratify):
    data = numbered(100)
    first, again, other = (split(data, [60, 40], stratify=stratify, rng=seed)[0].x for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    generator = np.random.default_rng(1)
    np.testing.assert_array_equal(split(data, [60, 40], stratify=stratify, rng=generator)[0].x, first)


def test_classes_in_exact_proportion_where_that_is_possible():
    data = Arrays(np.arange(100), np.repeat([0, 1], [80, 20]))
    train, test = split(data, [0.75, 0.25], stratify=True, rng=0)
    assert np.bincount(train.t).tolist() == [60, 15]
    assert np.bincount(test.t).tolist() == [20, 5]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data": np.arange(3)}, TypeError, r"expects cnn_core.data.Arrays, got ndarray"),
        ({"lengths": []}, ValueError, "at least one"),
        ({"lengths": [5, 4]}, ValueError, "add up to 9, but there are 10 examples"),
        ({"lengths": [11, -1]}, ValueError, "-1"),
        ({"lengths": [0.5, 0.6]}, ValueError, r"add up to 1\.1 instead of 1"),
        ({"lengths": [1.5, -0.5]}, ValueError, "lengths"),
        ({"lengths": [float("nan"), 0.5]}, ValueError, "finite"),
        ({"data": Arrays(np.arange(3), np.eye(3)), "stratify": True}, TypeError, "class numbers"),
    ],
)
def test_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        split(**({"data": numbered(10), "lengths": [5, 5]} | arguments))
