"""Softmax cross-entropy from logits, and its gradient."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from cnn_core._checks import as_real, as_vector, integer, labels, one_of, real_number, same_shape
from cnn_core._kernels import cross_entropy as kernel
from cnn_core._kernels import loss as elementwise
from cnn_core._memory import empty
from cnn_core._threads import get_num_threads
from cnn_core.functional._reduction import REDUCTIONS, over


def loss_and_gradient(
    x: np.ndarray,
    target: Any,
    weight: np.ndarray | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    dloss: Any,
    name: str,
    *,
    need_dx: bool,
) -> tuple[Any, np.ndarray | None]:
    """The loss, and its gradient if it is wanted; ``name`` is who asks, for messages."""
    try:
        x = as_real(x, f"{name}: x")
    except TypeError as error:
        kinds = [getattr(array, "dtype", np.dtype(bool)).kind for array in (x, target)]
        swapped = kinds[0] in "iu" and kinds[1] == "f"
        raise TypeError(f"{error}; scores come first, then targets" if swapped else str(error)) from None
    if x.ndim < 2 or x.shape[1] == 0:
        raise ValueError(
            f"{name}: x: expects shape (N, C) or (N, C, ...) with at least one class, got {x.shape}"
        )
    one_of(reduction, f"{name}: reduction", REDUCTIONS)
    ignore_index = integer(ignore_index, f"{name}: ignore_index", at_least=-(2**62))
    smoothing = real_number(label_smoothing, f"{name}: label_smoothing", at_least=0, at_most=1)
    samples = (x.shape[0], *x.shape[2:])
    view = (x.shape[0], x.shape[1], math.prod(x.shape[2:]))
    n, classes = math.prod(samples), x.shape[1]
    w = _ones(classes, x.dtype) if weight is None else as_vector(weight, f"{name}: weight", classes, like=x)

    target = np.asarray(target)
    of_labels = target.dtype.kind != "f" or target.ndim != x.ndim
    if of_labels:
        t, n_kept = _checked_labels(target, f"{name}: target", samples, classes, ignore_index)
        total = float(n_kept if weight is None else w[t[t != ignore_index]].sum(dtype=np.float64))
    else:
        t = as_real(target, f"{name}: target", like=x)
        same_shape(t, f"{name}: target", x.shape, "x")
        n_kept, total = n, float(n)
    scale = _dloss_scale(dloss, samples, reduction, name)
    if reduction == "mean":
        scale *= over(1.0, total) if n_kept else 0.0  # the mean of nothing is NaN, its gradient 0

    losses = np.empty(n, np.float64)
    dx = empty(x.shape, x.dtype) if need_dx else None
    if n:
        out = None if dx is None else dx.reshape(view)
        if of_labels:
            kernel.of_labels(
                x.reshape(view), t.ravel(), w, losses, out, ignore_index, smoothing, scale, get_num_threads()
            )
        else:
            kernel.of_probabilities(
                x.reshape(view), t.reshape(view), w, losses, out, smoothing, scale, get_num_threads()
            )
    if reduction == "none":
        if dx is not None and np.ndim(dloss):
            dx *= np.expand_dims(np.asarray(dloss, x.dtype), 1)
        return losses.reshape(samples).astype(x.dtype), dx
    loss = elementwise.total(losses)
    return (over(loss, total) if reduction == "mean" else loss), dx


# Within a training step, each function of numpy that is not used elsewhere costs ten times what it does in a
# loop of its own, as its code has to come from memory. So labels are looked at by a kernel, too.
def _checked_labels(
    target: np.ndarray, name: str, samples: tuple[int, ...], classes: int, ignore_index: int
) -> tuple[np.ndarray, int]:
    """Labels as the kernel takes them, and how many are not ignored; see `labels`."""
    if target.dtype == _LABEL and target.shape == samples and target.flags.carray:
        n_kept = kernel.count_kept(target.ravel(), classes, ignore_index)
        if n_kept >= 0:
            return target, n_kept
    target = labels(target, name, samples, classes, ignore_index)
    return target, kernel.count_kept(target.ravel(), classes, ignore_index)


_LABEL = np.dtype(np.int64)


@lru_cache(maxsize=16)
def _ones(classes: int, dtype: np.dtype) -> np.ndarray:
    """The weights of classes that have none."""
    ones = np.ones(classes, dtype)
    ones.flags.writeable = False
    return ones


def _dloss_scale(dloss: Any, samples: tuple[int, ...], reduction: str, name: str) -> float:
    """The scalar part of ``dloss``; an array, for reduction "none", is multiplied in afterwards."""
    if type(dloss) is float or np.ndim(dloss) == 0:
        return real_number(dloss, f"{name}: dloss")
    if reduction != "none":
        raise ValueError(
            f"{name}: dloss: expects a number with reduction {reduction!r}, got {np.shape(dloss)}"
        )
    same_shape(np.asarray(dloss), f"{name}: dloss", samples, "the losses")
    return 1.0


def cross_entropy(
    x: np.ndarray,
    target: Any,
    weight: np.ndarray | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Softmax cross-entropy of scores: ``loss = -sum(q * log_softmax(x))`` over the classes.

    ``q`` is 1 at the label, or the given probabilities; with smoothing ``e`` and C classes,
    ``(1 - e) * q + e / C``; then multiplied by the class weights.

    Parameters
    ----------
    x : array of float32 or float64, (N, C) or (N, C, H, W, ...)
        Scores (logits), not probabilities.
    target : array of integers (N,) or (N, H, W, ...), or of x's dtype and shape
        Class numbers, or a probability for each class (so one-hot works).
    weight : array (C,), optional
        A weight for each class.
    ignore_index : int
        Samples with this label count for nothing.
    reduction : {"mean", "sum", "none"}
        The mean is weighted by the class weights of the labels; with probabilities it is over all samples.
    label_smoothing : float
        ``e`` above, 0 to 1.

    Returns
    -------
    loss : float, or with "none" an array of a loss for each sample

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes do not fit, or a label is out of range (it says which).

    Notes
    -----
    Source: label smoothing is from Szegedy et al., *Rethinking the Inception architecture*, 2016.
    """
    return loss_and_gradient(
        x, target, weight, ignore_index, reduction, label_smoothing, 1.0, "cross_entropy", need_dx=False
    )[0]


def cross_entropy_backward(
    x: np.ndarray,
    target: Any,
    weight: np.ndarray | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    dloss: Any = 1.0,
) -> np.ndarray:
    """Gradient of `cross_entropy`: ``dx = dloss * (sum(q) * softmax(x) - q)``, divided as the mean is.

    Parameters are those of `cross_entropy`, and

    dloss : float, or with reduction "none" an array shaped as the losses
        Gradient of the loss.
    """
    dx = loss_and_gradient(
        x,
        target,
        weight,
        ignore_index,
        reduction,
        label_smoothing,
        dloss,
        "cross_entropy_backward",
        need_dx=True,
    )[1]
    assert dx is not None
    return dx


def cross_entropy_with_grad(
    x: np.ndarray,
    target: Any,
    weight: np.ndarray | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> tuple[Any, np.ndarray]:
    """`cross_entropy` and `cross_entropy_backward` in one pass: ``(loss, dx)``."""
    loss, dx = loss_and_gradient(
        x,
        target,
        weight,
        ignore_index,
        reduction,
        label_smoothing,
        1.0,
        "cross_entropy_with_grad",
        need_dx=True,
    )
    assert dx is not None
    return loss, dx
