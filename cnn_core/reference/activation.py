"""Activations: the formula, and the derivative times ``dy``."""

import numpy as np

from cnn_core.reference._common import Array, f64


def relu(x: Array) -> Array:
    """``max(x, 0)``; NaN stays NaN."""
    return np.maximum(x, 0).astype(x.dtype)


def relu_backward(dy: Array, y: Array) -> Array:
    """``dy`` where the output was positive, else 0."""
    return np.where(y <= 0, 0, dy).astype(dy.dtype)


def leaky_relu(x: Array, negative_slope: float = 0.01) -> Array:
    """``x`` where positive, else ``negative_slope * x``."""
    return np.where(x > 0, f64(x), negative_slope * f64(x)).astype(x.dtype)


def leaky_relu_backward(dy: Array, x: Array, negative_slope: float = 0.01) -> Array:
    """``dy`` where ``x`` was positive, else ``negative_slope * dy``."""
    return np.where(x > 0, f64(dy), negative_slope * f64(dy)).astype(dy.dtype)


def sigmoid(x: Array) -> Array:
    """``1 / (1 + exp(-x))``, with an exponent that is never positive so that nothing overflows."""
    small = np.exp(-np.abs(f64(x)))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype)


def sigmoid_backward(dy: Array, y: Array) -> Array:
    """``dy * y * (1 - y)``."""
    return (f64(dy) * f64(y) * (1 - f64(y))).astype(dy.dtype)


def tanh(x: Array) -> Array:
    """``tanh(x)``."""
    return np.tanh(f64(x)).astype(x.dtype)


def tanh_backward(dy: Array, y: Array) -> Array:
    """``dy * (1 - y^2)``."""
    return (f64(dy) * (1 - f64(y) ** 2)).astype(dy.dtype)


def softmax(x: Array, dim: int = -1) -> Array:
    """``exp(x) / sum exp(x)`` along ``dim``, shifted by the largest entry."""
    e = np.exp(f64(x) - f64(x).max(axis=dim, keepdims=True, initial=-np.inf))
    return (e / e.sum(axis=dim, keepdims=True)).astype(x.dtype)


def softmax_backward(dy: Array, y: Array, dim: int = -1) -> Array:
    """``y * (dy - sum(dy * y))``."""
    dy64, y64 = f64(dy), f64(y)
    return (y64 * (dy64 - (dy64 * y64).sum(axis=dim, keepdims=True))).astype(dy.dtype)


def log_softmax(x: Array, dim: int = -1) -> Array:
    """``x - log sum exp(x)`` along ``dim``, shifted by the largest entry."""
    shifted = f64(x) - f64(x).max(axis=dim, keepdims=True, initial=-np.inf)
    return (shifted - np.logaddexp.reduce(shifted, axis=dim, keepdims=True)).astype(x.dtype)


def log_softmax_backward(dy: Array, y: Array, dim: int = -1) -> Array:
    """``dy - exp(y) * sum(dy)``."""
    return (f64(dy) - np.exp(f64(y)) * f64(dy).sum(axis=dim, keepdims=True)).astype(dy.dtype)
