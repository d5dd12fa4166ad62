"""Optimizers: ``optimizer.update(params, grads)`` moves every parameter by one step, in place.

Learning-rate schedules are in `cnn_core.optim.schedules`.
"""

from typing import TYPE_CHECKING

from cnn_core._lazy import lazy

if TYPE_CHECKING:
    from cnn_core.optim import schedules
    from cnn_core.optim.adaptive import AdaGrad, Adam, AdamW, RMSprop
    from cnn_core.optim.clip import clip_grad_norm
    from cnn_core.optim.optimizer import Optimizer
    from cnn_core.optim.sgd import SGD, Momentum, Nesterov

__all__ = [
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm",
    "schedules",
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "": "schedules",
        "adaptive": "AdaGrad Adam AdamW RMSprop",
        "clip": "clip_grad_norm",
        "optimizer": "Optimizer",
        "sgd": "SGD Momentum Nesterov",
    },
)
