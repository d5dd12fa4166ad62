"""Looking for NaN and infinities in a training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from cnn_core import debugging

if TYPE_CHECKING:
    from cnn_core.training.trainer import Trainer


@contextmanager
def watching(trainer: "Trainer", **data: tuple[np.ndarray, np.ndarray] | None) -> Iterator[None]:
    """Look, if the trainer is asked to: first at all data, where examples have numbers, then at each step."""
    if not trainer.debug:
        yield
        return
    for name, pair in data.items():
        for letter, array in zip("xt", pair or (), strict=False):
            debugging.check_examples(array, f"{name}: {letter}")

    def where() -> str:
        if trainer.trained:
            return f"validation of epoch {trainer.epoch + 1}"
        return f"epoch {trainer.epoch + 1}, step {trainer.step + 1}, learning rate {trainer.lr:g}"

    with debugging.watch(trainer.model, trainer.loss, trainer.optimizer, where=where):
        yield
