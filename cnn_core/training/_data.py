"""What a training needs to know about its parts and its data before it begins."""

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core._checks import labels, one_of
from cnn_core.data.batches import Batches
from cnn_core.data.dataset import check_paired
from cnn_core.losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from cnn_core.optim.schedules import Schedule
from cnn_core.training.history import MONITORS

if TYPE_CHECKING:
    from cnn_core.training.trainer import Trainer


def check_part(part: Any, name: str, *methods: str) -> None:
    """Raise TypeError unless ``part`` of a trainer is an object with these methods."""
    if isinstance(part, type):
        raise TypeError(f"{name}: expects an object, got the class: write {part.__name__}(...)")
    if not all(callable(getattr(part, method, None)) for method in methods):
        wanted = " and ".join(methods)
        raise TypeError(f"{name}: expects an object with {wanted}, got {type(part).__name__}")


def paired(data: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return examples and targets of an ``Arrays`` or a pair, of which there must be some."""
    if isinstance(data, tuple | list) and len(data) == 2:
        x, t = data
    elif hasattr(data, "x") and hasattr(data, "t"):
        x, t = data.x, data.t
    else:
        raise TypeError(
            f"{name}: expects Arrays or a pair (x, t), got {type(data).__name__}; "
            f"examples and targets are one argument: fit((x, t), ...)"
        )
    check_paired(x, t)
    if not len(x):
        raise ValueError(f"{name}: expects at least one example, got none")
    return x, t


def check_fits(model: Any, loss: Any, x: np.ndarray, t: np.ndarray, name: str) -> None:
    """Raise for data that the model or the loss will not take, before there is a first step.

    Two examples go through the model (one would look like an image without a batch); of class numbers all are
    looked at.
    """
    y = _tried(lambda: model.forward(x[:2], training=False), f"{name}: x[:2] does not fit")
    if isinstance(loss, CrossEntropyLoss) and t.dtype.kind in "iu" and y.ndim >= 2:
        labels(t, f"{name}: t", (len(t), *y.shape[2:]), y.shape[1], loss.ignore_index)
    elif isinstance(loss, CrossEntropyLoss | MSELoss | BCEWithLogitsLoss):  # others may need more than two
        _tried(lambda: loss.forward(y, t[:2]), f"{name}: t[:2] does not fit")


def _tried(compute: Callable[[], Any], complaint: str) -> Any:
    """Return what ``compute`` returns; put ``complaint`` before the message if it does not."""
    try:
        return compute()
    except (TypeError, ValueError) as error:
        error.args = (f"{complaint}: {error}",)
        raise


def identity(batches: Batches, t: np.ndarray) -> dict[str, int]:
    """Return what must be the same for an epoch to be continued: numbers, and a checksum of the targets."""
    return {
        "examples": len(t),
        "batch_size": batches.batch_size,
        "drop_last": int(batches.drop_last),
        "targets_crc32": zlib.crc32(np.ascontiguousarray(t).reshape(-1).view(np.uint8).data),
    }


def check_monitors(trainer: "Trainer", validated: bool, classes: bool) -> None:
    """Refuse callbacks and schedules that watch a number which will not be measured."""
    watching = [(type(callback).__name__, callback.monitor) for callback in trainer.callbacks]
    if isinstance(trainer.schedule, Schedule):
        watching.append((type(trainer.schedule).__name__, trainer.schedule.watched()))
    for name, monitor in watching:
        if monitor is None:
            continue
        one_of(monitor, f"{name}: monitor", MONITORS)
        if monitor.startswith("val_") and not validated:
            raise ValueError(f"{name} watches {monitor}: give fit validation data, or watch train_loss")
        if monitor.endswith("_acc") and not classes:
            raise ValueError(f"{name} watches {monitor}, but the targets are not classes: watch a loss")
