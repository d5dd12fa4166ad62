"""Schedules that rise first, and the change of unit from steps to epochs."""

from dataclasses import dataclass

from cnn_core._checks import integer, real_number
from cnn_core.optim.schedules.base import Schedule, cosine


@dataclass
class OneCycle(Schedule):
    r"""Rise along half a cosine to ``max_lr``, then fall along another to almost nothing.

    With :math:`c(a, b, p) = b + \tfrac12 (a - b)(1 + \cos \pi p)`, :math:`u = \text{pct\_start}\cdot T - 1`,
    first rate :math:`\eta_0 = \eta_{max} / \text{div\_factor}` and last rate
    :math:`\eta_{T-1} = \eta_0 / \text{final\_div\_factor}`:

    .. math::
        \eta_t = \begin{cases} c(\eta_0, \eta_{max}, t/u) & t \le u \\
                 c(\eta_{max}, \eta_{T-1}, (t-u)/(T-1-u)) & t > u \end{cases}

    Parameters
    ----------
    max_lr : float
        Highest learning rate :math:`\eta_{max}`.
    total_steps : int
        Number of steps :math:`T` of the cycle; afterwards the last rate stays.
    pct_start : float
        Share of the cycle that rises, from 0 to 1.
    div_factor : float
        How many times the first rate is below ``max_lr``.
    final_div_factor : float
        How many times the last rate is below the first.

    Notes
    -----
    Smith and Topin (2018), "Super-Convergence". The same values as ``torch.optim.lr_scheduler.OneCycleLR``
    with its default ``anneal_strategy`` and without cycling of the momentum.
    """

    max_lr: float
    total_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        self.max_lr = real_number(self.max_lr, "max_lr", at_least=0)
        self.total_steps = integer(self.total_steps, "total_steps", at_least=1)
        self.pct_start = real_number(self.pct_start, "pct_start", at_least=0, at_most=1)
        self.div_factor = real_number(self.div_factor, "div_factor", at_least=1)
        self.final_div_factor = real_number(self.final_div_factor, "final_div_factor", at_least=1)

    def rate(self, step: int) -> float:
        """Return the point of the cycle at ``step``."""
        first = self.max_lr / self.div_factor
        last_step = self.total_steps - 1
        top = self.pct_start * self.total_steps - 1
        step = min(step, last_step)
        if step <= top:
            return cosine(first, self.max_lr, step / top if top else 1.0)
        return cosine(self.max_lr, first / self.final_div_factor, (step - top) / (last_step - top))


@dataclass
class WarmUp(Schedule):
    r"""Rise linearly to the first rate of another schedule, then follow it.

    .. math::
        \eta_t = \begin{cases} \eta'_0 \left(f + (1 - f)\, t / w\right) & t < w \\
                 \eta'_{t-w} & t \ge w \end{cases}

    Parameters
    ----------
    schedule : Schedule
        What comes after the warm-up, :math:`\eta'`. It starts with its own step 0.
    warmup_steps : int
        Number of steps :math:`w` of the rise.
    start_factor : float
        Share :math:`f` of :math:`\eta'_0` at which to start, from 0 to 1.

    Notes
    -----
    Goyal et al. (2017), "Accurate, Large Minibatch SGD", section 2.2. The same values as torch's ``LinearLR``
    followed by another schedule in a ``SequentialLR``.
    """

    schedule: Schedule
    warmup_steps: int
    start_factor: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, Schedule):
            raise TypeError(f"schedule: expects a Schedule, got {type(self.schedule).__name__}")
        self.warmup_steps = integer(self.warmup_steps, "warmup_steps", at_least=0)
        self.start_factor = real_number(self.start_factor, "start_factor", at_least=0, at_most=1)

    def rate(self, step: int) -> float:
        """Return a share of the other schedule's first rate, or its rate ``warmup_steps`` earlier."""
        if step >= self.warmup_steps:
            return self.schedule(step - self.warmup_steps)
        return self.schedule(0) * (self.start_factor + (1 - self.start_factor) * step / self.warmup_steps)

    def watched(self) -> str | None:
        """Return what the other schedule watches."""
        return self.schedule.watched()

    def observe(self, metric: float) -> None:
        """Pass the metric on to the other schedule."""
        self.schedule.observe(metric)


@dataclass
class PerEpoch(Schedule):
    r"""Let another schedule count epochs instead of steps: :math:`\eta_t = \eta'_{\lfloor t / s \rfloor}`.

    Parameters
    ----------
    schedule : Schedule
        A schedule :math:`\eta'` whose numbers are meant in epochs.
    steps_per_epoch : int
        Number of batches :math:`s` of an epoch: ``ceil(examples / batch_size)``.
    """

    schedule: Schedule
    steps_per_epoch: int

    def __post_init__(self) -> None:
        if not isinstance(self.schedule, Schedule):
            raise TypeError(f"schedule: expects a Schedule, got {type(self.schedule).__name__}")
        self.steps_per_epoch = integer(self.steps_per_epoch, "steps_per_epoch", at_least=1)

    def rate(self, step: int) -> float:
        """Return the other schedule's rate for the epoch of ``step``."""
        return self.schedule(step // self.steps_per_epoch)

    def watched(self) -> str | None:
        """Return what the other schedule watches."""
        return self.schedule.watched()

    def observe(self, metric: float) -> None:
        """Pass the metric on to the other schedule."""
        self.schedule.observe(metric)
