"""Element-wise activations, softmax and log-softmax."""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from cnn_core._checks import as_real, integer, real_number, same_shape
from cnn_core._kernels import activation
from cnn_core._kernels import softmax as softmax_kernel
from cnn_core._memory import empty
from cnn_core._threads import get_num_threads
from cnn_core.functional._calls import Call


def _map(kernel: Callable[..., None], x: np.ndarray, *numbers: float) -> np.ndarray:
    y = empty(x.shape, x.dtype)
    if x.size:
        kernel(x.ravel(), y.ravel(), *numbers, get_num_threads())
    return y


def _map_backward(
    kernel: Callable[..., None],
    dy: np.ndarray,
    other: np.ndarray,
    name: str,
    other_name: str,
    *numbers: float,
) -> np.ndarray:
    other = as_real(other, f"{name}: {other_name}")
    dy = as_real(dy, f"{name}: dy", like=other)
    same_shape(dy, f"{name}: dy", other.shape, other_name)
    dx = empty(other.shape, other.dtype)
    if other.size:
        kernel(dy.ravel(), other.ravel(), dx.ravel(), *numbers, get_num_threads())
    return dx


def relu(x: np.ndarray) -> np.ndarray:
    """Set negative values to zero: ``y = max(x, 0)``; NaN stays.

    Parameters
    ----------
    x : array of float32 or float64, any shape

    Returns
    -------
    y : like x
    """
    return _map(activation.relu, as_real(x, "relu: x"))


def relu_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Gradient of `relu`: ``dx = dy`` where the output ``y`` is above 0, else 0. (At ``x = 0`` it is 0.)

    Parameters
    ----------
    dy : gradient of the output
    y : output of `relu`, same shape and dtype

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes differ.
    """
    return _map_backward(activation.relu_backward, dy, y, "relu_backward", "y")


def add(a: np.ndarray, b: np.ndarray, relu: bool = False) -> np.ndarray:
    """``a + b`` on the library's threads, then `relu` if asked for; for arrays alike, not public."""
    return _map_backward(activation.add, a, b, "add", "a", relu)


def prepared_add(a: np.ndarray, b: np.ndarray, relu: bool) -> tuple[np.ndarray, Call]:
    """The array for the result of `add`, and what fills it; nothing is checked."""
    y = empty(a.shape, a.dtype)
    return y, (activation.add, (a.ravel(), b.ravel(), y.ravel(), relu))


def leaky_relu(x: np.ndarray, negative_slope: float = 0.01) -> np.ndarray:
    """Scale negative values down: ``y = x`` where ``x > 0``, else ``negative_slope * x``.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    negative_slope : float

    Source: Maas et al., *Rectifier nonlinearities improve neural network acoustic models*, 2013.
    """
    x = as_real(x, "leaky_relu: x")
    return _map(activation.leaky_relu, x, real_number(negative_slope, "leaky_relu: negative_slope"))


def leaky_relu_backward(dy: np.ndarray, x: np.ndarray, negative_slope: float = 0.01) -> np.ndarray:
    """Gradient of `leaky_relu`: ``dx = dy`` where the input ``x > 0``, else ``negative_slope * dy``.

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes differ.
    """
    slope = real_number(negative_slope, "leaky_relu_backward: negative_slope")
    return _map_backward(activation.leaky_relu_backward, dy, x, "leaky_relu_backward", "x", slope)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Squash into [0, 1]: ``y = 1 / (1 + exp(-x))``, without overflow.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    """
    return _map(activation.sigmoid, as_real(x, "sigmoid: x"))


def sigmoid_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Gradient of `sigmoid` by its output: ``dx = dy * (1 - y) * y``.

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes differ.
    """
    return _map_backward(activation.sigmoid_backward, dy, y, "sigmoid_backward", "y")


def tanh(x: np.ndarray) -> np.ndarray:
    """Squash into [-1, 1]: ``y = tanh(x)``.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    """
    return _map(activation.tanh, as_real(x, "tanh: x"))


def tanh_backward(dy: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Gradient of `tanh` by its output: ``dx = dy * (1 - y * y)``.

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes differ.
    """
    return _map_backward(activation.tanh_backward, dy, y, "tanh_backward", "y")


def _around(shape: tuple[int, ...], dim: int, name: str) -> tuple[int, int, int]:
    """The shape as (axes before, axis ``dim``, axes after)."""
    if type(dim) is not int:
        dim = integer(dim, f"{name}: dim", at_least=-(2**62))
    return _split(shape, dim, name)


@lru_cache  # a network asks for the same few again and again
def _split(shape: tuple[int, ...], dim: int, name: str) -> tuple[int, int, int]:
    if not -len(shape) <= dim < len(shape):
        raise ValueError(
            f"{name}: dim {dim} is not an axis of shape {shape}: expects {-len(shape)} to {len(shape) - 1}"
        )
    dim %= len(shape)
    return math.prod(shape[:dim]), shape[dim], math.prod(shape[dim + 1 :])


def _softmax(x: np.ndarray, dim: int, is_log: bool, name: str) -> np.ndarray:
    x = as_real(x, f"{name}: x")
    view = _around(x.shape, dim, name)
    y = empty(x.shape, x.dtype)
    if x.size:
        softmax_kernel.softmax(x.reshape(view), y.reshape(view), is_log, get_num_threads())
    return y


def _softmax_backward(dy: np.ndarray, y: np.ndarray, dim: int, is_log: bool, name: str) -> np.ndarray:
    y = as_real(y, f"{name}: y")
    dy = as_real(dy, f"{name}: dy", like=y)
    same_shape(dy, f"{name}: dy", y.shape, "y")
    view = _around(y.shape, dim, name)
    dx = empty(y.shape, y.dtype)
    if y.size:
        softmax_kernel.softmax_backward(
            dy.reshape(view), y.reshape(view), dx.reshape(view), is_log, get_num_threads()
        )
    return dx


def softmax(x: np.ndarray, dim: int = -1) -> np.ndarray:
    """Scores to probabilities: ``y = exp(x) / sum(exp(x))`` along one axis, without overflow.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    dim : int
        The axis of the classes; the last by default.

    Raises
    ------
    ValueError
        If ``x`` has no axis ``dim``.
    """
    return _softmax(x, dim, False, "softmax")


def softmax_backward(dy: np.ndarray, y: np.ndarray, dim: int = -1) -> np.ndarray:
    """Gradient of `softmax` by its output: ``dx = y * (dy - sum(dy * y))``.

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes differ, or there is no axis ``dim``.
    """
    return _softmax_backward(dy, y, dim, False, "softmax_backward")


def log_softmax(x: np.ndarray, dim: int = -1) -> np.ndarray:
    """Scores to log-probabilities: ``y = x - log(sum(exp(x)))`` along one axis, without overflow.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    dim : int
        The axis of the classes; the last by default.

    Raises
    ------
    ValueError
        If ``x`` has no axis ``dim``.
    """
    return _softmax(x, dim, True, "log_softmax")


def log_softmax_backward(dy: np.ndarray, y: np.ndarray, dim: int = -1) -> np.ndarray:
    """Gradient of `log_softmax` by its output: ``dx = dy - exp(y) * sum(dy)``.

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes differ, or there is no axis ``dim``.
    """
    return _softmax_backward(dy, y, dim, True, "log_softmax_backward")
