"""Optimizers that give each weight a step size of its own."""

from typing import ClassVar

from cnn_core.functional._update import Rows
from cnn_core.optim.optimizer import Number, Optimizer


class AdaGrad(Optimizer):
    """Steps shrink with all gradients so far: ``h += g^2;  p -= lr * g / (sqrt(h) + eps)``.

    Parameters
    ----------
    lr : float
        Learning rate.
    eps : float
        Keeps the division finite.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient (L2).

    Notes
    -----
    Source: Duchi et al., *Adaptive subgradient methods*, 2011.
    """

    slots: ClassVar[tuple[str, ...]] = ("h",)

    eps = Number(at_least=0)

    def __init__(self, lr: float = 0.01, eps: float = 1e-7, weight_decay: float = 0.0) -> None:
        super().__init__(lr, weight_decay)
        self.eps = eps

    def _step(self, rows: Rows) -> None:
        rows.adagrad(self.lr, self.eps, self.weight_decay)


class RMSprop(Optimizer):
    """Steps shrink with recent gradients: ``p -= lr * g / (sqrt(h) + eps)``.

    ``h = alpha * h + (1 - alpha) * g^2`` is their running mean square.

    Parameters
    ----------
    lr : float
        Learning rate.
    alpha : float
        How much of the past is kept in the average ``h``, 0 to 1.
    eps : float
        Keeps the division finite.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient (L2).

    Notes
    -----
    Source: Tieleman and Hinton, *Neural networks for machine learning*, lecture 6.5, 2012.
    """

    slots: ClassVar[tuple[str, ...]] = ("h",)

    alpha = Number(at_least=0, at_most=1)
    eps = Number(at_least=0)

    def __init__(
        self, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0
    ) -> None:
        super().__init__(lr, weight_decay)
        self.alpha = alpha
        self.eps = eps

    def _step(self, rows: Rows) -> None:
        rows.rmsprop(self.lr, self.alpha, self.eps, self.weight_decay)


class Adam(Optimizer):
    """Averages of the gradient and of its square, corrected for their start at zero.

    ``m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2``, and at a parameter's step t
    ``p -= lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)``.

    Parameters
    ----------
    lr : float
        Learning rate.
    betas : (float, float)
        ``beta1`` and ``beta2``, each at least 0 and below 1.
    eps : float
        Keeps the division finite.
    weight_decay : float
        Adds ``weight_decay * p`` to the gradient (L2).

    Notes
    -----
    Source: Kingma and Ba, *Adam: a method for stochastic optimization*, 2015, algorithm 1.
    """

    slots: ClassVar[tuple[str, ...]] = ("m", "v")
    counts_steps: ClassVar[bool] = True
    decoupled: ClassVar[bool] = False

    beta1 = Number(at_least=0, below=1)
    beta2 = Number(at_least=0, below=1)
    eps = Number(at_least=0)

    def __init__(
        self,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(lr, weight_decay)
        self.betas = betas
        self.eps = eps

    @property
    def betas(self) -> tuple[float, float]:
        """``(beta1, beta2)``."""
        return self.beta1, self.beta2

    @betas.setter
    def betas(self, betas: tuple[float, float]) -> None:
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"{type(self).__name__}: betas: expects a pair of numbers, got {betas!r}")
        self.beta1, self.beta2 = (Adam.beta1.check(beta, f"{type(self).__name__}: betas") for beta in betas)

    def _step(self, rows: Rows) -> None:
        by_step: dict[int, list[str]] = {}  # parameters that joined later are at an earlier step
        for key in rows.names():
            memory = self.state[key]
            memory["step"] = step = memory.get("step", 0) + 1
            by_step.setdefault(step, []).append(key)
        for step, keys in by_step.items():
            rows.adam(
                step,
                self.lr,
                self.beta1,
                self.beta2,
                self.eps,
                self.weight_decay,
                decoupled=self.decoupled,
                keys=keys,
            )


class AdamW(Adam):
    """`Adam` whose weight decay acts on the weights and not through the averages.

    Before each step of Adam, ``p *= 1 - lr * weight_decay``.

    Parameters
    ----------
    lr, betas, eps
        As `Adam`.
    weight_decay : float
        Share of each weight, times ``lr``, that a step takes away.

    Notes
    -----
    Source: Loshchilov and Hutter, *Decoupled weight decay regularization*, 2019, algorithm 2.
    """

    decoupled: ClassVar[bool] = True

    def __init__(
        self,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay)
