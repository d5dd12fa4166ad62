"""Stateless functions with torch.nn.functional's names, arguments and values, on numpy arrays.

Each checks its arguments, allocates its result and calls one compiled kernel. The backward of
``f`` is ``f_backward``.
"""

from cnn_core.functional.convolution import col2im, conv2d, conv2d_backward, im2col
from cnn_core.functional.linear import linear, linear_backward

__all__ = ["col2im", "conv2d", "conv2d_backward", "im2col", "linear", "linear_backward"]
