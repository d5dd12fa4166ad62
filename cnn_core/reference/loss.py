"""Losses and their gradients.

Every form of the cross-entropy is ``loss_i = -sum_c q_ic * log softmax(x)_ic``, summed over samples i and
divided by a norm. What the options change is ``q``: a one-hot row or a row of probabilities, smoothed, times
the weights of the classes, and zero where the label is ignored.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cnn_core.reference._common import Array, f64
from cnn_core.reference.activation import log_softmax

Reduction = Literal["mean", "sum", "none"]


def _targets(
    x: Array,
    target: Array | NDArray[np.integer],
    weight: Array | None,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[Array, float]:
    """Return ``q``, shaped as x, and the divisor of the mean: summed weights of the labels, or a count."""
    classes = x.shape[1]
    w = np.ones(classes) if weight is None else f64(weight)
    if np.issubdtype(target.dtype, np.floating):
        rows, norm = np.moveaxis(f64(target), 1, -1), x.size / classes
        q = w * ((1 - label_smoothing) * rows + label_smoothing / classes)
    else:
        q, norm = np.zeros((*target.shape, classes)), 0.0
        for sample in np.ndindex(target.shape):
            label = int(target[sample])
            if label != ignore_index:
                row = np.full(classes, label_smoothing / classes)
                row[label] += 1 - label_smoothing
                q[sample] = w * row
                norm += w[label]
    return np.moveaxis(q, -1, 1), norm


def cross_entropy(
    x: Array,
    target: Array | NDArray[np.integer],
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> float | Array:
    """``-sum_c q_c * log softmax(x)_c`` of every sample, reduced. A mean of no samples is NaN."""
    q, norm = _targets(x, target, weight, ignore_index, label_smoothing)
    # An impossible class (logit -inf) that the target does not ask for costs nothing: 0, not 0 * inf.
    losses = -np.where(q == 0, 0, q * log_softmax(f64(x), 1)).sum(axis=1)
    if reduction == "none":
        return losses.astype(x.dtype)
    if reduction == "sum":
        return float(losses.sum())
    return float(losses.sum() / norm) if norm else float("nan")


def cross_entropy_backward(
    x: Array,
    target: Array | NDArray[np.integer],
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    dloss: float | Array = 1.0,
) -> Array:
    """``dx_ic = dloss_i * (softmax(x)_ic * sum_k q_ik - q_ic) / norm``; ignored samples get exactly 0."""
    q, norm = _targets(x, target, weight, ignore_index, label_smoothing)
    dx = np.exp(log_softmax(f64(x), 1)) * q.sum(axis=1, keepdims=True) - q
    dx = dx * (f64(dloss)[:, None] if np.ndim(dloss) else dloss)
    return (dx / norm if reduction == "mean" and norm else dx).astype(x.dtype)


def cross_entropy_with_grad(
    x: Array,
    target: Array | NDArray[np.integer],
    weight: Array | None = None,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> tuple[float | Array, Array]:
    """Return the loss and its gradient."""
    loss = cross_entropy(
        x, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )
    dx = cross_entropy_backward(
        x, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
    )
    return loss, dx


def _reduce(losses: Array, reduction: Reduction, dtype: np.dtype) -> float | Array:
    """Sum, average or leave the losses of the entries; a mean of no entries is NaN."""
    if reduction == "none":
        return losses.astype(dtype)
    if reduction == "sum":
        return float(losses.sum())
    return float(losses.sum() / losses.size) if losses.size else float("nan")


def mse_loss(x: Array, target: Array, reduction: Reduction = "mean") -> float | Array:
    """``(x - target)^2`` of every entry, reduced."""
    return _reduce((f64(x) - f64(target)) ** 2, reduction, x.dtype)


def mse_loss_backward(x: Array, target: Array, reduction: Reduction = "mean") -> Array:
    """``2 * (x - target)``, over the count for the mean."""
    dx = 2 * (f64(x) - f64(target))
    return (dx / max(x.size, 1) if reduction == "mean" else dx).astype(x.dtype)


def bce_with_logits(
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    reduction: Reduction = "mean",
    pos_weight: Array | None = None,
) -> float | Array:
    """``-w * (pos_weight * t * log sigmoid(x) + (1 - t) * log sigmoid(-x))`` of every entry, reduced."""
    x64, t = f64(x), f64(target)
    positive = 1.0 if pos_weight is None else f64(pos_weight)
    # log sigmoid(x) = -log(1 + exp(-x)) = -logaddexp(0, -x)
    losses = positive * t * np.logaddexp(0, -x64) + (1 - t) * np.logaddexp(0, x64)
    return _reduce(losses if weight is None else losses * f64(weight), reduction, x.dtype)


def bce_with_logits_backward(
    x: Array,
    target: Array,
    weight: Array | None = None,
    *,
    reduction: Reduction = "mean",
    pos_weight: Array | None = None,
) -> Array:
    """``w * ((1 - t) * sigmoid(x) - pos_weight * t * sigmoid(-x))``, over the count for the mean."""
    x64, t = f64(x), f64(target)
    positive = 1.0 if pos_weight is None else f64(pos_weight)
    dx = (1 - t) * np.exp(-np.logaddexp(0, -x64)) - positive * t * np.exp(-np.logaddexp(0, x64))
    if weight is not None:
        dx = dx * f64(weight)
    return (dx / max(x.size, 1) if reduction == "mean" else dx).astype(x.dtype)
