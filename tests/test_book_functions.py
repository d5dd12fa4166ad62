"""Rows F1 to F7: the functions of cnn_core.book."""

import math

import numpy as np
import pytest

from cnn_core.book import functions as f

X = np.array([[-3.0, -1e-3, 0.0], [1e-3, 2.0, 30.0]])


def test_identity_and_step():
    assert f.identity_function(X) is X
    step = f.step_function(np.array([-1.0, 0.0, 1e-300]))
    assert step.dtype.kind == "i"
    assert step.tolist() == [0, 0, 1]
    assert f.step_function(3.0) == 1


def test_sigmoid_and_its_gradient():
    expected = np.vectorize(lambda v: 1 / (1 + math.exp(-v)))(X)
    np.testing.assert_allclose(f.sigmoid(X), expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(f.sigmoid_grad(X), expected * (1 - expected), rtol=0, atol=1e-15)
    assert f.sigmoid(0) == 0.5
    assert np.ndim(f.sigmoid(1.5)) == 0


def test_sigmoid_does_not_overflow():
    with np.errstate(over="raise"):
        assert f.sigmoid(np.array([-1e4, 1e4])).tolist() == [0.0, 1.0]


def test_relu_gradient_at_zero_is_one():
    """The function says 1 at 0, the layer Relu 0: both kept from the book."""
    assert f.relu(X).tolist() == [[0, 0, 0], [1e-3, 2, 30]]
    assert f.relu_grad(X).tolist() == [[0, 0, 1], [1, 1, 1]]


def test_softmax_is_over_the_last_axis_and_shifted():
    y = f.softmax(X)
    for row, got in zip(X, y, strict=True):
        e = [math.exp(v) for v in row]
        np.testing.assert_allclose(got, [v / sum(e) for v in e], rtol=0, atol=1e-15)
    np.testing.assert_allclose(f.softmax(X[1]), y[1], rtol=0, atol=1e-15)
    np.testing.assert_allclose(f.softmax(np.array([1010, 1000, 990])), f.softmax(np.array([20.0, 10.0, 0.0])))


def test_sum_squared_error_is_a_sum():
    assert f.sum_squared_error(np.array([[1.0, 2.0], [3.0, 4.0]]), np.zeros((2, 2))) == 15.0


def test_cross_entropy_error_with_labels_and_one_hot():
    y = np.array([[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]])
    labels = np.array([1, 2])
    expected = -(math.log(0.7 + 1e-7) + math.log(0.25 + 1e-7)) / 2
    assert f.cross_entropy_error(y, labels) == pytest.approx(expected, abs=1e-15)
    assert f.cross_entropy_error(y, labels.astype(np.uint8)) == pytest.approx(expected, abs=1e-15)
    assert f.cross_entropy_error(y, labels[:, None]) == pytest.approx(expected, abs=1e-15)
    assert f.cross_entropy_error(y, np.eye(3)[labels]) == pytest.approx(expected, abs=1e-15)


def test_cross_entropy_error_of_one_image():
    y = np.array([0.1, 0.7, 0.2])
    expected = -math.log(0.2 + 1e-7)
    assert f.cross_entropy_error(y, np.array([0, 0, 1])) == pytest.approx(expected, abs=1e-15)
    assert f.cross_entropy_error(y, 2) == pytest.approx(expected, abs=1e-15)


def test_cross_entropy_error_keeps_the_constant_of_the_book():
    assert f.cross_entropy_error(np.array([0.0, 1.0]), 0) == pytest.approx(-math.log(1e-7), abs=1e-12)
    assert f.cross_entropy_error(np.array([0.0, 1.0]), 1) < 0


@pytest.mark.parametrize(
    ("labels", "error"),
    [([1, 3], ValueError), ([-1, 0], ValueError), ([0, 1, 2], ValueError), ([0.0, 1.0], TypeError)],
)
def test_cross_entropy_error_refuses_what_is_not_a_label(labels, error):
    with pytest.raises(error, match=r"label"):
        f.cross_entropy_error(np.full((2, 3), 1 / 3), np.array(labels))


def test_softmax_loss():
    assert f.softmax_loss(X, np.array([0, 2])) == f.cross_entropy_error(f.softmax(X), np.array([0, 2]))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8", ">f8"])
def test_dtypes(dtype):
    expected = {"f2": "f4", "f4": "f4", "f8": "f8", "i8": "f8", ">f8": "f8"}[dtype]
    x = np.arange(6).reshape(2, 3).astype(dtype)
    assert f.softmax(x).dtype == expected
    assert f.sigmoid(x).dtype == expected


@pytest.mark.parametrize("x", [np.zeros(3, complex), np.array(["a"]), np.array([None, 1])])
def test_what_is_not_a_real_number_is_refused(x):
    with pytest.raises(TypeError):
        f.softmax(x)
