"""The fully connected network of chapter 6 (the book's ``common/multi_layer_net.py``)."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cnn_core._checks import one_of, real_number
from cnn_core.book._arrays import Array, Seed, columns_together, promote
from cnn_core.book.layers import Affine, Relu, Sigmoid, SoftmaxWithLoss
from cnn_core.book.network import Network

__all__ = ["MultiLayerNet"]

_ACTIVATIONS: dict[str, type[Relu] | type[Sigmoid]] = {"relu": Relu, "sigmoid": Sigmoid}


class MultiLayerNet(Network):
    """Affine and activation, once per hidden layer, then affine and softmax with loss (section 6.1.8).

    The loss includes the weight decay ``weight_decay_lambda / 2 * sum(W**2)`` over the weights, not the
    biases (section 6.4.2).

    Parameters
    ----------
    input_size : int
    hidden_size_list : sequence of int
    output_size : int
    activation : {"relu", "sigmoid"}
    weight_init_std : float or {"relu", "he", "sigmoid", "xavier"}
        Standard deviation of the initial weights. "relu" and "he" mean ``sqrt(2 / n_in)``, "sigmoid" and
        "xavier" mean ``sqrt(1 / n_in)`` (not ``2 / (n_in + n_out)`` as in Glorot's paper).
    weight_decay_lambda : float
    rng : numpy.random.Generator, int or None
    """

    def __init__(
        self,
        input_size: int,
        hidden_size_list: Sequence[int],
        output_size: int,
        activation: str = "relu",
        weight_init_std: float | str = "relu",
        weight_decay_lambda: float = 0,
        *,
        rng: Seed = None,
    ) -> None:
        activation = one_of(str(activation).lower(), "MultiLayerNet: activation", tuple(_ACTIVATIONS))
        self._activation = _ACTIVATIONS[activation]
        name = "MultiLayerNet: weight_decay_lambda"
        self.weight_decay_lambda = real_number(weight_decay_lambda, name, at_least=0)
        self.input_size, self.output_size = input_size, output_size
        self.hidden_size_list, self.hidden_layer_num = hidden_size_list, len(hidden_size_list)
        self.params = {}
        rng = np.random.default_rng(rng)
        sizes = [input_size, *hidden_size_list, output_size]
        for n, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
            W = _initial_std(weight_init_std, n_in) * rng.standard_normal((n_in, n_out))
            self.params[f"W{n}"] = columns_together(W)
            self.params[f"b{n}"] = np.zeros(n_out)
        self.layers = {}
        for n in range(1, len(sizes) - 1):
            self.layers |= self._hidden_block(n)
        self.layers[f"Affine{len(sizes) - 1}"] = self._affine(len(sizes) - 1)
        self.last_layer = SoftmaxWithLoss()

    def loss(self, x: ArrayLike, t: ArrayLike, train_flg: bool = False) -> float:
        """Return the cross-entropy error plus the weight decay."""
        loss = super().loss(x, t, train_flg)
        if self.weight_decay_lambda:
            decay = sum(float(np.sum(np.square(*promote(W)))) for W in self._weights().values())
            loss += 0.5 * self.weight_decay_lambda * decay
        return loss

    def gradient(self, x: ArrayLike, t: ArrayLike) -> dict[str, Array]:
        """Return the gradient of the loss for every parameter, weight decay included."""
        grads = super().gradient(x, t)
        if self.weight_decay_lambda:
            for key, W in self._weights().items():
                grads[key] = grads[key] + self.weight_decay_lambda * W
        return grads

    def _hidden_block(self, n: int) -> dict[str, Any]:
        """Return the layers around the n-th hidden activation, in order, by name."""
        return {f"Affine{n}": self._affine(n), f"Activation_function{n}": self._activation()}

    def _affine(self, n: int) -> Affine:
        return Affine(self.params[f"W{n}"], self.params[f"b{n}"])

    def _weights(self) -> dict[str, Array]:
        return {key: value for key, value in self.params.items() if key.startswith("W")}


def _initial_std(weight_init_std: float | str, n_in: int) -> float:
    if not isinstance(weight_init_std, str):
        return weight_init_std
    name = weight_init_std.lower()
    if name in ("relu", "he"):
        return math.sqrt(2.0 / n_in)
    if name in ("sigmoid", "xavier"):
        return math.sqrt(1.0 / n_in)
    raise ValueError(
        f"weight_init_std must be a number, 'relu', 'he', 'sigmoid' or 'xavier', got {weight_init_std!r}"
    )
