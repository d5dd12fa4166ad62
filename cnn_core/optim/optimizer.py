"""What optimizers share: checked hyper-parameters, state for each parameter, saving and loading."""

from collections.abc import Mapping
from typing import Any, ClassVar, overload

import numpy as np

from cnn_core._checks import REAL, integer, real_number
from cnn_core.functional._update import Rows, State


class Number:
    """A hyper-parameter: an attribute that only takes finite numbers within bounds.

    ``lr = Number(at_least=0)`` in an optimizer's class makes ``optimizer.lr = -1`` a ValueError, and ``lr`` a
    part of the state that is saved.
    """

    def __init__(self, **bounds: float) -> None:
        self._bounds = bounds

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, optimizer: None, owner: type) -> "Number": ...

    @overload
    def __get__(self, optimizer: "Optimizer", owner: type) -> float: ...

    def __get__(self, optimizer: "Optimizer | None", owner: type) -> "float | Number":
        return self if optimizer is None else optimizer.__dict__[self._name]

    def __set__(self, optimizer: "Optimizer", value: float) -> None:
        optimizer.__dict__[self._name] = self.check(value, f"{type(optimizer).__name__}: {self._name}")

    def check(self, value: Any, name: str) -> float:
        """The value as a float, if it is within bounds."""
        return real_number(value, name, **self._bounds)


class Flag(Number):
    """A hyper-parameter that is on or off."""

    def check(self, value: Any, name: str) -> bool:
        if isinstance(value, (bool, np.bool_)) or (np.ndim(value) == 0 and value in (0, 1)):
            return bool(value)
        raise TypeError(f"{name}: expects True or False, got {value!r}")


class Optimizer:
    """Base of all optimizers: ``update(params, grads)`` moves every parameter by one step, in place.

    A subclass declares its hyper-parameters as `Number`, names its state arrays in ``slots`` and writes
    ``_step``.

    Attributes
    ----------
    lr : float
        Learning rate; assign to it between steps to schedule it.
    weight_decay : float
        L2 coefficient: adds ``weight_decay * p`` to the gradient of each parameter ``p``.
    state : dict
        For each parameter's name, the optimizer's memory of it; made at its first update.
    """

    slots: ClassVar[tuple[str, ...]] = ()
    counts_steps: ClassVar[bool] = False

    lr = Number(at_least=0)
    weight_decay = Number(at_least=0)

    def __init__(self, lr: float, weight_decay: float = 0.0) -> None:
        self.lr = lr
        self.weight_decay = weight_decay
        self.state: State = {}

    def update(self, params: Mapping[str, np.ndarray], grads: Mapping[str, np.ndarray]) -> None:
        """Move every parameter by one step, in place.

        Parameters
        ----------
        params : dict of arrays of float32 or float64
            Changed in place. Arrays may have any strides.
        grads : dict of arrays
            A gradient for each parameter, of its shape and dtype; others are not looked at.

        Raises
        ------
        TypeError, ValueError
            If a gradient is missing or does not fit, or a parameter is read-only; nothing is changed then.
        """
        rows = Rows(params, grads, self.state, self._slots(), type(self).__name__)
        self._step(rows)
        rows.finish()

    def _slots(self) -> tuple[str, ...]:
        """The state arrays that a step needs now."""
        return self.slots

    def _step(self, rows: Rows) -> None:
        raise NotImplementedError(
            f"{type(self).__name__} does not say what a step is: write its method _step"
        )

    @classmethod
    def _numbers(cls) -> dict[str, Number]:
        """The hyper-parameters by name, those of the base class first."""
        return {
            name: value
            for base in reversed(cls.__mro__)
            for name, value in vars(base).items()
            if isinstance(value, Number)
        }

    def state_dict(self) -> dict[str, np.ndarray | int | float]:
        """Everything that the next step depends on, flat: ``{"lr": 0.01, ..., "0.weight.m": array, ...}``.

        Arrays are the optimizer's own, not copies. Loading it makes training go on with the same bits.
        """
        numbers = {name: getattr(self, name) for name in self._numbers()}
        return numbers | {
            f"{key}.{slot}": value for key, memory in self.state.items() for slot, value in memory.items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state_dict` gave; arrays are copied.

        Raises
        ------
        TypeError, ValueError
            If it is not a state of this kind of optimizer; nothing is changed then.
        """
        name = type(self).__name__
        numbers = self._numbers()
        loaded: dict[str, float] = {}
        memory: State = {}
        slots = (*self.slots, *(("step",) if self.counts_steps else ()))
        for key, value in state.items():
            parameter, dot, slot = key.rpartition(".")
            if key in numbers:
                loaded[key] = numbers[key].check(value, f"{name}: {key}")
            elif dot and slot in slots:
                memory.setdefault(parameter, {})[slot] = _state_value(value, slot, f"{name}: {key}")
            else:
                raise ValueError(
                    f"{name}: state {key!r} is unknown: expects {', '.join(numbers)}"
                    + "".join(f", PARAMETER.{slot}" for slot in slots)
                )
        missing = [key for key in numbers if key not in loaded]
        missing += [f"{key}.{slot}" for key, values in memory.items() for slot in slots if slot not in values]
        if missing:
            raise ValueError(f"{name}: the state lacks {', '.join(missing)}")
        for parameter, values in memory.items():
            shapes = {(values[slot].shape, values[slot].dtype) for slot in self.slots}
            if len(shapes) > 1:
                raise ValueError(
                    f"{name}: the state arrays of {parameter!r} differ in shape or dtype: {shapes}"
                )
        self.__dict__.update(loaded)
        self.state = {key: {slot: values[slot] for slot in slots} for key, values in memory.items()}

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name}={getattr(self, name):g}" for name in self._numbers())
        return f"{type(self).__name__}({numbers})"


def _state_value(value: Any, slot: str, name: str) -> Any:
    """A step number, or a copy of a state array."""
    if slot == "step":
        return integer(value, name, at_least=0)
    if not isinstance(value, np.ndarray) or value.dtype.newbyteorder("=") not in REAL:
        kind = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(f"{name}: expects an array of float32 or float64, got {kind}")
    return np.array(value, value.dtype.newbyteorder("="), order="C")
