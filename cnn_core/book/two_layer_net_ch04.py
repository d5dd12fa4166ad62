"""The network of chapter 4, with its backward pass written out by hand (the book's
``ch04/two_layer_net.py``).

Its script imports ``TwoLayerNet`` from a module of the same name as chapter 5's; here the two are
:mod:`cnn_core.book.two_layer_net_ch04` and :mod:`cnn_core.book.two_layer_net`.
"""

import numpy as np
from numpy.typing import ArrayLike

from cnn_core.book._arrays import Array, Seed, as_labels, promote
from cnn_core.book.functions import cross_entropy_error, sigmoid, sigmoid_grad, softmax
from cnn_core.book.network import Network

__all__ = ["TwoLayerNet"]


class TwoLayerNet(Network):
    """Affine, sigmoid, affine, softmax (section 4.5).

    Parameters
    ----------
    input_size, hidden_size, output_size : int
    weight_init_std : float
        Standard deviation of the initial weights.
    rng : numpy.random.Generator, int or None
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        weight_init_std: float = 0.01,
        *,
        rng: Seed = None,
    ) -> None:
        rng = np.random.default_rng(rng)
        self.params = {
            "W1": weight_init_std * rng.standard_normal((input_size, hidden_size)),
            "b1": np.zeros(hidden_size),
            "W2": weight_init_std * rng.standard_normal((hidden_size, output_size)),
            "b2": np.zeros(output_size),
        }
        self.layers = {}

    def predict(self, x: ArrayLike, train_flg: bool = False) -> Array:
        """Return probabilities (N, output_size): after softmax, unlike all other networks."""
        x, W1, b1, W2, b2 = promote(x, *self.params.values())
        return softmax(sigmoid(x @ W1 + b1) @ W2 + b2)

    def loss(self, x: ArrayLike, t: ArrayLike, train_flg: bool = False) -> float:
        """Return the cross-entropy error of the batch x for the labels or one-hot rows t."""
        return cross_entropy_error(self.predict(x), t)

    def gradient(self, x: ArrayLike, t: ArrayLike) -> dict[str, Array]:
        """Return the gradient of the loss for every parameter.

        t may hold labels too, where the book's version needs one-hot rows.
        """
        x, W1, b1, W2, b2 = promote(x, *self.params.values())
        a1 = x @ W1 + b1
        z1 = sigmoid(a1)
        y = softmax(z1 @ W2 + b2)

        t = np.asarray(t)
        one_hot = t.reshape(y.shape) if t.size == y.size else np.eye(y.shape[1])[as_labels(t, y)]
        dy = ((y - one_hot) / len(y)).astype(y.dtype, copy=False)
        da1 = sigmoid_grad(a1) * (dy @ W2.T)
        return {"W1": x.T @ da1, "b1": da1.sum(axis=0), "W2": z1.T @ dy, "b2": dy.sum(axis=0)}
