"""Batch normalization."""

import math
from typing import Any, Literal, overload

import numpy as np

from cnn_core import _checks
from cnn_core._kernels import batch_norm as kernels
from cnn_core._kernels import channel_numbers as around
from cnn_core._memory import empty
from cnn_core._threads import get_num_threads

# A channel's values are summed in blocks that threads can share: cut by the shape alone, so that sums are
# the same for any number of threads.
_VALUES_PER_BLOCK = 1 << 12
_MOST_BLOCKS = 32


@overload
def batch_norm(
    x: np.ndarray,
    running_mean: np.ndarray | None,
    running_var: np.ndarray | None,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    return_stats: Literal[False] = False,
) -> np.ndarray: ...
@overload
def batch_norm(
    x: np.ndarray,
    running_mean: np.ndarray | None,
    running_var: np.ndarray | None,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    return_stats: bool,
) -> Any: ...
def batch_norm(
    x: np.ndarray,
    running_mean: np.ndarray | None,
    running_var: np.ndarray | None,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    return_stats: bool = False,
) -> Any:
    """Normalize each channel to mean 0 and variance 1, then scale and shift it.

    ``y = weight * (x - mean) / sqrt(var + eps) + bias``

    In training, mean and (biased) variance are those of the channel in this batch, and the running statistics
    are updated **in place**: ``running = (1 - momentum) * running + momentum * new``, with the unbiased
    variance. Otherwise the running statistics are used.

    Parameters
    ----------
    x : ndarray of shape (N, C) or (N, C, ...), float32 or float64
    running_mean, running_var : ndarray of shape (C,) or None
        Both or neither; None only in training.
    weight, bias : ndarray of shape (C,), optional
        The learned scale (1 unless given) and shift (0 unless given).
    training : bool
    momentum : float
        The weight of the new value (the book's ``momentum`` is that of the old one).
    eps : float
        Positive in training; not negative otherwise.
    return_stats : bool
        Return ``(y, mean, rstd)`` with the mean and ``1 / sqrt(var + eps)`` that were used, each of shape
        (C,), for `batch_norm_backward`. In training, mean and variance of an empty batch are 0, and the
        running statistics stay.

    Returns
    -------
    ndarray of the shape of ``x``

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not match, or in training if a channel has only one value. Nothing is written
        then.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization" (2015), algorithms 1 and 2;
    *Deep Learning from Scratch*, section 6.3.
    """
    y, _, mean, rstd = batch_norm_relu(
        x,
        running_mean,
        running_var,
        weight,
        bias,
        training,
        momentum,
        eps,
        return_stats=return_stats,
        relu=False,
    )
    return (y, mean, rstd) if return_stats else y


def batch_norm_relu(
    x: np.ndarray,
    running_mean: np.ndarray | None,
    running_var: np.ndarray | None,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    training: bool,
    momentum: float,
    eps: float,
    *,
    return_stats: bool = True,
    relu: bool = True,
) -> tuple[np.ndarray, np.ndarray, Any, Any]:
    """`relu` of `batch_norm` in one pass; not public.

    Returns
    -------
    y, gate, mean, rstd
        ``gate`` (5, C) is what `batch_norm_relu_backward` needs; mean and rstd are None unless
        ``return_stats``.
    """
    x = _batch(x, "batch_norm: x")
    channels = x.shape[1]
    training = bool(training)
    means, variances = _running(running_mean, running_var, x, training)
    gain = _gain(weight, "batch_norm: weight", x)
    shift = None if bias is None else _checks.as_vector(bias, "batch_norm: bias", channels, x)
    momentum = _checks.real_number(momentum, "batch_norm: momentum")
    least, above = (-math.inf, 0.0) if training else (0.0, -math.inf)
    eps = _checks.real_number(eps, "batch_norm: eps", at_least=least, above=above)
    values = x.shape[0] * math.prod(x.shape[2:])
    if training and values == 1:
        raise ValueError(
            f"batch_norm: x: expected more than 1 value per channel when training, got shape {x.shape}: "
            f"a variance needs more than one value, use a larger batch"
        )

    y = empty(x.shape, x.dtype)
    numbers, ncs = np.empty((5, channels)), (x.shape[0], channels, -1)
    around.begin(gain, shift, means, variances, numbers, eps)
    if training and not x.size:  # there are no statistics: mean and variance are 0, sums of nothing
        numbers[2:4], numbers[4] = 0, eps**-0.5
    if x.size:
        kernels.batch_norm(
            x.reshape(ncs), y.reshape(ncs), numbers, _parts(channels, values), eps, training, relu,
            get_num_threads(),
        )  # fmt: skip
    if not (training or return_stats):
        return y, numbers, None, None
    mean, rstd = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    if not (training and x.size):
        around.finish(numbers, mean, rstd, None, None, 0.0, 1.0)
    else:
        around.finish(numbers, mean, rstd, means, variances, momentum, values / (values - 1))
        if means is not running_mean or variances is not running_var:  # copies, as the kernel needs them
            running_mean[...], running_var[...] = means, variances  # type: ignore[index]
    return y, numbers, mean, rstd


