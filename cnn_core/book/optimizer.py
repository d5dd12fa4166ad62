"""The optimizers of the book (``common/optimizer.py``, section 6.1).

All share ``update(params, grads)``: every entry of the dict ``params`` is moved by the entry of the same
name in ``grads``. Arrays are changed in place; a plain number is replaced in the dict, as the plots of
section 6.1 need.

The formulas are the book's, which put the small constant of AdaGrad, RMSprop and Adam outside the root;
:mod:`cnn_core.optim` has torch's. What an optimizer remembers of an entry (v, h, m) starts at zero when the
entry is first seen.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np

from cnn_core._checks import real_number
from cnn_core.book._arrays import Array
from cnn_core.functional._update import Rows, State

__all__ = ["SGD", "AdaGrad", "Adam", "Momentum", "Nesterov", "RMSprop", "np"]

EPS = 1e-7


class _Optimizer:
    """Brings parameters and gradients into the form that the kernels take."""

    _slots: tuple[str, ...] = ()  # the names of what is remembered of each parameter

    def __init__(self, lr: float) -> None:
        self.lr = real_number(lr, f"{type(self).__name__}: lr", at_least=0)
        self._state: State = {}
        self._turned: set[str] = set()

    def update(self, params: MutableMapping[str, Any], grads: Mapping[str, Any]) -> None:
        """Move every parameter by one step.

        Parameters
        ----------
        params : dict of arrays (float32 or float64) or plain numbers
        grads : dict of the same names; other names are not looked at

        Raises
        ------
        TypeError, ValueError
            If a gradient is missing or does not fit its parameter; nothing is changed then.
        """
        numbers = {
            key: np.array([p], np.float64) for key, p in params.items() if not isinstance(p, np.ndarray)
        }
        arrays = {**params, **numbers}
        gradients = {}
        for key in arrays.keys() & grads.keys():
            gradient = np.asarray(grads[key], arrays[key].dtype)
            gradients[key] = gradient.reshape(1) if key in numbers else gradient
        self._turn(arrays, gradients)
        rows = Rows(arrays, gradients, self._state, self._slots, type(self).__name__)
        self._step(rows)
        rows.finish()
        for key, array in numbers.items():
            params[key] = float(array[0])

    def _turn(self, arrays: dict[str, Any], gradients: dict[str, Array]) -> None:
        """Turn what lies in Fortran's order, as the weights of affine layers do, to where it is contiguous.

        Each number is moved by itself, wherever it stands in its array; but what is remembered of an array
        must be turned when the array is.
        """
        for key, gradient in gradients.items():
            turned = arrays[key].flags.fnc and arrays[key].shape == gradient.shape
            if turned:
                arrays[key], gradients[key] = arrays[key].T, gradient.T
            if turned != (key in self._turned):
                self._turned ^= {key}
                memory = self._state.get(key, {})
                memory.update({slot: np.ascontiguousarray(array.T) for slot, array in memory.items()})

    def _step(self, rows: Rows) -> None:
        raise NotImplementedError

    def _fraction(self, name: str, value: float) -> float:
        return real_number(value, f"{type(self).__name__}: {name}", at_least=0, below=1)


class SGD(_Optimizer):
    """``p -= lr * g`` (section 6.1.2)."""

    def __init__(self, lr: float = 0.01) -> None:
        super().__init__(lr)

    def _step(self, rows: Rows) -> None:
        rows.sgd(self.lr, 0.0)


class Momentum(_Optimizer):
    """``v = momentum * v - lr * g;  p += v`` (section 6.1.4)."""

    _slots = ("v",)

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__(lr)
        self.momentum = self._fraction("momentum", momentum)

    def _step(self, rows: Rows) -> None:
        rows.velocity(self.lr, self.momentum, False, 0.0)


class Nesterov(_Optimizer):
    """``p += momentum**2 * v - (1 + momentum) * lr * g;  v = momentum * v - lr * g`` (arXiv:1212.0901)."""

    _slots = ("v",)

    def __init__(self, lr: float = 0.01, momentum: float = 0.9) -> None:
        super().__init__(lr)
        self.momentum = self._fraction("momentum", momentum)

    def _step(self, rows: Rows) -> None:
        rows.velocity(self.lr, self.momentum, True, 0.0)


class AdaGrad(_Optimizer):
    """``h += g**2;  p -= lr * g / (sqrt(h) + 1e-7)`` (section 6.1.5)."""

    _slots = ("h",)

    def __init__(self, lr: float = 0.01) -> None:
        super().__init__(lr)

    def _step(self, rows: Rows) -> None:
        rows.adagrad(self.lr, EPS, 0.0)


class RMSprop(_Optimizer):
    """``h = decay_rate * h + (1 - decay_rate) * g**2;  p -= lr * g / (sqrt(h) + 1e-7)``."""

    _slots = ("h",)

    def __init__(self, lr: float = 0.01, decay_rate: float = 0.99) -> None:
        super().__init__(lr)
        self.decay_rate = self._fraction("decay_rate", decay_rate)

    def _step(self, rows: Rows) -> None:
        rows.rmsprop(self.lr, self.decay_rate, EPS, 0.0)


class Adam(_Optimizer):
    """``p -= lr_t * m / (sqrt(v) + 1e-7)`` with running means m of g and v of g**2 (section 6.1.6).

    ``m = beta1 * m + (1 - beta1) * g``, ``v = beta2 * v + (1 - beta2) * g**2`` and, in step t,
    ``lr_t = lr * sqrt(1 - beta2**t) / (1 - beta1**t)``. The constant is the "epsilon hat" of arXiv:1412.6980,
    section 2: it is added before the bias correction, not after it as torch does.
    """

    _slots = ("m", "v")

    def __init__(self, lr: float = 0.001, beta1: float = 0.9, beta2: float = 0.999) -> None:
        super().__init__(lr)
        self.beta1, self.beta2 = self._fraction("beta1", beta1), self._fraction("beta2", beta2)
        self.iter = 0

    def _step(self, rows: Rows) -> None:
        self.iter += 1
        rows.adam(self.iter, self.lr, self.beta1, self.beta2, EPS, 0.0, eps_hat=True)
