"""What can be done around the steps of training: stop early, save, write the history."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core._checks import integer, real_number
from cnn_core.files import save_tensors
from cnn_core.training.history import Epoch, is_better, lower_is_better
from cnn_core.training.interrupt import Interrupted

if TYPE_CHECKING:
    from cnn_core.training.trainer import Trainer


class Callback:
    """The base class of callbacks: override what you need; the trainer calls it.

    A callback with a state that must survive a restart defines :meth:`state_dict` and
    :meth:`load_state_dict`; checkpoints hold it.

    Attributes
    ----------
    monitor : str or None
        Column of the history that the callback needs; ``fit`` refuses to start if it will not be there.
    runs_last : bool
        Whether the callback comes after all others, whatever the order in which they were given.
    """

    monitor: str | None = None
    runs_last: bool = False

    def on_fit_start(self, trainer: "Trainer") -> None:
        """``fit`` begins; ``trainer.epoch`` epochs have been completed before."""

    def on_epoch_start(self, trainer: "Trainer") -> None:
        """An epoch begins or, after a resume, goes on."""

    def on_step_end(self, trainer: "Trainer") -> None:
        """The weights have been updated; ``trainer.step`` counts this step already."""

    def on_epoch_end(self, trainer: "Trainer", row: Epoch) -> None:
        """An epoch is complete; ``row`` is the last of ``trainer.history``."""

    def on_fit_end(self, trainer: "Trainer") -> None:
        """``fit`` ends, because all epochs are done or somebody called ``trainer.stop()``."""

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        """``fit`` ends with an exception: ``Interrupted`` after Ctrl-C, at a point that can be saved."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state: arrays, numbers, strings, bools and None by name. Empty if there is none."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned; ValueError, with nothing changed, if it cannot be."""
        if state:
            raise ValueError(f"{type(self).__name__} has no state to restore, got {list(state)}")


class EarlyStopping(Callback):
    """Stop when a loss or an accuracy has not improved for some epochs.

    Parameters
    ----------
    monitor : {"val_loss", "val_acc", "train_loss", "train_acc"}
    patience : int
        Number of epochs in a row without improvement after which to stop.
    min_delta : float
        An improvement is one by more than this.
    restore_best : bool
        Whether the model ends with the weights of its best epoch. They are set at the end of ``fit``;
        checkpoints hold the weights of the training as well as the best ones.

    Notes
    -----
    Prechelt (1998), "Early Stopping - But When?", criterion UP.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 5,
        min_delta: float = 0.0,
        restore_best: bool = True,
    ) -> None:
        lower_is_better(monitor)  # refuses other columns
        self.monitor = monitor
        self.patience = integer(patience, "patience", at_least=1)
        self.min_delta = real_number(min_delta, "min_delta", at_least=0)
        self.restore_best = bool(restore_best)
        self.best: float | None = None
        self.best_epoch = 0
        self.bad_epochs = 0
        self.weights: dict[str, np.ndarray] = {}

    def on_fit_start(self, trainer: "Trainer") -> None:
        if self.bad_epochs >= self.patience:
            trainer.stop()

    def on_epoch_end(self, trainer: "Trainer", row: Epoch) -> None:
        value = getattr(row, self.monitor or "")
        if not is_better(value, self.best, self.monitor or "", self.min_delta):
            self.bad_epochs += 1
            if self.bad_epochs >= self.patience:
                trainer.stop()
            return
        self.best, self.best_epoch, self.bad_epochs = value, row.epoch, 0
        if self.restore_best:
            self.weights = {name: array.copy() for name, array in trainer.model.state_dict().items()}

    def on_fit_end(self, trainer: "Trainer") -> None:
        if self.weights:
            trainer.model.load_state_dict(self.weights)

    def state_dict(self) -> dict[str, Any]:
        state = {"best": self.best, "best_epoch": self.best_epoch, "bad_epochs": self.bad_epochs}
        return state | {f"weights.{name}": array for name, array in self.weights.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        weights = {name.removeprefix("weights."): array for name, array in state.items() if "." in name}
        if state.keys() - {f"weights.{name}" for name in weights} != {"best", "best_epoch", "bad_epochs"}:
            raise ValueError(f"not a state of EarlyStopping: {list(state)}")
        best = None if state["best"] is None else real_number(state["best"], "best")
        best_epoch = integer(state["best_epoch"], "best_epoch", at_least=0)
        bad_epochs = integer(state["bad_epochs"], "bad_epochs", at_least=0)
        self.best, self.best_epoch, self.bad_epochs = best, best_epoch, bad_epochs
        self.weights = {name: np.array(array) for name, array in weights.items()}


class Checkpoint(Callback):
    """Save everything that is needed to continue, again and again, into one file.

    The file is replaced in one step, so that a process killed at any moment leaves a whole one;
    ``trainer.resume(path)`` continues from it. It is written after every ``every_epochs`` epochs, after every
    ``every_steps`` steps, at the end of the training, and on Ctrl-C.

    Parameters
    ----------
    path : str or PathLike
        With the suffix ``.safetensors`` or ``.npz``. Missing directories are made when ``fit`` begins.
    every_epochs : int or None
    every_steps : int or None
    keep_best : {"val_loss", "val_acc", "train_loss", "train_acc"}, optional
        Also save the model of the best epoch, for ``model.load``, as ``<name>-best`` beside ``path``.
    """

    runs_last = True  # so that what it saves includes what the others did at the end of the same epoch

    def __init__(
        self,
        path: str | os.PathLike[str],
        every_epochs: int | None = 1,
        every_steps: int | None = None,
        keep_best: str | None = None,
    ) -> None:
        self.path = Path(path)
        if self.path.suffix not in (".safetensors", ".npz"):
            raise ValueError(f"path: expects the suffix .safetensors or .npz, got {os.fspath(path)!r}")
        for name, every in (("every_epochs", every_epochs), ("every_steps", every_steps)):
            if every is not None:
                integer(every, name, at_least=1)
        if keep_best is not None:
            lower_is_better(keep_best)  # refuses other columns
        self.every_epochs = every_epochs
        self.every_steps = every_steps
        self.monitor = keep_best
        self.best: float | None = None

    @property
    def best_path(self) -> Path:
        """Where the model of the best epoch goes."""
        return self.path.with_stem(f"{self.path.stem}-best")

    def on_fit_start(self, trainer: "Trainer") -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def on_step_end(self, trainer: "Trainer") -> None:
        if self.every_steps and trainer.step % self.every_steps == 0:
            trainer.save_checkpoint(self.path)

    def on_epoch_end(self, trainer: "Trainer", row: Epoch) -> None:
        if self.monitor and is_better(getattr(row, self.monitor), self.best, self.monitor):
            self.best = getattr(row, self.monitor)
            save_tensors(self.best_path, trainer.model.state_dict())
        is_last = trainer.stopping or row.epoch == trainer.epochs
        if is_last or (self.every_epochs and row.epoch % self.every_epochs == 0):
            trainer.save_checkpoint(self.path)

    def on_exception(self, trainer: "Trainer", error: BaseException) -> None:
        if isinstance(error, Interrupted):
            trainer.save_checkpoint(self.path)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best} if self.monitor else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state.keys() != {"best"}:
            raise ValueError(f"not a state of Checkpoint: {list(state)}")
        self.best = None if state["best"] is None else real_number(state["best"], "best")


class HistoryLogger(Callback):
    """Write the history to a file after every epoch, all of it each time, in one step.

    Parameters
    ----------
    path : str or PathLike
        ``.csv`` or ``.json``. Missing directories are made when ``fit`` begins.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if self.path.suffix not in (".csv", ".json"):
            raise ValueError(f"path: expects the suffix .csv or .json, got {os.fspath(path)!r}")

    def on_fit_start(self, trainer: "Trainer") -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, trainer: "Trainer", row: Epoch) -> None:
        if self.path.suffix == ".csv":
            trainer.history.to_csv(self.path)
        else:
            trainer.history.to_json(self.path)
