"""The convolutional network of chapter 7 (the book's ``ch07/simple_convnet.py``)."""

from collections.abc import Mapping

import numpy as np

from cnn_core.book._arrays import Seed, columns_together
from cnn_core.book.layers import Affine, Convolution, Pooling, Relu, SoftmaxWithLoss
from cnn_core.book.network import Network
from cnn_core.book.util import conv_output_size

__all__ = ["SimpleConvNet"]

_CONV_PARAM = {"filter_num": 30, "filter_size": 5, "pad": 0, "stride": 1}


class SimpleConvNet(Network):
    """Convolution, ReLU, 2x2 max-pooling, affine, ReLU, affine, softmax with loss (section 7.5).

    With the default arguments it has 433,890 parameters.

    Parameters
    ----------
    input_dim : (channels, height, width)
        Any size that the filter fits into; the book's version needs a square, even output of the convolution.
    conv_param : dict
        ``filter_num``, ``filter_size``, ``pad``, ``stride``.
    hidden_size, output_size : int
    weight_init_std : float
        Standard deviation of the initial weights.
    rng : numpy.random.Generator, int or None
    """

    def __init__(
        self,
        input_dim: tuple[int, int, int] = (1, 28, 28),
        conv_param: Mapping[str, int] = _CONV_PARAM,
        hidden_size: int = 100,
        output_size: int = 10,
        weight_init_std: float = 0.01,
        *,
        rng: Seed = None,
    ) -> None:
        filters, size = conv_param["filter_num"], conv_param["filter_size"]
        stride, pad = conv_param["stride"], conv_param["pad"]
        channels, *image = input_dim
        pooled = [conv_output_size(conv_output_size(length, size, stride, pad), 2, 2) for length in image]
        flat = filters * pooled[0] * pooled[1]

        rng = np.random.default_rng(rng)
        self.params = {
            "W1": weight_init_std * rng.standard_normal((filters, channels, size, size)),
            "b1": np.zeros(filters),
            "W2": columns_together(weight_init_std * rng.standard_normal((flat, hidden_size))),
            "b2": np.zeros(hidden_size),
            "W3": columns_together(weight_init_std * rng.standard_normal((hidden_size, output_size))),
            "b3": np.zeros(output_size),
        }
        self.layers = {
            "Conv1": Convolution(self.params["W1"], self.params["b1"], stride, pad),
            "Relu1": Relu(),
            "Pool1": Pooling(2, 2, stride=2),
            "Affine1": Affine(self.params["W2"], self.params["b2"]),
            "Relu2": Relu(),
            "Affine2": Affine(self.params["W3"], self.params["b3"]),
        }
        self.last_layer = SoftmaxWithLoss()
