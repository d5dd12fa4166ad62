"""A schedule that waits for a metric to stop improving."""

import math
from dataclasses import dataclass, field

from cnn_core.optim.schedules.base import Schedule, count, number


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
        self.lr = number("lr", self.lr)
        self.factor = number("factor", self.factor, high=1.0)
        if self.factor == 1:
            raise ValueError("factor must be below 1, got 1.0")
        self.patience = count("patience", self.patience, low=0)
        self.threshold = number("threshold", self.threshold)
        if self.mode not in ("min", "max"):
            raise ValueError(f"mode must be 'min' or 'max', got {self.mode!r}")
        self.cooldown = count("cooldown", self.cooldown, low=0)
        self.min_lr = number("min_lr", self.min_lr, high=self.lr)
        self.current = self.lr if self.current is None else number("current", self.current)
        self.best = None if self.best is None else number("best", self.best, low=-math.inf)
        self.bad = count("bad", self.bad, low=0)
        self.cooling = count("cooling", self.cooling, low=0)

    def rate(self, step: int) -> float:
        """Return the current learning rate, whatever the step."""
        assert self.current is not None
        return self.current

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
