"""A schedule that waits for a metric to stop improving."""

import math
from dataclasses import dataclass, field

from cnn_core._checks import integer, one_of, real_number
from cnn_core.optim.schedules.base import Schedule


@dataclass
class Plateau(Schedule):
    r"""Multiply by ``factor`` when a metric has stopped improving.

    Not a function of the step: :meth:`observe` is told the metric once an epoch (the ``Trainer`` does it).
    After more than ``patience`` observations in a row without an improvement,

    .. math:: \eta \leftarrow \max(\eta \cdot \text{factor}, \eta_{min})

    An improvement is a metric below ``best * (1 - threshold)``, for mode "max" one above
    ``best * (1 + threshold)``.

    Parameters
    ----------
    lr : float
        First learning rate :math:`\eta`.
    factor : float
        Factor of each drop, below 1.
    patience : int
        Number of observations without improvement that are let pass.
    threshold : float
        Smallest relative improvement that counts.
    mode : {"min", "max"}
        Whether lower or higher is better.
    cooldown : int
        Number of observations after a drop that do not count as bad.
    min_lr : float
        Lowest learning rate :math:`\eta_{min}`.
    monitor : str
        Column of the history that the ``Trainer`` shows to :meth:`observe`.
    current, best, bad, cooling
        The state: learning rate, best metric, bad observations in a row, observations left to cool down.

    Notes
    -----
    The same values as ``torch.optim.lr_scheduler.ReduceLROnPlateau`` in its relative threshold mode, except
    that torch leaves out drops of less than 1e-8.
    """

    lr: float
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    mode: str = "min"
    cooldown: int = 0
    min_lr: float = 0.0
    monitor: str = "val_loss"
    current: float | None = field(default=None, kw_only=True, repr=False)
    best: float | None = field(default=None, kw_only=True, repr=False)
    bad: int = field(default=0, kw_only=True, repr=False)
    cooling: int = field(default=0, kw_only=True, repr=False)

    def __post_init__(self) -> None:
        self.lr = real_number(self.lr, "lr", at_least=0)
        self.factor = real_number(self.factor, "factor", at_least=0, below=1)
        self.patience = integer(self.patience, "patience", at_least=0)
        self.threshold = real_number(self.threshold, "threshold", at_least=0)
        one_of(self.mode, "mode", ("min", "max"))
        self.cooldown = integer(self.cooldown, "cooldown", at_least=0)
        self.min_lr = real_number(self.min_lr, "min_lr", at_least=0, at_most=self.lr)
        if self.current is not None:
            self.current = real_number(self.current, "current", at_least=0)
        if self.best is not None:
            self.best = real_number(self.best, "best")
        self.bad = integer(self.bad, "bad", at_least=0)
        self.cooling = integer(self.cooling, "cooling", at_least=0)

    def rate(self, step: int) -> float:
        """Return the current learning rate, whatever the step."""
        return self.lr if self.current is None else self.current

    def watched(self) -> str | None:
        """Return ``monitor``."""
        return self.monitor

    def observe(self, metric: float) -> None:
        """Take note of the metric at the end of an epoch, and lower the rate if it is time."""
        if self._improves(metric):
            self.best = float(metric)
            self.bad = 0
        else:
            self.bad += 1
        if self.cooling:
            self.cooling -= 1
            self.bad = 0
        if self.bad > self.patience:
            self.current = max(self.rate(0) * self.factor, self.min_lr)
            self.cooling = self.cooldown
            self.bad = 0

    def _improves(self, metric: float) -> bool:
        if not math.isfinite(metric):
            return False
        if self.best is None:
            return True
        if self.mode == "min":
            return metric < self.best * (1 - self.threshold)
        return metric > self.best * (1 + self.threshold)