def batch_norm_backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    rstd: np.ndarray,
    training: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of `batch_norm` with respect to ``x``, ``weight`` and ``bias``.

    With ``x_hat = (x - mean) * rstd`` and means taken over each channel::

        dbias = sum(dy),  dweight = sum(dy * x_hat)
        dx = weight * rstd * (dy - mean(dy) - x_hat * mean(dy * x_hat))    in training
        dx = weight * rstd * dy                                            otherwise

    Parameters
    ----------
    dy, x : ndarray of shape (N, C) or (N, C, ...), float32 or float64
    weight : ndarray of shape (C,) or None
    mean, rstd : ndarray of shape (C,)
        As `batch_norm` returned them with ``return_stats=True``.
    training : bool
        Whether the statistics came from ``x`` itself.

    Returns
    -------
    (dx, dweight, dbias)

    Raises
    ------
    TypeError, ValueError
        If shapes or dtypes do not match.

    References
    ----------
    Ioffe and Szegedy, "Batch Normalization" (2015), section 3.
    """
    return batch_norm_relu_backward(dy, x, weight, mean, rstd, None, training)


def batch_norm_relu_backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    rstd: np.ndarray,
    gate: np.ndarray | None,
    training: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of `batch_norm_relu`, with the ``gate`` that it returned; not public."""
    x = _batch(x, "batch_norm_backward: x")
    dy = _checks.as_real(dy, "batch_norm_backward: dy", like=x)
    _checks.same_shape(dy, "batch_norm_backward: dy", x.shape, "x")
    channels = x.shape[1]
    gain = _gain(weight, "batch_norm_backward: weight", x)
    mean = _checks.as_vector(mean, "batch_norm_backward: mean", channels, x)
    rstd = _checks.as_vector(rstd, "batch_norm_backward: rstd", channels, x)
    dx = empty(x.shape, x.dtype)
    dweight, dbias = np.empty(channels, x.dtype), np.empty(channels, x.dtype)
    numbers, ncs = np.empty((5, channels)), (x.shape[0], channels, -1)
    around.begin_backward(gain, mean, rstd, numbers)
    if x.size:
        parts = _parts(channels, x.size // channels)
        kernels.batch_norm_backward(
            dy.reshape(ncs), x.reshape(ncs), dx.reshape(ncs), numbers, parts, bool(training), gate,
            get_num_threads(),
        )  # fmt: skip
    around.finish_backward(numbers, dweight, dbias)
    return dx, dweight, dbias


def _batch(x: np.ndarray, name: str) -> np.ndarray:
    x = _checks.as_real(x, name)
    if x.ndim < 2:
        raise ValueError(f"{name}: expects 2 dimensions (N, C) or more, got shape {x.shape}")
    return x


def _parts(channels: int, values: int) -> np.ndarray:
    """Room for two sums of each block of each channel."""
    return np.empty((channels, min(1 + values // _VALUES_PER_BLOCK, _MOST_BLOCKS), 2))


def _gain(weight: np.ndarray | None, name: str, x: np.ndarray) -> np.ndarray:
    """The checked weight, ones where there is none."""
    if weight is None:
        return np.ones(x.shape[1], x.dtype)
    return _checks.as_vector(weight, name, x.shape[1], x)


def _running(
    mean: np.ndarray | None, var: np.ndarray | None, x: np.ndarray, training: bool
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Checked running statistics, copies where the kernel cannot take them as they are; None for none."""
    if mean is None or var is None:
        if mean is not var:
            raise ValueError("batch_norm: running_mean, running_var: expects both or neither, got one None")
        if not training:
            raise ValueError("batch_norm: running_mean, running_var: needed when not training, got None")
        return None, None
    plain_mean = _checks.as_vector(mean, "batch_norm: running_mean", x.shape[1], x)
    plain_var = _checks.as_vector(var, "batch_norm: running_var", x.shape[1], x)
    if training and not (mean.flags.writeable and var.flags.writeable):
        name = "running_var" if mean.flags.writeable else "running_mean"
        raise ValueError(f"batch_norm: {name}: expects a writable array, as training updates it in place")
    return plain_mean, plain_var
