"""The layers of the book (``common/layers.py``, chapters 5 to 7).

Every layer has ``forward`` and ``backward``; layers with parameters leave the gradients on ``dW``, ``db``,
``dgamma`` and ``dbeta``. The arithmetic is that of :mod:`cnn_core.functional`; nothing writes into its
inputs. ``backward`` before a forward pass in training mode raises RuntimeError.

``from cnn_core.book.layers import *`` also gives the functions of :mod:`cnn_core.book.functions`, ``im2col``,
``col2im`` and ``np``, as the book's module does.
"""

from cnn_core.book._activation_layers import Relu, Sigmoid, SoftmaxWithLoss
from cnn_core.book._convolution_layers import AveragePooling, Convolution, Pooling
from cnn_core.book._dense_layers import Affine, BatchNormalization, Dropout
from cnn_core.book.functions import (
    cross_entropy_error,
    identity_function,
    np,
    relu,
    relu_grad,
    sigmoid,
    sigmoid_grad,
    softmax,
    softmax_loss,
    step_function,
    sum_squared_error,
)
from cnn_core.book.util import col2im, im2col

__all__ = [
    "Affine",
    "AveragePooling",
    "BatchNormalization",
    "Convolution",
    "Dropout",
    "Pooling",
    "Relu",
    "Sigmoid",
    "SoftmaxWithLoss",
    "col2im",
    "cross_entropy_error",
    "identity_function",
    "im2col",
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
