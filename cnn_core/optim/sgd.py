"""Gradient descent, plain and with momentum."""

from typing import ClassVar

from cnn_core.functional._update import Rows
from cnn_core.optim.optimizer import Flag, Number, Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent: ``p -= lr * g``; with momentum ``v = momentum * v + g;  p -= lr * v``.

    Nesterov's momentum looks ahead: ``p -= lr * (g + momentum * v)``.

    Parameters
    ----------
    lr : float
        Learning rate.
    momentum : float
        How much of the last step's direction is kept, 0 for none.
    nesterov : bool
        Use Nesterov's momentum.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient (L2).

    Raises
    ------
    TypeError, ValueError
        If a number is negative or not finite, or ``nesterov`` comes without momentum.

    Notes
    -----
    Source: Sutskever et al., *On the importance of initialization and momentum in deep learning*, 2013, in
    the form of ``torch.optim.SGD``, in which a new learning rate acts on the whole of ``v`` at once.
    """

    slots: ClassVar[tuple[str, ...]] = ("v",)

    momentum = Number(at_least=0)
    nesterov = Flag()

    def __init__(
        self, lr: float = 0.01, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0
    ) -> None:
        super().__init__(lr, weight_decay)
        self.momentum = momentum
        self.nesterov = nesterov
        if self.nesterov and not self.momentum:
            raise ValueError(f"{type(self).__name__}: nesterov needs a momentum above 0, such as 0.9")

    def _slots(self) -> tuple[str, ...]:
        return self.slots if self.momentum else ()

    def _step(self, rows: Rows) -> None:
        if self.momentum:
            rows.momentum(self.lr, self.momentum, bool(self.nesterov), self.weight_decay)
        else:
            rows.sgd(self.lr, self.weight_decay)


class Momentum(SGD):
    """`SGD` with momentum: ``v = momentum * v + g;  p -= lr * v``.

    Parameters
    ----------
    lr : float
        Learning rate.
    momentum : float
        How much of the last step's direction is kept.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient (L2).
    """

    def __init__(self, lr: float = 0.01, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(lr, momentum, False, weight_decay)


class Nesterov(SGD):
    """`SGD` with Nesterov's momentum: ``v = momentum * v + g;  p -= lr * (g + momentum * v)``.

    Parameters
    ----------
    lr : float
        Learning rate.
    momentum : float
        How much of the last step's direction is kept, above 0.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient (L2).
    """

    def __init__(self, lr: float = 0.01, momentum: float = 0.9, weight_decay: float = 0.0) -> None:
        super().__init__(lr, momentum, True, weight_decay)
