r"""Learning-rate schedules: a learning rate :math:`\eta_t` for every optimizer step :math:`t = 0, 1, \dots`

A schedule is called with the number of updates made so far and returns the learning rate of the next one::

    optimizer.lr = schedule(step)
    optimizer.update(model.params, model.grads)

The unit is the optimizer step everywhere; :class:`PerEpoch` makes a schedule count epochs instead. All
schedules are pure functions of ``step``, except :class:`Plateau`, which watches a metric.
"""

from typing import TYPE_CHECKING

from cnn_core._lazy import lazy

if TYPE_CHECKING:
    from cnn_core.optim.schedules.base import Schedule
    from cnn_core.optim.schedules.cycle import OneCycle, PerEpoch, WarmUp
    from cnn_core.optim.schedules.decay import Constant, Cosine, Exponential, MultiStep, Step
    from cnn_core.optim.schedules.plateau import Plateau

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "MultiStep",
    "OneCycle",
    "PerEpoch",
    "Plateau",
    "Schedule",
    "Step",
    "WarmUp",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "base": "Schedule",
        "cycle": "OneCycle PerEpoch WarmUp",
        "decay": "Constant Cosine Exponential MultiStep Step",
        "plateau": "Plateau",
    },
)
