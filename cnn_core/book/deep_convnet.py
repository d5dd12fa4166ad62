"""The deep convolutional network of chapter 8 (the book's ``ch08/deep_convnet.py``)."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cnn_core.book._arrays import Seed, columns_together
from cnn_core.book.layers import Affine, Convolution, Dropout, Pooling, Relu, SoftmaxWithLoss
from cnn_core.book.network import Network
from cnn_core.book.util import conv_output_size

__all__ = ["DeepConvNet"]


def _conv(filter_num: int, pad: int = 1) -> dict[str, int]:
    return {"filter_num": filter_num, "filter_size": 3, "pad": pad, "stride": 1}


_CONV_PARAMS = (_conv(16), _conv(16), _conv(32), _conv(32, pad=2), _conv(64), _conv(64))


class DeepConvNet(Network):
    """Three times two convolutions with ReLU and 2x2 max-pooling, then two affine layers (section 8.1.1).

    Conv-ReLU-conv-ReLU-pool three times, affine-ReLU-dropout, affine-dropout, softmax with loss. The second
    dropout comes after the scores, as in the book. The initial weights are He's, ``sqrt(2 / n)`` with n
    inputs per node. With the default arguments the network has 123,552 parameters.

    Parameters
    ----------
    input_dim : (channels, height, width)
    conv_param_1 ... conv_param_6 : dict
        ``filter_num``, ``filter_size``, ``pad``, ``stride`` of each convolution. The fourth has pad 2 by
        default, so that 28x28 images become 4x4 before the affine layers.
    hidden_size, output_size : int
    rng : numpy.random.Generator, int or None
        Source of the initial weights, then of the dropout masks.
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (1, 28, 28),
        conv_param_1: Mapping[str, int] = _CONV_PARAMS[0],
        conv_param_2: Mapping[str, int] = _CONV_PARAMS[1],
        conv_param_3: Mapping[str, int] = _CONV_PARAMS[2],
        conv_param_4: Mapping[str, int] = _CONV_PARAMS[3],
        conv_param_5: Mapping[str, int] = _CONV_PARAMS[4],
        conv_param_6: Mapping[str, int] = _CONV_PARAMS[5],
        hidden_size: int = 50,
        output_size: int = 10,
        *,
        rng: Seed = None,
    ) -> None:
        rng = np.random.default_rng(rng)
        self.params = {}
        layers: list[Any] = []
        channels, height, width = input_dim
        conv_params = (conv_param_1, conv_param_2, conv_param_3, conv_param_4, conv_param_5, conv_param_6)
        for n, conv in enumerate(conv_params, start=1):
            layers += [self._convolution(n, channels, conv, rng), Relu()]
            channels, window = conv["filter_num"], (conv["filter_size"], conv["stride"], conv["pad"])
            height, width = conv_output_size(height, *window), conv_output_size(width, *window)
            if n % 2 == 0:
                layers.append(Pooling(2, 2, stride=2))
                height, width = conv_output_size(height, 2, 2), conv_output_size(width, 2, 2)
        layers += [
            self._affine(7, channels * height * width, hidden_size, rng),
            Relu(),
            Dropout(0.5, rng=rng),
        ]
        layers += [self._affine(8, hidden_size, output_size, rng), Dropout(0.5, rng=rng)]
        self.layers = layers
        self.last_layer = SoftmaxWithLoss()

    def loss(self, x: ArrayLike, t: ArrayLike, train_flg: bool = True) -> float:
        """Return the loss of the batch x for t, with dropout unless told otherwise."""
        return super().loss(x, t, train_flg)

    def _convolution(
        self, n: int, channels: int, conv: Mapping[str, int], rng: np.random.Generator
    ) -> Convolution:
        filters, size = conv["filter_num"], conv["filter_size"]
        std = math.sqrt(2.0 / (channels * size * size))
        W = self.params[f"W{n}"] = std * rng.standard_normal((filters, channels, size, size))
        b = self.params[f"b{n}"] = np.zeros(filters)
        return Convolution(W, b, conv["stride"], conv["pad"])

    def _affine(self, n: int, n_in: int, n_out: int, rng: np.random.Generator) -> Affine:
        W = columns_together(math.sqrt(2.0 / n_in) * rng.standard_normal((n_in, n_out)))
        self.params[f"W{n}"] = W
        b = self.params[f"b{n}"] = np.zeros(n_out)
        return Affine(W, b)
