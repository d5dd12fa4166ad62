"""Schedules that only fall: constant, step, milestones, exponential, cosine."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

from cnn_core._checks import integer, real_number
from cnn_core.optim.schedules.base import Schedule, cosine


@dataclass
class Constant(Schedule):
    r"""The same learning rate for ever: :math:`\eta_t = \eta`.

    Parameters
    ----------
    lr : float
        Learning rate :math:`\eta \ge 0`.
    """

    lr: float

    def __post_init__(self) -> None:
        self.lr = real_number(self.lr, "lr", at_least=0)

    def rate(self, step: int) -> float:
        """Return the learning rate."""
        return self.lr


@dataclass
class Step(Schedule):
    r"""Multiply by ``gamma`` every ``step_size`` steps: :math:`\eta_t = \eta\,\gamma^{\lfloor t/s \rfloor}`.

    Parameters
    ----------
    lr : float
        Learning rate :math:`\eta` of the first ``step_size`` steps.
    step_size : int
        Number of steps :math:`s` between two drops.
    gamma : float
        Factor of each drop.

    Notes
    -----
    The same values as ``torch.optim.lr_scheduler.StepLR``.
    """

    lr: float
    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        self.lr = real_number(self.lr, "lr", at_least=0)
        self.step_size = integer(self.step_size, "step_size", at_least=1)
        self.gamma = real_number(self.gamma, "gamma", at_least=0)

    def rate(self, step: int) -> float:
        """Return the learning rate after ``step // step_size`` drops."""
        return self.lr * self.gamma ** (step // self.step_size)


@dataclass
class MultiStep(Schedule):
    r"""Multiply by ``gamma`` at each milestone: :math:`\eta_t = \eta\,\gamma^{|\{m : m \le t\}|}`.

    Parameters
    ----------
    lr : float
        Learning rate :math:`\eta` before the first milestone.
    milestones : sequence of int
        Increasing step numbers :math:`m`; the step of that number is the first with the lower rate.
    gamma : float
        Factor of each drop.

    Notes
    -----
    The same values as ``torch.optim.lr_scheduler.MultiStepLR``. He et al. (2016), "Deep Residual Learning",
    section 4.2, train ResNet-20 with milestones 32,000 and 48,000.
    """

    lr: float
    milestones: Sequence[int]
    gamma: float = 0.1

    def __post_init__(self) -> None:
        self.lr = real_number(self.lr, "lr", at_least=0)
        self.milestones = tuple(integer(m, "milestones", at_least=0) for m in self.milestones)
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones: expects increasing numbers, got {list(self.milestones)}")
        self.gamma = real_number(self.gamma, "gamma", at_least=0)

    def rate(self, step: int) -> float:
        """Return the learning rate after the milestones up to ``step``."""
        return self.lr * self.gamma ** bisect.bisect_right(self.milestones, step)


@dataclass
class Exponential(Schedule):
    r"""Multiply by ``gamma`` at every step: :math:`\eta_t = \eta\,\gamma^t`.

    Parameters
    ----------
    lr : float
        First learning rate :math:`\eta`.
    gamma : float
        Factor per step; for a factor ``g`` per epoch take ``g ** (1 / steps_per_epoch)`` or
        :class:`PerEpoch`.

    Notes
    -----
    The same values as ``torch.optim.lr_scheduler.ExponentialLR``.
    """

    lr: float
    gamma: float

    def __post_init__(self) -> None:
        self.lr = real_number(self.lr, "lr", at_least=0)
        self.gamma = real_number(self.gamma, "gamma", at_least=0, at_most=1)

    def rate(self, step: int) -> float:
        """Return the learning rate after ``step`` factors."""
        return self.lr * self.gamma**step


@dataclass
class Cosine(Schedule):
    r"""Fall from ``lr`` to ``min_lr`` along half a cosine, then stay.

    .. math:: \eta_t = \eta_{min} + \tfrac12 (\eta - \eta_{min}) \left(1 + \cos(\pi \min(t, T) / T)\right)

    Parameters
    ----------
    lr : float
        First learning rate :math:`\eta`.
    total_steps : int
        Number of steps :math:`T` of the fall, usually all of the training.
    min_lr : float
        Last learning rate :math:`\eta_{min}`.

    Notes
    -----
    Loshchilov and Hutter (2017), "SGDR: Stochastic Gradient Descent with Warm Restarts", equation 5. The same
    values as ``torch.optim.lr_scheduler.CosineAnnealingLR`` up to step :math:`T`, after which torch's rises.
    """

    lr: float
    total_steps: int
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        self.lr = real_number(self.lr, "lr", at_least=0)
        self.total_steps = integer(self.total_steps, "total_steps", at_least=1)
        self.min_lr = real_number(self.min_lr, "min_lr", at_least=0, at_most=self.lr)

    def rate(self, step: int) -> float:
        """Return the point of the cosine at ``step``."""
        return cosine(self.lr, self.min_lr, min(step, self.total_steps) / self.total_steps)
