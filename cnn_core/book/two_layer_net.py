"""The two-layer network of chapter 5, made of layers (the book's ``ch05/two_layer_net.py``)."""

import numpy as np

from cnn_core.book._arrays import Seed, columns_together
from cnn_core.book.layers import Affine, Relu, SoftmaxWithLoss
from cnn_core.book.network import Network

__all__ = ["TwoLayerNet"]


class TwoLayerNet(Network):
    """Affine, ReLU, affine, softmax with loss (section 5.7).

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
            "W1": columns_together(weight_init_std * rng.standard_normal((input_size, hidden_size))),
            "b1": np.zeros(hidden_size),
            "W2": columns_together(weight_init_std * rng.standard_normal((hidden_size, output_size))),
            "b2": np.zeros(output_size),
        }
        self.layers = {
            "Affine1": Affine(self.params["W1"], self.params["b1"]),
            "Relu1": Relu(),
            "Affine2": Affine(self.params["W2"], self.params["b2"]),
        }
        self.last_layer = SoftmaxWithLoss()

    @property
    def lastLayer(self) -> SoftmaxWithLoss:
        """The name that chapter 5 has for ``last_layer``."""
        return self.last_layer
