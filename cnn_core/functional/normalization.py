"""Batch normalization."""

import math
from typing import Any, Literal, overload

import numpy as np

from cnn_core import _checks
from cnn_core._kernels import batch_norm as kernels
from cnn_core._memory import empty
from cnn_core._threads import get_num_threads
from cnn_core.functional._gradients import NOWHERE, Gradients, place_for

# Of each channel, in double: what y is made of, and dx again. The rows of an array (5, C).
_WEIGHT, _BIAS, _MEAN, _VAR, _RSTD = range(5)


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
    y, numbers = batch_norm_relu(
        x, running_mean, running_var, weight, bias, bool(training), momentum, eps, relu=False
    )
    if not return_stats:
        return y
    with np.errstate(over="ignore"):
        mean, rstd = numbers[[_MEAN, _RSTD]].astype(y.dtype)
    return y, mean, rstd


# The functions with ReLU are for layers.


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
    relu: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """`batch_norm`, then `relu` if asked for, in one pass over memory.

    Returns
    -------
    y, numbers
        ``numbers`` is what `batch_norm_relu_backward` needs of each channel.
    """
    x = _batch(x, "batch_norm: x")
    n, channels = x.shape[:2]
    means, variances = _running(running_mean, running_var, x, training)
    if weight is not None:
        weight = _checks.as_vector(weight, "batch_norm: weight", channels, x)
    if bias is not None:
        bias = _checks.as_vector(bias, "batch_norm: bias", channels, x)
    momentum = _checks.real_number(momentum, "batch_norm: momentum")
    least, above = (-math.inf, 0.0) if training else (0.0, -math.inf)
    eps = _checks.real_number(eps, "batch_norm: eps", at_least=least, above=above)
    if not x.size:
        mean, var = (0.0, 0.0) if training or variances is None else (means, variances)  # sums of nothing
        with np.errstate(divide="ignore"):
            rstd = 1 / np.sqrt(var + eps)
        return empty(x.shape, x.dtype), _numbers(channels, weight, bias, mean, var, rstd)
    values = x.size // channels
    if training and values == 1:
        raise ValueError(
            f"batch_norm: x: expected more than 1 value per channel when training, got shape {x.shape}: "
            f"a variance needs more than one value, use a larger batch"
        )

    y, numbers, ncs = empty(x.shape, x.dtype), np.empty((5, channels)), (n, channels, -1)
    given = (None, None) if training else (means, variances)
    kernels.batch_norm(
        x.reshape(ncs), weight, bias, *given, y.reshape(ncs), numbers, eps, relu, get_num_threads()
    )
    if training and means is not None and variances is not None:
        kernels.move_running(numbers, means, variances, momentum, values / (values - 1))
        if means is not running_mean or variances is not running_var:  # copies, as the kernel needs them
            running_mean[...], running_var[...] = means, variances  # type: ignore[index]
    return y, numbers


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
    x = _batch(x, "batch_norm_backward: x")
    channels = x.shape[1]
    if weight is not None:
        weight = _checks.as_vector(weight, "batch_norm_backward: weight", channels, x)
    mean = _checks.as_vector(mean, "batch_norm_backward: mean", channels, x)
    rstd = _checks.as_vector(rstd, "batch_norm_backward: rstd", channels, x)
    numbers = _numbers(channels, weight, None, mean, np.nan, rstd)  # it does not ask for the variance
    return batch_norm_relu_backward(NOWHERE, dy, x, numbers, bool(training), relu=False)


def batch_norm_relu_backward(
    into: Gradients, dy: np.ndarray, x: np.ndarray, numbers: np.ndarray, training: bool, *, relu: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of `batch_norm_relu`, with the ``numbers`` that it returned.

    Those of weight and bias are written into arrays of ``into`` that fit.
    """
    x = _batch(x, "batch_norm_backward: x")
    dy = _checks.as_real(dy, "batch_norm_backward: dy", like=x)
    _checks.same_shape(dy, "batch_norm_backward: dy", x.shape, "x")
    n, channels = x.shape[:2]
    dweight = place_for("weight", into, (channels,), x.dtype)
    dbias = place_for("bias", into, (channels,), x.dtype)
    dx, ncs = empty(x.shape, x.dtype), (n, channels, -1)
    if x.size:
        kernels.batch_norm_backward(
            dy.reshape(ncs), x.reshape(ncs), numbers, dx.reshape(ncs), dweight, dbias, training, relu,
            get_num_threads(),
        )  # fmt: skip
    else:
        dweight[...] = dbias[...] = 0
    return dx, dweight, dbias


def _numbers(
    channels: int, weight: np.ndarray | None, bias: np.ndarray | None, mean: Any, var: Any, rstd: Any
) -> np.ndarray:
    """What the kernel says of each channel, where there is nothing for it to do."""
    numbers = np.empty((5, channels))
    numbers[_WEIGHT] = 1 if weight is None else weight
    numbers[_BIAS] = 0 if bias is None else bias
    numbers[_MEAN], numbers[_VAR], numbers[_RSTD] = mean, var, rstd
    return numbers


def _batch(x: np.ndarray, name: str) -> np.ndarray:
    x = _checks.as_real(x, name)
    if x.ndim < 2:
        raise ValueError(f"{name}: expects 2 dimensions (N, C) or more, got shape {x.shape}")
    return x


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
