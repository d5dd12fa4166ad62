"""What all schedules share: the call, the state, and the checks of numbers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any


def number(name: str, value: float, low: float = 0.0, high: float = math.inf) -> float:
    """``value`` as a float, if it is finite and ``low <= value <= high``."""
    _check_real(name, value)
    if not math.isfinite(value) or not low <= value <= high:
        raise ValueError(f"{name} must be a finite number from {low:g} to {high:g}, got {value!r}")
    return float(value)


def count(name: str, value: int, low: int = 1) -> int:
    """``value`` as an int, if it is a whole number of at least ``low``."""
    _check_real(name, value)
    if not math.isfinite(value) or int(value) != value or value < low:
        raise ValueError(f"{name} must be a whole number of at least {low}, got {value!r}")
    return int(value)


def _check_real(name: str, value: float) -> None:
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")


@dataclass
class Schedule:
    """The base of all schedules: subclasses are dataclasses that define ``rate(step)``."""

    def __call__(self, step: int) -> float:
        """Return the learning rate of update number ``step``, counted from 0."""
        if step < 0:
            raise ValueError(f"step must be at least 0, got {step}")
        return self.rate(step)

    def rate(self, step: int) -> float:
        """Return the learning rate for a ``step`` that is known to be valid."""
        raise NotImplementedError

    def watched(self) -> str | None:
        """Return the column of the history that :meth:`observe` wants to see, if any."""
        return None

    def observe(self, metric: float) -> None:
        """Take note of a metric at the end of an epoch. Pure schedules ignore it."""

    def state_dict(self) -> dict[str, Any]:
        """Return kind, settings and state as numbers, strings, lists and, for a wrapper, a nested dict."""
        return {"kind": type(self).__name__} | {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over settings and state from :meth:`state_dict`.

        Raises
        ------
        ValueError
            The state is of another kind of schedule or has impossible values. Nothing is changed.
        """
        self.__dict__.update(self._restored(state).__dict__)

    def _restored(self, state: Mapping[str, Any]) -> "Schedule":
        """A schedule like this one with another state; constructing it checks every value."""
        kind = type(self).__name__
        if not isinstance(state, Mapping) or state.get("kind") != kind:
            raise ValueError(f"expected the state of a {kind} schedule, got {state!r}")
        expected = self.state_dict()
        if state.keys() != expected.keys():
            raise ValueError(f"the state of a {kind} schedule has {list(expected)}, got {list(state)}")
        arguments = {}
        for f in fields(self):
            inner = getattr(self, f.name)
            value = state[f.name]
            arguments[f.name] = inner._restored(value) if isinstance(inner, Schedule) else value
        try:
            return type(self)(**arguments)
        except TypeError as error:
            raise ValueError(f"the state of a {kind} schedule has a wrong type: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Schedule):
        return value.state_dict()
    return list(value) if isinstance(value, tuple) else value


def cosine(start: float, end: float, share: float) -> float:
    """The point after ``share`` of half a cosine from ``start`` to ``end``."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * share))
