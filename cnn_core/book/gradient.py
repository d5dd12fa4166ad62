"""Numerical gradients (the book's ``common/gradient.py`` and the small functions of chapter 4).

All use the central difference ``(f(x + h) - f(x - h)) / 2h`` with ``h = 1e-4``. For gradient checks of
layers and models see :mod:`cnn_core.gradcheck`, which also knows about kinks.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cnn_core.book._arrays import Array

__all__ = [
    "gradient_descent",
    "np",
    "numerical_diff",
    "numerical_gradient",
    "numerical_gradient_2d",
    "tangent_line",
]

H = 1e-4


def numerical_gradient(f: Callable[[Array], Any], x: Array) -> Array:
    """Return the gradient of f at the array x of any shape (section 4.4).

    f is called with x itself, of which one element at a time is moved by ±h and put back, also when f
    raises. So f may ignore its argument and read x through a network that holds it.

    Raises
    ------
    TypeError
        If x is not a float array: a step of 1e-4 would be lost in integers, and the gradient would be 0.
    """
    _check_float_array(x)
    grad = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        kept = x[index]
        try:
            x[index] = float(kept) + H
            above = f(x)
            x[index] = float(kept) - H
            below = f(x)
        finally:
            x[index] = kept
        grad[index] = (above - below) / (2 * H)
    return grad


def _numerical_gradient_1d(f: Callable[[Array], Any], x: Array) -> Array:
    if x.ndim != 1:
        raise ValueError(f"expects a vector, got shape {x.shape}")
    return numerical_gradient(f, x)


def numerical_gradient_2d(f: Callable[[Array], Any], X: Array) -> Array:
    """Return the gradient of f at the vector X or, for a matrix, at each of its rows (section 4.4)."""
    _check_float_array(X)
    if X.ndim == 1:
        return _numerical_gradient_1d(f, X)
    grad = np.zeros_like(X)
    for row, x in enumerate(X):
        grad[row] = _numerical_gradient_1d(f, x)
    return grad


def numerical_diff(f: Callable[[Any], Any], x: Any) -> Any:
    """Return the derivative of f at the number x (section 4.3.1)."""
    return (f(x + H) - f(x - H)) / (2 * H)


def tangent_line(f: Callable[[Any], Any], x: float) -> Callable[[Any], Any]:
    """Return the line ``t -> f(x) + f'(x) (t - x)`` that touches f at x (section 4.3.2)."""
    slope = numerical_diff(f, x)
    intercept = f(x) - slope * x
    return lambda t: slope * t + intercept


def gradient_descent(
    f: Callable[[Array], Any], init_x: Array, lr: float = 0.01, step_num: int = 100
) -> tuple[Array, Array]:
    """Walk step_num times along ``x <- x - lr * grad f(x)`` (section 4.4.1).

    Returns
    -------
    x, history : array of the shape of init_x, array (step_num, ...)
        The end point, and the points before each step. ``init_x`` is left as it was.
    """
    _check_float_array(init_x)
    x = init_x.copy()
    history = np.empty((step_num, *x.shape), x.dtype)
    for step in range(step_num):
        history[step] = x
        x -= lr * numerical_gradient(f, x)
    return x, history


def _check_float_array(x: Array) -> None:
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
        kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(
            f"expects a float array, got {kind}; a step of {H} is lost in integers: x.astype(float)"
        )
