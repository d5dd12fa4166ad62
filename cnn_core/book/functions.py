"""Activations and losses as plain functions (the book's ``common/functions.py``, chapters 3 and 4).

``from cnn_core.book.functions import *`` also gives ``np``, which scripts of the book rely on.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import functional
from cnn_core.book._arrays import Array, as_labels, promote

__all__ = [
    "cross_entropy_error",
    "identity_function",
    "np",
    "relu",
    "relu_grad",
    "sigmoid",
    "sigmoid_grad",
    "softmax",
    "softmax_loss",
    "step_function",
    "sum_squared_error",
]


def identity_function(x: Any) -> Any:
    """Return x itself: the output activation of regression (section 3.5)."""
    return x


def step_function(x: ArrayLike) -> Array:
    """Return 1 where x > 0 and 0 elsewhere, as integers; ``step_function(0)`` is 0 (section 3.2.3)."""
    return np.array(np.asarray(x) > 0, dtype=int)


def sigmoid(x: ArrayLike) -> Array:
    """Return ``1 / (1 + exp(-x))`` without overflow for any x (section 3.2.4)."""
    (x,) = promote(x)
    return functional.sigmoid(np.atleast_1d(x)).reshape(x.shape)[()]


def sigmoid_grad(x: ArrayLike) -> Array:
    """Return the derivative of sigmoid at x, ``(1 - sigmoid(x)) * sigmoid(x)``."""
    y = sigmoid(x)
    return (1.0 - y) * y


def relu(x: ArrayLike) -> Array:
    """Return ``max(0, x)`` in the dtype of x (section 3.2.7)."""
    return np.maximum(0, x)


def relu_grad(x: ArrayLike) -> Array:
    """Return 1 where x >= 0 and 0 elsewhere.

    At zero this function says 1 while the layer ``Relu`` lets no gradient through, as in the book. Both are
    subgradients.
    """
    x = np.asarray(x)
    return (x >= 0).astype(x.dtype)[()]


def softmax(x: ArrayLike) -> Array:
    """Return ``exp(x - max(x)) / sum(exp(x - max(x)))`` along the last axis (section 3.5.2)."""
    (x,) = promote(x)
    return functional.softmax(x, -1)


def sum_squared_error(y: ArrayLike, t: ArrayLike) -> float:
    """Return ``0.5 * sum((y - t)**2)``: a sum, not a mean (section 4.2.1)."""
    y, t = promote(y, t)
    return float(0.5 * np.sum((y - t) ** 2))


def cross_entropy_error(y: ArrayLike, t: ArrayLike) -> float:
    """Return the mean over the batch of ``-log(y[label] + 1e-7)`` (sections 4.2.2 to 4.2.4).

    The 1e-7 keeps log(0) away and is the book's; it shifts the loss, and with it numerical gradients, by
    about 1e-7.

    Parameters
    ----------
    y : array (N, K) or (K,)
        Probabilities.
    t : array
        Integer labels, (N,) or one number, or one-hot rows of the shape of y. ``t.size == y.size`` means
        one-hot.

    Raises
    ------
    ValueError, TypeError
        If t is neither, or a label lies outside 0..K-1.
    """
    (y,) = promote(y)
    y = np.atleast_2d(y)
    labels = as_labels(t, y)
    if len(y) == 0:
        raise ValueError("the mean loss of an empty batch is undefined")
    return float(-np.sum(np.log(y[np.arange(len(y)), labels] + 1e-7)) / len(y))


def softmax_loss(X: ArrayLike, t: ArrayLike) -> float:
    """Return ``cross_entropy_error(softmax(X), t)``."""
    return cross_entropy_error(softmax(X), t)
