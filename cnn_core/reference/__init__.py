"""Slow, obvious numpy twins of every function in :mod:`cnn_core.functional`.

Each function here has the name, the arguments and the meaning of its compiled twin and is written so that it
reads as the definition: one output pixel, one window or one formula at a time, with no thought for speed. The
arithmetic is done in float64 and rounded once, at the end, to the dtype of the input. Nothing is validated.

The tests and the benchmarks compare the kernels with these functions; the library itself never calls them.
"""

from cnn_core.reference.activation import (
    leaky_relu,
    leaky_relu_backward,
    log_softmax,
    log_softmax_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)
from cnn_core.reference.convolution import col2im, conv2d, conv2d_backward, im2col
from cnn_core.reference.dropout import dropout, dropout_backward
from cnn_core.reference.linear import linear, linear_backward
from cnn_core.reference.loss import (
    bce_with_logits,
    bce_with_logits_backward,
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_with_grad,
    mse_loss,
    mse_loss_backward,
)
from cnn_core.reference.normalization import batch_norm, batch_norm_backward
from cnn_core.reference.pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    avg_pool2d,
    avg_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)
from cnn_core.reference.update import adagrad_update, adam_update, rmsprop_update, sgd_update, velocity_update

__all__ = [
    "adagrad_update",
    "adam_update",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool2d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "bce_with_logits",
    "bce_with_logits_backward",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "cross_entropy",
    "cross_entropy_backward",
    "cross_entropy_with_grad",
    "dropout",
    "dropout_backward",
    "im2col",
    "leaky_relu",
    "leaky_relu_backward",
    "linear",
    "linear_backward",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mse_loss",
    "mse_loss_backward",
    "relu",
    "relu_backward",
    "rmsprop_update",
    "sgd_update",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
    "velocity_update",
]
