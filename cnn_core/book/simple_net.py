"""The smallest network of chapter 4: one weight matrix (the book's ``ch04/gradient_simplenet.py``)."""

import numpy as np
from numpy.typing import ArrayLike

from cnn_core.book._arrays import Array, Seed
from cnn_core.book.functions import cross_entropy_error, softmax

__all__ = ["simpleNet"]


class simpleNet:
    """Two inputs, three outputs: ``x @ W`` with W of shape (2, 3) from a standard normal (section 4.4.2)."""

    def __init__(self, *, rng: Seed = None) -> None:
        self.W = np.random.default_rng(rng).standard_normal((2, 3))

    def predict(self, x: ArrayLike) -> Array:
        """Return the scores ``x @ W``."""
        return np.dot(x, self.W)

    def loss(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the cross-entropy error of ``softmax(x @ W)`` for the label or one-hot row t."""
        return cross_entropy_error(softmax(self.predict(x)), t)
