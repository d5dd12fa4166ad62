"""Write your own network (the book's ``ch08/awesome_net.py`` is an empty page; this one has a start on it).

Copy this file and change it. A network sets ``params``, ``layers`` and ``last_layer`` in its constructor;
:class:`~cnn_core.book.network.Network` does the rest: predict, loss, accuracy, gradient, saving and
loading. Parameters are numbered by layer: ``W1, b1`` belong to the first convolution or affine layer,
``gamma1, beta1`` to the first batch normalisation.
"""

import numpy as np

from cnn_core.book._arrays import Seed, columns_together
from cnn_core.book.layers import (
    Affine,
    AveragePooling,
    BatchNormalization,
    Convolution,
    Relu,
    SoftmaxWithLoss,
)
from cnn_core.book.network import Network

__all__ = ["AwesomeNet"]


class AwesomeNet(Network):
    """Convolution, batch normalisation, ReLU, average pooling, affine: small, and yours to make awesome.

    Parameters
    ----------
    input_dim : (channels, height, width)
        Even height and width.
    filters, output_size : int
    rng : numpy.random.Generator, int or None
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (1, 28, 28),
        filters: int = 16,
        output_size: int = 10,
        *,
        rng: Seed = None,
    ) -> None:
        rng = np.random.default_rng(rng)
        channels, height, width = input_dim
        pixels = height * width  # 3x3 filters with pad 1 keep the size
        pooled = filters * (height // 2) * (width // 2)

        self.params = {
            "W1": np.sqrt(2 / (channels * 9)) * rng.standard_normal((filters, channels, 3, 3)),
            "b1": np.zeros(filters),
            "gamma1": np.ones(filters * pixels),
            "beta1": np.zeros(filters * pixels),
            "W2": columns_together(np.sqrt(2 / pooled) * rng.standard_normal((pooled, output_size))),
            "b2": np.zeros(output_size),
        }
        self.layers = {
            "Conv1": Convolution(self.params["W1"], self.params["b1"], stride=1, pad=1),
            "BatchNorm1": BatchNormalization(self.params["gamma1"], self.params["beta1"]),
            "Relu1": Relu(),
            "Pool1": AveragePooling(2, 2, stride=2),
            "Affine1": Affine(self.params["W2"], self.params["b2"]),
        }
        self.last_layer = SoftmaxWithLoss()
