"""Optimizer steps over dicts of arrays: everything is checked, then one kernel call changes all parameters.

Not public: `cnn_core.optim` and the kernels stand on its two sides.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cnn_core._checks import REAL
from cnn_core._kernels import update as kernel
from cnn_core._threads import get_num_threads

State = dict[str, dict[str, Any]]
Row = tuple[np.ndarray, ...]


class Rows:
    """The arrays of one step, ready for a kernel: for each name (parameter, gradient, state arrays...).

    State that a parameter does not have yet is made, of zeros, and entered into ``state`` when all is
    checked.

    Parameters
    ----------
    params, grads : dict of arrays
        Gradients without a parameter are not looked at.
    state : dict of dicts
        The optimizer's memory of each parameter.
    slots : names of the state arrays
    name : str
        The optimizer's, for messages.

    Raises
    ------
    TypeError, ValueError
        If a gradient is missing or does not fit its parameter, or a parameter cannot be written; nothing is
        changed then.
    """

    def __init__(
        self,
        params: Mapping[str, np.ndarray],
        grads: Mapping[str, np.ndarray],
        state: State,
        slots: tuple[str, ...],
        name: str,
    ) -> None:
        self._rows: dict[str, Row] = {}
        self._copies: list[tuple[np.ndarray, np.ndarray]] = []
        new_state: State = {}
        for key, p in params.items():
            g = grads.get(key)
            if g is None:
                raise ValueError(
                    f"{name}: parameter {key!r} has no gradient: grads has {', '.join(map(repr, grads))}"
                )
            # one quick test for arrays as layers have them, the long way for all others
            if not (
                type(p) is type(g) is np.ndarray
                and p.dtype is g.dtype
                and p.dtype in REAL
                and p.shape == g.shape
                and p.flags.carray
                and (flags := g.flags).c_contiguous
                and flags.aligned
            ):
                p, g = self._made_plain(p, g, f"{name}: parameter {key!r}")
            slot_arrays = state.get(key)
            if slot_arrays is None:
                slot_arrays = new_state[key] = {slot: np.zeros(p.shape, p.dtype) for slot in slots}
            row = (p, g, *[slot_arrays[slot] for slot in slots])
            for array in row[2:]:
                if array.shape != p.shape or array.dtype != p.dtype:
                    raise ValueError(
                        f"{name}: parameter {key!r} is {p.dtype} of shape {p.shape}, the optimizer's state "
                        f"for it {array.dtype} of shape {array.shape}: it is from another model"
                    )
            self._rows[key] = row
        if slots:
            state.update(new_state)

    def _made_plain(self, p: Any, g: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Contiguous, native arrays; a copy of ``p`` is written back by `finish`."""
        for array, role in ((p, name), (g, f"{name}: its gradient")):
            if not isinstance(array, np.ndarray):
                raise TypeError(f"{role}: expects a numpy array, got {type(array).__name__}")
            if array.dtype.newbyteorder("=") not in REAL:
                raise TypeError(f"{role}: expects float32 or float64, got {array.dtype}")
        if p.dtype.newbyteorder("=") != g.dtype.newbyteorder("="):
            raise TypeError(f"{name} is {p.dtype}, its gradient {g.dtype}: they must be the same")
        if p.shape != g.shape:
            raise ValueError(f"{name} has shape {p.shape}, its gradient {g.shape}: they must be the same")
        if not p.flags.writeable:
            raise ValueError(f"{name} is read-only: it cannot be updated in place")
        dtype = p.dtype.newbyteorder("=")
        plain = np.require(p, dtype, ["C_CONTIGUOUS", "ALIGNED"])
        if plain is not p:
            self._copies.append((p, plain))
        return plain, np.require(g, dtype, ["C_CONTIGUOUS", "ALIGNED"])

    def names(self) -> Iterable[str]:
        """The parameters' names."""
        return self._rows.keys()

    def _of(self, keys: Iterable[str] | None) -> list[Row]:
        return list(self._rows.values()) if keys is None else [self._rows[key] for key in keys]

    def finish(self) -> None:
        """Write parameters that had to be copied back to where they came from."""
        for p, plain in self._copies:
            p[...] = plain

    def sgd(self, lr: float, weight_decay: float) -> None:
        """``p -= lr * (g + weight_decay * p)``."""
        kernel.sgd(self._of(None), lr, weight_decay, get_num_threads())

    def momentum(self, lr: float, momentum: float, nesterov: bool, weight_decay: float) -> None:
        """torch's form: ``v = momentum * v + g;  p -= lr * v``, or ``p -= lr * (g + momentum * v)``."""
        kernel.momentum(self._of(None), lr, momentum, nesterov, weight_decay, get_num_threads())

    def velocity(self, lr: float, momentum: float, nesterov: bool, weight_decay: float) -> None:
        """The book's form: ``v = momentum * v - lr * g;  p += v``; it differs once ``lr`` changes."""
        kernel.velocity(self._of(None), lr, momentum, nesterov, weight_decay, get_num_threads())

    def adagrad(self, lr: float, eps: float, weight_decay: float) -> None:
        """``h += g^2;  p -= lr * g / (sqrt(h) + eps)``."""
        kernel.adagrad(self._of(None), lr, eps, weight_decay, get_num_threads())

    def rmsprop(self, lr: float, alpha: float, eps: float, weight_decay: float) -> None:
        """``h = alpha * h + (1 - alpha) * g^2;  p -= lr * g / (sqrt(h) + eps)``."""
        kernel.rmsprop(self._of(None), lr, alpha, eps, weight_decay, get_num_threads())

    def adam(
        self,
        step: int,
        lr: float,
        beta1: float,
        beta2: float,
        eps: float,
        weight_decay: float,
        *,
        decoupled: bool = False,
        eps_hat: bool = False,
        keys: Iterable[str] | None = None,
    ) -> None:
        """Adam's step number ``step`` (from 1), of the parameters ``keys``.

        ``lr * m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + eps)`` is computed as
        ``rate * m / (sqrt(v) + e)`` with ``e = eps * sqrt(1 - beta2^step)``. With ``eps_hat``, ``e = eps`` as
        in the book and in the last lines of section 2 of Kingma and Ba's paper.
        """
        root = (1 - beta2**step) ** 0.5
        rate = lr * root / (1 - beta1**step)
        small = eps if eps_hat else eps * root
        decay = lr * weight_decay if decoupled else weight_decay
        kernel.adam(self._of(keys), rate, beta1, beta2, small, decay, decoupled, get_num_threads())
