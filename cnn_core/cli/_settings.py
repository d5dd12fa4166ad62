"""How to train: the numbers of a run, checked once, and the objects that they stand for."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from cnn_core import data, optim
from cnn_core._checks import integer, one_of, real_number
from cnn_core.optim import schedules

# Each with the learning rate that it gets if none is asked for.
OPTIMIZERS: dict[str, tuple[Callable[..., optim.Optimizer], float]] = {
    "sgd": (optim.SGD, 0.1),
    "momentum": (optim.Momentum, 0.01),
    "nesterov": (optim.Nesterov, 0.01),
    "adagrad": (optim.AdaGrad, 0.01),
    "rmsprop": (optim.RMSprop, 0.001),
    "adam": (optim.Adam, 0.001),
    "adamw": (optim.AdamW, 0.001),
}

SCHEDULES = ("constant", "step", "exponential", "cosine", "one-cycle", "plateau")

AUGMENTATIONS = ("shift", "flip", "crop", "rotate")


@dataclass(frozen=True)
class Settings:
    """The numbers of a run; with the data and the network they determine the result, bit for bit.

    Parameters
    ----------
    epochs, batch_size : int
    optimizer : str
        One of `OPTIMIZERS`.
    lr : float
        The highest learning rate of the schedule.
    weight_decay : float
    schedule : str
        One of `SCHEDULES`.
    warmup : float
        Epochs in which the learning rate rises, before the schedule begins.
    augment : str
        ``"none"``, or such as ``"shift=2,flip,rotate=10"``: shift and crop in pixels, rotate in degrees.
    label_smoothing : float
    clip_norm : float or None
    validation : float
        Share of the training images that is held out.
    patience : int or None
        Epochs without a better validation loss after which to stop.
    seed : int

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.
    """

    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    weight_decay: float
    schedule: str
    augment: str = "none"
    warmup: float = 0.0
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    validation: float = 0.0
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        integer(self.epochs, "epochs", at_least=1)
        integer(self.batch_size, "batch_size", at_least=1)
        one_of(self.optimizer, "optimizer", tuple(OPTIMIZERS))
        real_number(self.lr, "lr", above=0)
        real_number(self.weight_decay, "weight_decay", at_least=0)
        one_of(self.schedule, "schedule", SCHEDULES)
        real_number(self.warmup, "warmup", at_least=0, below=self.epochs)
        real_number(self.label_smoothing, "label_smoothing", at_least=0, at_most=1)
        real_number(self.validation, "validation", at_least=0, below=1)
        integer(self.seed, "seed", at_least=0)
        if self.clip_norm is not None:
            real_number(self.clip_norm, "clip_norm", above=0)
        if self.patience is not None:
            integer(self.patience, "patience", at_least=1)
            if not self.validation:
                raise ValueError("patience: needs validation images to watch: add --validation 0.1")
        parse_augmentations(self.augment)

    @classmethod
    def names(cls) -> list[str]:
        """The names of all settings."""
        return [field.name for field in fields(cls)]

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Take back what `to_dict` gave; ValueError or TypeError if it is something else."""
        names = cls.names()
        if not isinstance(values, dict) or set(values) != set(names):
            got = sorted(values) if isinstance(values, dict) else values
            raise ValueError(f"training: expects {', '.join(names)}, got {got}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """The settings by name."""
        return asdict(self)

    def make_optimizer(self) -> optim.Optimizer:
        """A fresh optimizer."""
        factory, _ = OPTIMIZERS[self.optimizer]
        return factory(lr=self.lr, weight_decay=self.weight_decay)

    def make_schedule(self, examples: int) -> schedules.Schedule:
        """The learning rate of every step of a training on so many examples."""
        steps_per_epoch = math.ceil(examples / self.batch_size)
        warmup_steps = round(self.warmup * steps_per_epoch)
        steps = max(1, self.epochs * steps_per_epoch - warmup_steps)
        schedule: schedules.Schedule
        match self.schedule:
            case "constant":
                schedule = schedules.Constant(self.lr)
            case "step":  # as in He et al., "Deep Residual Learning", section 4.2
                schedule = schedules.MultiStep(self.lr, sorted({steps // 2, steps * 3 // 4}))
            case "exponential":
                schedule = schedules.Exponential(self.lr, 0.01 ** (1 / steps))
            case "cosine":
                schedule = schedules.Cosine(self.lr, steps)
            case "one-cycle":
                schedule = schedules.OneCycle(self.lr, steps)
            case _:
                watched = "val_loss" if self.validation else "train_loss"
                schedule = schedules.Plateau(self.lr, patience=3, monitor=watched)
        return schedules.WarmUp(schedule, warmup_steps) if warmup_steps else schedule

    def make_augmentation(self, background: float) -> data.Augmentation | None:
        """The random changes to training images; ``background`` is what a moved image leaves behind."""
        steps: list[data.Augmentation] = []
        for kind, amount in parse_augmentations(self.augment):
            match kind:
                case "shift":
                    steps.append(data.RandomShift(int(amount), fill=background))
                case "flip":
                    steps.append(data.RandomFlip())
                case "crop":
                    steps.append(data.PadCrop(int(amount)))
                case _:
                    steps.append(data.RandomRotation(amount, fill=background))
        return data.Compose(*steps) if steps else None


def parse_augmentations(text: str) -> list[tuple[str, float]]:
    """Split ``"shift=2,flip"`` into ``[("shift", 2), ("flip", 0)]``; ``"none"`` is empty.

    Raises
    ------
    ValueError
        If a word is unknown, or a number is missing or not one.
    """
    if text == "none":
        return []
    parsed = []
    for part in text.split(","):
        kind, equals, amount = part.strip().partition("=")
        one_of(kind, "augment", ("none", *AUGMENTATIONS))
        if (kind == "flip") == bool(equals) or kind == "none":
            raise ValueError(f"augment: expects such as shift=2,flip,crop=4,rotate=10, or none, got {text!r}")
        try:
            number = 0.0 if kind == "flip" else float(amount)
        except ValueError:
            raise ValueError(f"augment: {kind} expects a number, got {amount!r}") from None
        real_number(number, f"augment: {kind}", at_least=0)
        if kind in ("shift", "crop") and not number.is_integer():
            raise ValueError(f"augment: {kind} expects whole pixels, got {amount!r}")
        parsed.append((kind, number))
    return parsed
