"""Stateless functions with torch.nn.functional's names, arguments and values, on numpy arrays.

Each checks its arguments, allocates its result and calls one compiled kernel. The backward of
``f`` is ``f_backward``.
"""

from typing import TYPE_CHECKING

from cnn_core._lazy import lazy

if TYPE_CHECKING:
    from cnn_core.functional.activation import (
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
    from cnn_core.functional.classification import (
        cross_entropy,
        cross_entropy_backward,
        cross_entropy_with_grad,
    )
    from cnn_core.functional.columns import col2im, im2col
    from cnn_core.functional.convolution import conv2d, conv2d_backward
    from cnn_core.functional.dense import linear, linear_backward
    from cnn_core.functional.loss import (
        bce_with_logits,
        bce_with_logits_backward,
        mse_loss,
        mse_loss_backward,
    )
    from cnn_core.functional.masking import dropout, dropout_backward
    from cnn_core.functional.normalization import batch_norm, batch_norm_backward
    from cnn_core.functional.pooling import (
        adaptive_avg_pool2d,
        adaptive_avg_pool2d_backward,
        avg_pool2d,
        avg_pool2d_backward,
        max_pool2d,
        max_pool2d_backward,
    )

__all__ = [
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
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "tanh",
    "tanh_backward",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "activation": (
            "leaky_relu leaky_relu_backward log_softmax log_softmax_backward relu relu_backward sigmoid "
            "sigmoid_backward softmax softmax_backward tanh tanh_backward"
        ),
        "columns": "col2im im2col",
        "convolution": "conv2d conv2d_backward",
        "classification": "cross_entropy cross_entropy_backward cross_entropy_with_grad",
        "masking": "dropout dropout_backward",
        "dense": "linear linear_backward",
        "loss": "bce_with_logits bce_with_logits_backward mse_loss mse_loss_backward",
        "normalization": "batch_norm batch_norm_backward",
        "pooling": (
            "adaptive_avg_pool2d adaptive_avg_pool2d_backward avg_pool2d avg_pool2d_backward max_pool2d "
            "max_pool2d_backward"
        ),
    },
)
