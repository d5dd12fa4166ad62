"""Element-wise losses and their gradients: squared error, and binary cross-entropy from logits."""

from typing import Any

import numpy as np

from cnn_core._checks import as_real, one_of
from cnn_core._kernels import loss as elementwise
from cnn_core._memory import empty
from cnn_core._threads import get_num_threads
from cnn_core.functional._reduction import REDUCTIONS, over


def _pair(x: np.ndarray, target: np.ndarray, reduction: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    x = as_real(x, f"{name}: x")
    if isinstance(target, (np.ndarray, np.generic)) and target.shape != x.shape:
        remedy = _remedy(target.shape, x.shape)
        raise ValueError(f"{name}: target: expects shape {x.shape} of x, got {target.shape}{remedy}")
    target = as_real(target, f"{name}: target", like=x)
    one_of(reduction, f"{name}: reduction", REDUCTIONS)
    return x, target


def _remedy(got: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """How a target comes to the shape of the scores."""
    if (*got, 1) == shape:
        return "; add an axis: target[..., np.newaxis]"
    if got == (*shape, 1):
        return "; drop the last axis: target[..., 0]"
    if len(shape) == 2 and got == shape[:1]:
        return f"; make one-hot rows of labels, np.eye({shape[1]})[labels], or use cross-entropy"
    return ""


def _reduced(losses: np.ndarray | None, sums: np.ndarray, n: int, reduction: str) -> Any:
    if losses is not None:
        return losses
    total = sums.item() if sums.size == 1 else elementwise.total(sums)
    return over(total, n) if reduction == "mean" else total


def _outputs(x: np.ndarray, reduction: str) -> tuple[np.ndarray | None, np.ndarray]:
    """Room for each element's loss, if it is wanted, and for sums."""
    sums = np.empty(-(-x.size // elementwise.SHARD), np.float64)
    return (empty(x.shape, x.dtype) if reduction == "none" else None), sums


def _flat(x: np.ndarray | None) -> np.ndarray | None:
    return None if x is None else x.ravel()


def mse_loss(x: np.ndarray, target: np.ndarray, reduction: str = "mean") -> Any:
    """Mean squared error: ``(x - target)^2``, averaged over all elements.

    Parameters
    ----------
    x, target : arrays of float32 or float64 of one shape
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    loss : float, or with "none" an array shaped as x

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes differ.
    """
    return mse_loss_and_gradient(x, target, reduction, need_dx=False)[0]


def mse_loss_and_gradient(
    x: np.ndarray, target: np.ndarray, reduction: str, *, need_dx: bool = True
) -> tuple[Any, np.ndarray | None]:
    """`mse_loss` and, if needed, `mse_loss_backward` in one pass; not public."""
    x, target = _pair(x, target, reduction, "mse_loss")
    losses, sums = _outputs(x, reduction)
    dx = empty(x.shape, x.dtype) if need_dx else None
    if x.size:
        elementwise.mse(
            x.ravel(),
            target.ravel(),
            _flat(losses),
            _flat(dx),
            sums,
            _scale(x, reduction),
            get_num_threads(),
        )
    return _reduced(losses, sums, x.size, reduction), dx


def _scale(x: np.ndarray, reduction: str) -> float:
    """What the gradient of each element's loss is multiplied with."""
    return 1 / x.size if reduction == "mean" else 1.0


def mse_loss_backward(x: np.ndarray, target: np.ndarray, reduction: str = "mean") -> np.ndarray:
    """Gradient of `mse_loss`: ``dx = 2 * (x - target)``, divided by the number of elements for the mean."""
    x, target = _pair(x, target, reduction, "mse_loss_backward")
    dx = empty(x.shape, x.dtype)
    if x.size:
        elementwise.mse_backward(
            x.ravel(), target.ravel(), dx.ravel(), _scale(x, reduction), get_num_threads()
        )
    return dx


def _weights(value: np.ndarray | None, name: str, x: np.ndarray) -> np.ndarray | None:
    """Weights spread over the shape of ``x`` by numpy's broadcasting, flat."""
    if value is None:
        return None
    value = as_real(value, name, like=x)
    try:
        return np.ascontiguousarray(np.broadcast_to(value, x.shape)).ravel()
    except ValueError:
        raise ValueError(f"{name}: shape {value.shape} does not broadcast to {x.shape} of x") from None


def bce_with_logits(
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    reduction: str = "mean",
    pos_weight: np.ndarray | None = None,
) -> Any:
    """Binary cross-entropy of scores against probabilities.

    ``loss = -weight * (pos_weight * t * log(y) + (1 - t) * log(1 - y))`` with ``y = sigmoid(x)``.
    Computed from ``log(1 + exp(-|x|))``, so that nothing overflows and nothing cancels.

    Parameters
    ----------
    x, target : arrays of float32 or float64 of one shape
        Scores (logits), and probabilities between 0 and 1.
    weight : array that broadcasts to x, optional
        Multiplies the losses.
    reduction : {"mean", "sum", "none"}
    pos_weight : array that broadcasts to x, optional
        Multiplies the first term only: above 1 it favours recall.

    Returns
    -------
    loss : float, or with "none" an array shaped as x

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes differ.
    """
    return bce_and_gradient(x, target, weight, pos_weight, reduction, need_dx=False)[0]


def bce_and_gradient(
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    pos_weight: np.ndarray | None,
    reduction: str,
    *,
    need_dx: bool = True,
) -> tuple[Any, np.ndarray | None]:
    """`bce_with_logits` and, if needed, `bce_with_logits_backward` in one pass; not public."""
    name = "bce_with_logits"
    x, target = _pair(x, target, reduction, name)
    w, pos = _weights(weight, f"{name}: weight", x), _weights(pos_weight, f"{name}: pos_weight", x)
    losses, sums = _outputs(x, reduction)
    dx = empty(x.shape, x.dtype) if need_dx else None
    if x.size:
        elementwise.bce_with_logits(
            x.ravel(), target.ravel(), w, pos, _flat(losses), _flat(dx), sums, _scale(x, reduction),
            get_num_threads(),
        )  # fmt: skip
    return _reduced(losses, sums, x.size, reduction), dx


def bce_with_logits_backward(
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None = None,
    *,
    reduction: str = "mean",
    pos_weight: np.ndarray | None = None,
) -> np.ndarray:
    """Gradient of `bce_with_logits`: ``dx = weight * ((1 - t) * sigmoid(x) - pos_weight * t * sigmoid(-x))``.

    Divided by the number of elements for the mean.
    """
    name = "bce_with_logits_backward"
    x, target = _pair(x, target, reduction, name)
    w, pos = _weights(weight, f"{name}: weight", x), _weights(pos_weight, f"{name}: pos_weight", x)
    dx = empty(x.shape, x.dtype)
    if x.size:
        elementwise.bce_with_logits_backward(
            x.ravel(), target.ravel(), w, pos, dx.ravel(), _scale(x, reduction), get_num_threads()
        )
    return dx
