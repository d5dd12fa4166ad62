"""Passes over data that do not train."""

from collections.abc import Callable
from typing import Any

import numpy as np

from cnn_core._checks import integer
from cnn_core.training import metrics
from cnn_core.training.metrics import Tally


def predict(model: Any, x: np.ndarray, batch_size: int) -> np.ndarray:
    """Return ``model.forward(x)``, computed ``batch_size`` examples at a time.

    Raises
    ------
    TypeError, ValueError
        If ``x`` is not a batch of examples, or ``batch_size`` is not positive.
    """
    batch_size = integer(batch_size, "batch_size", at_least=1)
    if not isinstance(x, np.ndarray) or x.ndim == 0:
        raise TypeError(f"x: expects an array of examples (N, ...), got {type(x).__name__}")
    first = model.forward(x[:batch_size], training=False)
    if len(x) <= batch_size:
        return first
    y = np.empty((len(x), *first.shape[1:]), first.dtype)
    y[:batch_size] = first
    for start in range(batch_size, len(x), batch_size):
        y[start : start + batch_size] = model.forward(x[start : start + batch_size], training=False)
    return y


def tally_batches(
    model: Any,
    loss: Any,
    x: np.ndarray,
    t: np.ndarray,
    batch_size: int,
    each_batch: Callable[[np.ndarray, np.ndarray], None],
) -> Tally:
    """Return loss and accuracy over the data, and show logits and targets of each batch to ``each_batch``."""
    batch_size = integer(batch_size, "batch_size", at_least=1)
    classes = metrics.are_classes(t)
    tally = Tally()
    for start in range(0, len(x), batch_size):
        targets = t[start : start + batch_size]
        logits = model.forward(x[start : start + batch_size], training=False)
        counts = count_labels(loss, logits, targets) if classes else (0, 0)
        tally.add(float(loss.forward(logits, targets)), len(targets), *counts)
        each_batch(logits, targets)
    return tally


def evaluate(
    model: Any, loss: Any, x: np.ndarray, t: np.ndarray, batch_size: int, top_k: int
) -> dict[str, Any]:
    """Return the metrics of a model on data; see ``Trainer.evaluate``."""
    top_k = integer(top_k, "top_k", at_least=1)
    if not metrics.are_classes(t):
        return {"loss": tally_batches(model, loss, x, t, batch_size, lambda logits, targets: None).loss}
    ignore_index = ignored_label(loss)
    confusions = []
    in_top_k = []

    def measure(logits: np.ndarray, targets: np.ndarray) -> None:
        confusions.append(metrics.confusion_matrix(logits, targets, ignore_index=ignore_index))
        in_top_k.append(metrics.count_in_top_k(logits, targets, top_k, ignore_index=ignore_index)[0])

    tally = tally_batches(model, loss, x, t, batch_size, measure)
    confusion = np.sum(confusions, axis=0)
    return {
        "loss": tally.loss,
        "accuracy": tally.accuracy,
        f"top_{top_k}_accuracy": sum(in_top_k) / tally.labels if tally.labels else None,
        "per_class_accuracy": metrics.recall(confusion),
        "confusion_matrix": confusion,
    }


def count_labels(loss: Any, logits: np.ndarray, targets: np.ndarray) -> tuple[int, int]:
    """Return the number of right predictions and of labels that the loss does not ignore."""
    return metrics.count_correct(logits, targets, ignore_index=ignored_label(loss))


def ignored_label(loss: Any) -> int:
    """Return the label that the loss leaves out."""
    return getattr(loss, "ignore_index", metrics.IGNORE_INDEX)
