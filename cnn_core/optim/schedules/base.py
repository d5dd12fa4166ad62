"""What all schedules share: the call and the state."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from cnn_core._checks import integer


@dataclass
class Schedule:
    """The base of all schedules: subclasses are dataclasses that define ``rate(step)``."""

    def __call__(self, step: int) -> float:
        """Return the learning rate of update number ``step``, counted from 0."""
        return self.rate(integer(step, "step", at_least=0))

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
