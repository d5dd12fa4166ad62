"""Rows G1 and G2: numerical gradients and descent."""

import numpy as np
import pytest

from cnn_core.book.gradient import (
    _numerical_gradient_1d,
    gradient_descent,
    numerical_diff,
    numerical_gradient,
    numerical_gradient_2d,
    tangent_line,
)


def test_gradient_of_an_array_of_any_shape():
    x = np.arange(24.0).reshape(2, 3, 4)
    kept = x.copy()
    np.testing.assert_allclose(numerical_gradient(lambda v: np.sum(v**2), x), 2 * x, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(x, kept)


def test_the_array_itself_is_perturbed():
    """Networks ignore the argument of the loss and read their own parameters."""
    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(numerical_gradient(lambda _: x[0] * x[1], x), [2.0, 1.0], rtol=0, atol=1e-10)


def test_central_difference_with_the_step_of_the_book():
    # For x**3 the central difference is exactly 3x^2 + h^2.
    grad = numerical_gradient(lambda v: float(v[0] ** 3), np.array([0.0]))
    assert grad[0] == pytest.approx(1e-8, rel=1e-9)


def test_values_are_put_back_when_the_function_raises():
    x = np.array([1.0, 2.0])
    with pytest.raises(ZeroDivisionError):
        numerical_gradient(lambda v: 1 / 0, x)
    assert x.tolist() == [1.0, 2.0]


def test_integers_are_refused():
    with pytest.raises(TypeError, match="int64"):
        numerical_gradient(np.sum, np.array([1, 2]))
    with pytest.raises(TypeError, match="list"):
        numerical_gradient(np.sum, [1.0, 2.0])


def test_2d_takes_rows_one_by_one():
    X = np.array([[3.0, 4.0], [0.0, 2.0], [3.0, 0.0]])
    expected = [[6.0, 8.0], [0.0, 4.0], [6.0, 0.0]]
    np.testing.assert_allclose(numerical_gradient_2d(lambda v: np.sum(v**2), X), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(numerical_gradient_2d(lambda v: np.sum(v**2), X[0]), [6, 8], rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        _numerical_gradient_1d(lambda v: np.sum(v**2), X[0]), [6, 8], rtol=0, atol=1e-9
    )


def test_numerical_diff_and_tangent_line():
    def parabola(x):
        return 0.01 * x**2 + 0.1 * x

    assert numerical_diff(parabola, 5) == pytest.approx(0.2, abs=1e-10)
    assert numerical_diff(parabola, 10) == pytest.approx(0.3, abs=1e-10)
    line = tangent_line(parabola, 5)
    assert line(5) == pytest.approx(parabola(5))
    assert line(7) == pytest.approx(parabola(5) + 2 * 0.2)


def test_gradient_descent_leaves_its_start_alone():
    start = np.array([-3.0, 4.0])
    x, history = gradient_descent(lambda v: v[0] ** 2 + v[1] ** 2, start, lr=0.1, step_num=100)
    np.testing.assert_allclose(x, np.array([-3.0, 4.0]) * 0.8**100, rtol=1e-6)
    assert history.shape == (100, 2)
    assert history[0].tolist() == [-3.0, 4.0]
    np.testing.assert_allclose(history[1], [-2.4, 3.2])
    assert start.tolist() == [-3.0, 4.0]


def test_gradient_descent_with_bad_rates():
    def parabola(v):
        return v[0] ** 2 + v[1] ** 2

    far, _ = gradient_descent(parabola, np.array([-3.0, 4.0]), lr=10.0, step_num=100)
    assert np.abs(far).max() > 1e10
    near, _ = gradient_descent(parabola, np.array([-3.0, 4.0]), lr=1e-10, step_num=100)
    np.testing.assert_allclose(near, [-3.0, 4.0], atol=1e-6)
