"""SiLU, ``y = x * sigmoid(x)``: a compiled kernel and a layer for cnn_core."""

from my_kernel.functional import my_kernel, my_kernel_backward
from my_kernel.layers import MyKernel

__all__ = ["MyKernel", "my_kernel", "my_kernel_backward"]
