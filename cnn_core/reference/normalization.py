"""Batch normalisation per channel."""

import math

import numpy as np

from cnn_core.reference._common import Array, f64


def _channel(values: Array, ndim: int) -> Array:
    """Reshape ``(C,)`` so that it broadcasts along axis 1 of an array with ``ndim`` axes."""
    return f64(values).reshape(1, -1, *[1] * (ndim - 2))


def batch_norm(
    x: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    return_stats: bool = False,
) -> Array | tuple[Array, Array, Array]:
    """``y = (x - mean) / sqrt(var + eps) * weight + bias``, mean and var per channel (axis 1).

    In training the statistics are those of the batch (biased variance), and the running ones move towards
    them in place: ``running = (1 - momentum) * running + momentum * new``, the new variance unbiased.
    """
    axes = (0, *range(2, x.ndim))
    x64, count = f64(x), math.prod(x.shape[axis] for axis in axes)
    if training and count > 0:
        mean, var = x64.mean(axis=axes), x64.var(axis=axes)
        if running_mean is not None:
            running_mean[...] = (1 - momentum) * f64(running_mean) + momentum * mean
        if running_var is not None:
            running_var[...] = (1 - momentum) * f64(running_var) + momentum * var * count / (count - 1)
    elif training:
        mean, var = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    else:
        assert running_mean is not None
        assert running_var is not None
        mean, var = f64(running_mean), f64(running_var)
    rstd = 1 / np.sqrt(var + eps)
    y = (x64 - _channel(mean, x.ndim)) * _channel(rstd, x.ndim)
    if weight is not None:
        y = y * _channel(weight, x.ndim)
    if bias is not None:
        y = y + _channel(bias, x.ndim)
    y = y.astype(x.dtype)
    return (y, mean.astype(x.dtype), rstd.astype(x.dtype)) if return_stats else y


def batch_norm_backward(
    dy: Array, x: Array, weight: Array | None, mean: Array, rstd: Array, training: bool = True
) -> tuple[Array, Array, Array]:
    """``dx = w * rstd * (dy - mean(dy) - xhat * mean(dy * xhat))`` with ``xhat = (x - mean) * rstd``.

    In evaluation the statistics are constants and ``dx = w * rstd * dy``. Ioffe and Szegedy (2015), sec. 3.
    """
    axes = (0, *range(2, x.ndim))
    dy64, scale = f64(dy), _channel(rstd, x.ndim)
    xhat = (f64(x) - _channel(mean, x.ndim)) * scale
    dweight, dbias = (dy64 * xhat).sum(axis=axes), dy64.sum(axis=axes)
    dx = dy64
    count = math.prod(x.shape[axis] for axis in axes)
    if training and count > 0:
        dx = dx - _channel(dbias, x.ndim) / count - xhat * _channel(dweight, x.ndim) / count
    dx = dx * scale
    if weight is not None:
        dx = dx * _channel(weight, x.ndim)
    return dx.astype(x.dtype), dweight.astype(x.dtype), dbias.astype(x.dtype)
