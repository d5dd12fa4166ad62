"""Checks arguments, allocates results, calls the kernels."""

import numpy as np
from cnn_core import get_num_threads
from cnn_core.kernel_api import as_real, empty, same_shape

from my_kernel._kernels import my_kernel as kernels


def my_kernel(x: np.ndarray) -> np.ndarray:
    """Sigmoid linear unit: ``y = x * sigmoid(x)``.

    Source: Elfwing, Uchibe and Doya, *Sigmoid-weighted linear units for neural network function approximation
    in reinforcement learning*, 2018.

    Parameters
    ----------
    x : array of float32 or float64, any shape

    Raises
    ------
    TypeError
        If ``x`` is something else.
    """
    x = as_real(x, "my_kernel: x")
    y = empty(x.shape, x.dtype)
    if x.size:
        kernels.forward(x.reshape(-1), y.reshape(-1), get_num_threads())
    return y


def my_kernel_backward(dy: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Gradient of `my_kernel`: ``dx = dy * s * (1 + x * (1 - s))`` with ``s = sigmoid(x)``.

    Parameters
    ----------
    dy : gradient of the output
    x : input of `my_kernel`, same shape and dtype

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes differ.
    """
    x = as_real(x, "my_kernel_backward: x")
    dy = as_real(dy, "my_kernel_backward: dy", like=x)
    same_shape(dy, "my_kernel_backward: dy", x.shape, "x")
    dx = empty(x.shape, x.dtype)
    if x.size:
        kernels.backward(dy.reshape(-1), x.reshape(-1), dx.reshape(-1), get_num_threads())
    return dx
