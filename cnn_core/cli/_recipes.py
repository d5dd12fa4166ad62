"""Settings that train each network well on each data set."""

from dataclasses import dataclass
from typing import Any

from cnn_core.cli._settings import OPTIMIZERS, Settings

DEFAULT_MODELS = {"digits": "digits", "mnist": "simple", "fashion-mnist": "deep", "cifar10": "resnet20"}


@dataclass(frozen=True)
class _Optimization:
    optimizer: str
    lr: float
    schedule: str
    weight_decay: float = 0.0


# Batch normalization bears the high rates at which momentum does best; the other networks learn with Adam.
_OPTIMIZATION = {
    "digits": _Optimization("adam", 0.005, "one-cycle"),
    "vgg": _Optimization("nesterov", 0.05, "one-cycle", weight_decay=5e-4),
    "resnet20": _Optimization("nesterov", 0.1, "one-cycle", weight_decay=5e-4),
}
_ADAM = _Optimization("adam", 0.001, "cosine")

_EPOCHS_AND_BATCH = {"digits": (50, 32), "mnist": (15, 100), "fashion-mnist": (20, 100), "cifar10": (30, 100)}

_AUGMENT = {
    "digits": "shift=1",
    "mnist": "shift=2",
    "fashion-mnist": "shift=2,flip",
    "cifar10": "crop=4,flip",
}


def recommended(dataset: str, model: str, **asked: Any) -> Settings:
    """The settings for a network on a data set, with what is ``asked`` for (not None) in their place.

    Raises
    ------
    ValueError, TypeError
        If something asked for is out of its range.
    """
    asked = {name: value for name, value in asked.items() if value is not None}
    best = _OPTIMIZATION.get(model, _ADAM)
    epochs, batch_size = _EPOCHS_AND_BATCH[dataset]
    values: dict[str, Any] = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": best.optimizer,
        "lr": best.lr,
        "weight_decay": best.weight_decay,
        "schedule": best.schedule,
        "augment": _AUGMENT[dataset],
    }
    other = asked.get("optimizer", best.optimizer)
    if other != best.optimizer and other in OPTIMIZERS:  # its own rate: they differ by orders of magnitude
        values["lr"] = OPTIMIZERS[other][1]
        values["weight_decay"] = 0.01 if other == "adamw" else 0.0
    return Settings(**values | asked)
