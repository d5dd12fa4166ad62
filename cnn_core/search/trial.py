"""One training of a search, as the user's function sees it."""

import math
from typing import TYPE_CHECKING, Any

from cnn_core._checks import integer, real_number
from cnn_core.training import Callback, Epoch, Trainer
from cnn_core.training.history import lower_is_better

if TYPE_CHECKING:
    from optuna.trial import Trial as OptunaTrial


class Trial:
    """What the function under search gets beside the parameters: it records the curve, and stops lost causes.

    With a :class:`cnn_core.training.Trainer`, ``callbacks=[trial.callback()]`` does both. A loop of one's own
    calls :meth:`report` after each epoch, and may ask :meth:`should_prune` and raise ``optuna.TrialPruned``.

    Attributes
    ----------
    number : int
        Of the trial, from 0; with the seed of the search it determines the parameters.
    params : dict
        The parameters, by name.
    optuna : optuna.trial.Trial
        Optuna's own object.
    train_curve : dict of int to float
        What :meth:`report` was told of the training data.
    """

    def __init__(self, number: int, params: dict[str, Any], optuna: "OptunaTrial", minimize: bool) -> None:
        self.number = number
        self.params = params
        self.optuna = optuna
        self.train_curve: dict[int, float] = {}
        self._minimize = minimize
        self._last_step = -1

    def report(self, value: float, step: int, train: float | None = None) -> None:
        """Record a point of the curve.

        Parameters
        ----------
        value : float
            Measured on the validation data: accuracy, or what else the search maximizes or minimizes.
        step : int
            Such as the number of the epoch; larger than the step before.
        train : float, optional
            The same, measured on the training data.

        Raises
        ------
        FloatingPointError
            If ``value`` is not finite: the training has diverged.
        TypeError, ValueError
            If the numbers are none, or ``step`` does not rise.
        """
        step = integer(step, "step", at_least=0)
        if step <= self._last_step:
            raise ValueError(f"step: expects a number above the one before, {self._last_step}, got {step}")
        if isinstance(value, float) and not math.isfinite(value):
            raise FloatingPointError(f"the validation value is {value} at step {step}")
        self.optuna.report(real_number(value, "value"), step)
        self._last_step = step
        if train is not None and math.isfinite(train):
            self.train_curve[step] = float(train)

    def should_prune(self) -> bool:
        """Whether the pruner of the search sees no hope in what was reported."""
        return self.optuna.should_prune()

    def callback(self, monitor: str | None = None) -> Callback:
        """Return a callback for a ``Trainer`` that reports each epoch and ends a trial that is to be pruned.

        Parameters
        ----------
        monitor : {"val_acc", "val_loss", "train_acc", "train_loss"}, optional
            Column of the history; by default ``val_acc``, or ``val_loss`` if the search minimizes.

        Raises
        ------
        ValueError
            If it is none of these, or does not fit the direction of the search.
        """
        if monitor is None:
            monitor = "val_loss" if self._minimize else "val_acc"
        if lower_is_better(monitor) != self._minimize:
            wanted = "minimize" if lower_is_better(monitor) else "maximize"
            raise ValueError(f'monitor: {monitor} needs a search with direction="{wanted}"')
        return _Reporter(self, monitor)


class _Reporter(Callback):
    """Report each epoch of a training to its trial."""

    def __init__(self, trial: Trial, monitor: str) -> None:
        self.trial = trial
        self.monitor = monitor

    def on_epoch_end(self, trainer: Trainer, row: Epoch) -> None:
        from optuna import TrialPruned

        assert self.monitor is not None
        column = self.monitor.removeprefix("val_").removeprefix("train_")
        value, train = getattr(row, self.monitor), getattr(row, f"train_{column}")
        self.trial.report(value, row.epoch, train)
        if row.epoch < trainer.epochs and self.trial.should_prune():
            raise TrialPruned(f"after epoch {row.epoch}: {self.monitor} {value:.4g}")
