"""Batch normalization."""

import math
from typing import Any, Literal, overload

import numpy as np

from cnn_core import _checks
from cnn_core._kernels import batch_norm as kernels
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
        (C,), for `batch_norm_backward`.

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
    x = _batch(x, "batch_norm: x")
    channels = x.shape[1]
    training = bool(training)
    means, variances = _running(running_mean, running_var, x, training)
    gain = _per_channel(weight, "batch_norm: weight", x, 1)
    shift = _per_channel(bias, "batch_norm: bias", x, 0)
    momentum = _checks.real_number(momentum, "batch_norm: momentum")
    eps = _checks.real_number(eps, "batch_norm: eps", **({"above": 0.0} if training else {"at_least": 0.0}))
    values = x.shape[0] * math.prod(x.shape[2:])
    if training and values == 1:
        raise ValueError(
            f"batch_norm: x: expected more than 1 value per channel when training, got shape {x.shape}: "
            f"a variance needs more than one value, use a larger batch"
        )

    y = empty(x.shape, x.dtype)
    with np.errstate(all="ignore"):  # infinities and NaN go through as in the kernel
        mean, var = means.astype(np.float64), variances.astype(np.float64)
        rstd = 1 / np.sqrt(var + eps)
        if x.size:
            kernels.batch_norm(
                _ncs(x), gain, shift, _ncs(y), mean, var, rstd, _parts(channels, values), eps, training,
                get_num_threads(),
            )  # fmt: skip
            if training and running_mean is not None and running_var is not None:
                _update(running_mean, mean, momentum)
                _update(running_var, var * (values / (values - 1)), momentum)
        return (y, mean.astype(x.dtype), rstd.astype(x.dtype)) if return_stats else y


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
    name = "batch_norm_backward"
    x = _batch(x, f"{name}: x")
    dy = _checks.as_real(dy, f"{name}: dy", like=x)
    _checks.same_shape(dy, f"{name}: dy", x.shape, "x")
    gain = _per_channel(weight, f"{name}: weight", x, 1)
    mean = _checks.as_vector(mean, f"{name}: mean", x.shape[1], x).astype(np.float64)
    rstd = _checks.as_vector(rstd, f"{name}: rstd", x.shape[1], x).astype(np.float64)
    dx = empty(x.shape, x.dtype)
    dweight, dbias = np.zeros((2, x.shape[1]))
    if x.size:
        parts = _parts(x.shape[1], x.size // x.shape[1])
        kernels.batch_norm_backward(
            _ncs(dy), _ncs(x), gain, mean, rstd, _ncs(dx), dweight, dbias, parts, bool(training),
            get_num_threads(),
        )  # fmt: skip
    with np.errstate(all="ignore"):
        return dx, dweight.astype(x.dtype), dbias.astype(x.dtype)


def _batch(x: np.ndarray, name: str) -> np.ndarray:
    x = _checks.as_real(x, name)
    if x.ndim < 2:
        raise ValueError(f"{name}: expects 2 dimensions (N, C) or more, got shape {x.shape}")
    return x


def _ncs(x: np.ndarray) -> np.ndarray:
    """View a batch that is not empty as (N, C, S)."""
    return x.reshape(x.shape[0], x.shape[1], -1)


def _parts(channels: int, values: int) -> np.ndarray:
    """Room for two sums of each block of each channel."""
    return np.empty((channels, min(1 + values // _VALUES_PER_BLOCK, _MOST_BLOCKS), 2))


def _per_channel(x: np.ndarray | None, name: str, like: np.ndarray, default: float) -> np.ndarray:
    """A weight or bias in double, as the kernel computes with it."""
    if x is None:
        return np.full(like.shape[1], default, np.float64)
    return _checks.as_vector(x, name, like.shape[1], like).astype(np.float64)


def _running(
    mean: np.ndarray | None, var: np.ndarray | None, x: np.ndarray, training: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Checked running statistics; zeros and ones where there are none."""
    if mean is None or var is None:
        if mean is not var:
            raise ValueError("batch_norm: running_mean, running_var: expects both or neither, got one None")
        if not training:
            raise ValueError("batch_norm: running_mean, running_var: needed when not training, got None")
        return np.zeros(x.shape[1]), np.ones(x.shape[1])
    for running, name in ((mean, "running_mean"), (var, "running_var")):
        _checks.as_vector(running, f"batch_norm: {name}", x.shape[1], x)
        if training and not running.flags.writeable:
            raise ValueError(f"batch_norm: {name}: expects a writable array, as training updates it in place")
    return mean, var


def _update(running: np.ndarray, new: np.ndarray, momentum: float) -> None:
    running[...] = (1 - momentum) * running.astype(np.float64) + momentum * new
