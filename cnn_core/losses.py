"""Losses: a number to minimise and its gradient for the output of the network.

``loss = criterion(y, target)`` and then ``dy = criterion.backward()``, which goes into ``model.backward``.
"""

from typing import Any

import numpy as np

from cnn_core._checks import as_real, integer, one_of, real_number
from cnn_core.functional.classification import loss_and_gradient
from cnn_core.functional.loss import bce_and_gradient, mse_loss_and_gradient

__all__ = ["BCEWithLogitsLoss", "CrossEntropyLoss", "Loss", "MSELoss"]

REDUCTIONS = ("mean", "sum", "none")


class Loss:
    """The base class: a subclass defines :meth:`forward` and leaves the gradient in ``self._dy``.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"
        What to do with the losses of the elements. With ``"none"``, ``forward`` returns them as an array and
        ``backward`` gives the gradient of their sum.
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = one_of(reduction, f"{type(self).__name__}: reduction", REDUCTIONS)
        self._dy: np.ndarray | None = None

    # Returns a float, or an array for reduction="none"; a type that said so would make every caller check.
    def forward(self, y: np.ndarray, target: np.ndarray) -> Any:
        """Return the loss of the output ``y``, a float unless ``reduction="none"``."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(y, target)")

    def __call__(self, y: np.ndarray, target: np.ndarray) -> Any:
        return self.forward(y, target)

    def backward(self) -> np.ndarray:
        """Return the gradient of the last loss for ``y``, of the shape and dtype of ``y``.

        Raises
        ------
        RuntimeError
            If ``forward`` has not been called.
        """
        if self._dy is None:
            raise RuntimeError(f"{type(self).__name__}: backward needs a forward(y, target) before it")
        return self._dy

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles leave out the gradient of the last batch."""
        return {**self.__dict__, "_dy": None}

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return {"reduction": repr(self.reduction)}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value}' for key, value in self.config().items())})"


class CrossEntropyLoss(Loss):
    """Softmax and cross-entropy in one: ``-sum_c q_c log softmax(y)_c``, where ``q`` is the target.

    Parameters
    ----------
    weight : ndarray (C,), optional
        A weight for each class; the mean is then weighted too.
    ignore_index : int
        A label whose elements count for nothing.
    reduction : "mean", "sum" or "none"
    label_smoothing : float
        The share of each target, 0 to 1, that is spread evenly over all classes.

    Notes
    -----
    Shapes: y, the logits, ``(N, C)`` or ``(N, C, H, W)``; target integer labels ``(N,)`` or ``(N, H, W)``, or
    probabilities (one-hot, say) of the shape of y.

    Source: label smoothing, Szegedy et al., *Rethinking the Inception architecture*, 2015, section 7.
    """

    def __init__(
        self,
        weight: np.ndarray | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(reduction)
        self.weight = _weights(weight, "CrossEntropyLoss: weight")
        self.ignore_index = integer(ignore_index, "CrossEntropyLoss: ignore_index", at_least=-(2**62))
        self.label_smoothing = real_number(
            label_smoothing, "CrossEntropyLoss: label_smoothing", at_least=0, at_most=1
        )

    def forward(self, y: np.ndarray, target: np.ndarray) -> Any:
        self._dy = None
        loss, self._dy = loss_and_gradient(
            y,
            target,
            _like(self.weight, y),
            self.ignore_index,
            self.reduction,
            self.label_smoothing,
            1.0,
            type(self).__name__,
            need_dx=True,
        )
        return loss

    def config(self) -> dict[str, Any]:
        return {
            "weight": _brief(self.weight),
            "ignore_index": self.ignore_index,
            **super().config(),
            "label_smoothing": self.label_smoothing,
        }


class MSELoss(Loss):
    """Squared error: ``(y - target)**2``, averaged over all elements.

    Parameters
    ----------
    reduction : "mean", "sum" or "none"

    Notes
    -----
    Shapes: y any, target the same.
    """

    def forward(self, y: np.ndarray, target: np.ndarray) -> Any:
        self._dy = None
        loss, self._dy = mse_loss_and_gradient(y, target, self.reduction)
        return loss


class BCEWithLogitsLoss(Loss):
    """Sigmoid and binary cross-entropy in one: ``-(p t log s(y) + (1 - t) log(1 - s(y)))`` per element.

    Parameters
    ----------
    weight : ndarray, optional
        A factor for each element; it broadcasts to y.
    reduction : "mean", "sum" or "none"
    pos_weight : ndarray, optional
        The factor ``p`` of positive targets; it broadcasts to y.

    Notes
    -----
    Shapes: y, the logits, any; target of the same shape, with values from 0 to 1.
    """

    def __init__(
        self,
        weight: np.ndarray | None = None,
        *,
        reduction: str = "mean",
        pos_weight: np.ndarray | None = None,
    ) -> None:
        super().__init__(reduction)
        self.weight = _weights(weight, "BCEWithLogitsLoss: weight")
        self.pos_weight = _weights(pos_weight, "BCEWithLogitsLoss: pos_weight")

    def forward(self, y: np.ndarray, target: np.ndarray) -> Any:
        self._dy = None
        weights = _like(self.weight, y), _like(self.pos_weight, y)
        loss, self._dy = bce_and_gradient(y, target, *weights, self.reduction)
        return loss

    def config(self) -> dict[str, Any]:
        return {"weight": _brief(self.weight), **super().config(), "pos_weight": _brief(self.pos_weight)}


def _weights(value: Any, name: str) -> np.ndarray | None:
    """A copy of weights in float64, or None; they must be finite and not negative."""
    if value is None:
        return None
    weights = as_real(np.array(value, np.float64), name)
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        raise ValueError(f"{name}: expects finite numbers >= 0, got {value}")
    return weights


def _like(weights: np.ndarray | None, y: np.ndarray) -> np.ndarray | None:
    """Weights in the dtype of the network's output."""
    return weights if weights is None else weights.astype(getattr(y, "dtype", None), copy=False)


def _brief(weights: np.ndarray | None) -> str:
    return "None" if weights is None else f"<{'x'.join(map(str, weights.shape))} weights>"
