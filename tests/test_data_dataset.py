"""Arrays and DataSet."""

import numpy as np
import pytest

from cnn_core.data import Arrays, DataSet


@pytest.fixture
def arrays():
    return Arrays(np.arange(20.0).reshape(10, 2), np.arange(10))


def test_length_and_repr(arrays):
    assert len(arrays) == 10
    assert repr(arrays) == "Arrays(10 examples: x (10, 2) float64, t (10,) int64)"


@pytest.mark.parametrize(
    "index", [slice(2, 5), slice(None, None, -1), [1, 1, 3], np.array([4, 0]), np.arange(10) % 2 == 0]
)
def test_subsets(arrays, index):
    subset = arrays[index]
    assert isinstance(subset, Arrays)
    np.testing.assert_array_equal(subset.x, arrays.x[index])
    np.testing.assert_array_equal(subset.t, arrays.t[index])


def test_one_example_and_iteration(arrays):
    x, t = arrays[3]
    np.testing.assert_array_equal(x, [6, 7])
    assert t == 3
    assert arrays[np.int64(-1)][1] == 9
    assert [int(t) for _, t in arrays] == list(range(10))
    with pytest.raises(IndexError):
        arrays[10]


@pytest.mark.parametrize(
    ("x", "t", "error", "message"),
    [
        (np.zeros(3), np.zeros(4), ValueError, "3 examples and 4 targets"),
        ([1], np.zeros(1), TypeError, "x: expects a numpy array, got list"),
        (np.zeros(1), np.array(1), ValueError, "t: expects an axis"),
    ],
)
def test_bad_pairs(x, t, error, message):
    with pytest.raises(error, match=message):
        Arrays(x, t)


def test_data_set(arrays):
    data = DataSet("some", arrays[:8], arrays[8:], ("a", "b"))
    assert data.input_shape == (2,)
    assert (data.name, len(data.train), len(data.test), data.class_names) == ("some", 8, 2, ("a", "b"))
