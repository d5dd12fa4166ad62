"""How good predictions are: pure functions of logits and labels, and their sums over batches.

Logits are ``(N, C)`` or, with a class for each pixel, ``(N, C, H, W)``; any scores will do, as only their
order counts. Labels are class numbers ``(N,)`` or ``(N, H, W)``, or one-hot rows (probabilities) of the shape
of the logits. The prediction is ``numpy.argmax``: of equal scores the first wins, and NaN beats them all.
"""

from dataclasses import dataclass

import numpy as np

from cnn_core import _checks

IGNORE_INDEX = -100  # the label that counts for nothing, as in the cross-entropy


def accuracy(logits: np.ndarray, labels: np.ndarray, *, ignore_index: int = IGNORE_INDEX) -> float:
    """Return the share of predictions that are right, from 0 to 1; NaN if there are no labels.

    Parameters
    ----------
    logits : ndarray, shape (N, C) or (N, C, H, W)
    labels : ndarray of int, shape (N,) or (N, H, W), or of the shape of ``logits``
    ignore_index : int
        Label of what is left out.

    Raises
    ------
    TypeError, ValueError
        If the labels do not fit the logits.
    """
    return _share(*count_correct(logits, labels, ignore_index=ignore_index))


def top_k_accuracy(
    logits: np.ndarray, labels: np.ndarray, k: int = 5, *, ignore_index: int = IGNORE_INDEX
) -> float:
    """Return the share of labels that are among the ``k`` highest scores; ``k=1`` is :func:`accuracy`.

    Parameters
    ----------
    logits : ndarray, shape (N, C) or (N, C, H, W)
    labels : ndarray of int, shape (N,) or (N, H, W), or of the shape of ``logits``
    k : int
        At least 1.
    ignore_index : int
        Label of what is left out.

    Raises
    ------
    TypeError, ValueError
        If the labels do not fit the logits, or ``k`` is not positive.
    """
    return _share(*count_in_top_k(logits, labels, k, ignore_index=ignore_index))


def confusion_matrix(
    logits: np.ndarray, labels: np.ndarray, *, ignore_index: int = IGNORE_INDEX
) -> np.ndarray:
    """Return how often class ``i`` was taken for class ``j``, as an int64 array (C, C) of true x predicted.

    Parameters
    ----------
    logits : ndarray, shape (N, C) or (N, C, H, W)
    labels : ndarray of int, shape (N,) or (N, H, W), or of the shape of ``logits``
    ignore_index : int
        Label of what is left out.

    Raises
    ------
    TypeError, ValueError
        If the labels do not fit the logits.
    """
    scores, truth = _rows(logits, labels, ignore_index)
    classes = scores.shape[1]
    pairs = truth * classes + scores.argmax(axis=1)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def per_class_accuracy(
    logits: np.ndarray, labels: np.ndarray, *, ignore_index: int = IGNORE_INDEX
) -> np.ndarray:
    """Return, for each class, the share of its examples that were recognised: the recall, float64 (C,).

    NaN stands for a class without examples.

    Parameters
    ----------
    logits : ndarray, shape (N, C) or (N, C, H, W)
    labels : ndarray of int, shape (N,) or (N, H, W), or of the shape of ``logits``
    ignore_index : int
        Label of what is left out.

    Raises
    ------
    TypeError, ValueError
        If the labels do not fit the logits.
    """
    return recall(confusion_matrix(logits, labels, ignore_index=ignore_index))


def recall(confusion: np.ndarray) -> np.ndarray:
    """Return the diagonal of a confusion matrix over the sums of its rows; NaN where a row is empty."""
    examples = confusion.sum(axis=1)
    right = np.diagonal(confusion).astype(np.float64)
    return np.divide(right, examples, out=np.full(len(right), np.nan), where=examples > 0)


def count_correct(
    logits: np.ndarray, labels: np.ndarray, *, ignore_index: int = IGNORE_INDEX
) -> tuple[int, int]:
    """Return the number of right predictions and the number of labels."""
    scores, truth = _rows(logits, labels, ignore_index)
    return int(np.count_nonzero(scores.argmax(axis=1) == truth)), len(truth)


def count_in_top_k(
    logits: np.ndarray, labels: np.ndarray, k: int, *, ignore_index: int = IGNORE_INDEX
) -> tuple[int, int]:
    """Return the number of labels among the ``k`` highest scores and the number of labels."""
    k = _checks.integer(k, "k", at_least=1)
    scores, truth = _rows(logits, labels, ignore_index)
    # A stable sort of what is negated would put NaN last, hence the sort of the reversed row, read backwards.
    best_first = scores.shape[1] - 1 - np.argsort(scores[:, ::-1], axis=1, kind="stable")[:, ::-1]
    return int(np.count_nonzero(best_first[:, :k] == truth[:, np.newaxis])), len(truth)


def are_classes(targets: np.ndarray) -> bool:
    """Return whether targets are class numbers or probabilities of classes: what accuracy needs."""
    if targets.dtype.kind in "iu":
        return True
    if targets.dtype.kind != "f" or targets.ndim < 2 or targets.shape[1] < 2:
        return False
    return bool((targets >= 0).all() and np.allclose(targets.sum(axis=1), 1, atol=1e-3))


@dataclass
class Tally:
    """Sums over batches, from which the mean loss and the accuracy so far come at any time."""

    loss_sum: float = 0.0
    examples: int = 0
    correct: int = 0
    labels: int = 0

    def add(self, loss: float, examples: int, correct: int = 0, labels: int = 0) -> None:
        """Add a batch: its mean loss and number of examples, its right predictions and number of labels."""
        self.loss_sum += loss * examples
        self.examples += examples
        self.correct += correct
        self.labels += labels

    @property
    def loss(self) -> float:
        """The mean loss of an example; NaN before the first."""
        return _share(self.loss_sum, self.examples)

    @property
    def accuracy(self) -> float | None:
        """The share of right predictions; None where no labels have been counted."""
        return self.correct / self.labels if self.labels else None


def _share(part: float, whole: int) -> float:
    return part / whole if whole else float("nan")


def _rows(logits: np.ndarray, labels: np.ndarray, ignore_index: int) -> tuple[np.ndarray, np.ndarray]:
    """One row of scores (M, C) and one class number (M,) for everything that counts."""
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim < 2 or logits.dtype.kind not in "fiu":
        raise ValueError(f"logits: expect numbers (N, C, ...), got shape {logits.shape} of {logits.dtype}")
    classes = logits.shape[1]
    if labels.shape == logits.shape:
        labels = labels.argmax(axis=1)
    expected = logits.shape[:1] + logits.shape[2:]
    labels = _checks.labels(labels, "labels", expected, classes, ignore_index).reshape(-1)
    scores = np.moveaxis(logits, 1, -1).reshape(-1, classes)
    counted = labels != ignore_index
    return (scores, labels) if counted.all() else (scores[counted], labels[counted])
