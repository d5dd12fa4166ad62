"""Timing: contenders take turns in one process, and what is kept of each is a distribution."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

Clock = Callable[[], float]

# A turn makes as many calls as fill this many seconds, so that reading the clock costs nothing.
_TURN = 1e-3
# A call that takes longer needs no untimed call before it: cold caches are a small part of it.
_LONG = 5e-3
# After a rest: so many seconds of untimed turns, one at least, and then so many in a row that count.
_WAKING = 4e-3
_TURNS_AFTER_REST = 3
_MOST_TURNS = 201

# The CPU time of other threads is told when the system's clock ticks, every 4 to 16 ms: so long is a nap.
_NAP = 0.02
_MOST_NAPS = 10


@dataclass(frozen=True)
class Timing:
    """Seconds per call of one contender.

    Attributes
    ----------
    median, low, high : float
        The median, and the lower and upper quartile, in seconds.
    least : float
        The shortest, in seconds.
    turns : int
        How many were measured.
    """

    median: float
    low: float
    high: float
    least: float
    turns: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Self:
        """Summarise one or more measurements.

        Raises
        ------
        ValueError
            If there is none.
        """
        if not seconds:
            raise ValueError("timing: needs at least one measurement")
        low, median, high = quartiles(seconds)
        return cls(median, low, high, min(seconds), len(seconds))

    @property
    def spread(self) -> float:
        """Half of the distance between the quartiles, as a share of the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The numbers by name."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Take back what `to_dict` gave.

        Raises
        ------
        ValueError
            If it is something else.
        """
        try:
            median, low, high, least = (float(values[name]) for name in ("median", "low", "high", "least"))
            turns = int(values["turns"])
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"timing: expects median, low, high, least and turns, got {values!r}") from None
        if not 0 <= least <= low <= median <= high < math.inf:
            raise ValueError(f"timing: expects 0 <= least <= low <= median <= high, got {values!r}")
        return cls(median, low, high, least, turns)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The three quartiles, by linear interpolation between the sorted values."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high


@dataclass(frozen=True)
class Contender:
    """One way to do the work.

    Parameters
    ----------
    name : str
        Such as ``"ours"`` or ``"torch NHWC"``.
    call : callable without arguments
    """

    name: str
    call: Callable[[], Any]

    @property
    def library(self) -> str:
        """The first word of the name: what the threads belong to."""
        return self.name.partition(" ")[0]


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Parameters
    ----------
    seconds : float
        Per row, for all contenders together.
    least_turns : int
        Of each contender, however long they take.
    """

    seconds: float = 0.5
    least_turns: int = 5


QUICK = Effort(seconds=0.05, least_turns=3)


def take_turns(
    contenders: Sequence[Contender],
    effort: Effort,
    *,
    rest: Callable[[], None] | None = None,
    clock: Clock = time.perf_counter,
) -> dict[str, Timing]:
    """Measure contenders alternately: in each round every one has a turn, in an order that reverses.

    Each is warmed up first. A turn is one untimed call, to fill the caches that the one before used, unless
    calls are long, and as many timed calls as a millisecond holds. The first round is not counted, and all
    contenders have the same number of turns.

    Parameters
    ----------
    contenders : sequence of Contender
        With different names.
    effort : Effort
    rest : callable, optional
        Called before a contender whose predecessor was of another library: `settle`, if libraries have
        several threads. Some milliseconds of untimed turns, to wake the threads, and three that count follow.
    clock : callable
        Returns seconds.

    Returns
    -------
    dict of str to Timing
        By name, seconds per call.
    """
    turns = {}
    for contender in contenders:
        if rest:
            rest()
        turns[contender.name] = _Turn.plan(contender.call, clock)
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    order = list(contenders)
    last = order[-1].library if order else ""
    in_a_row = _TURNS_AFTER_REST if rest else 1
    with no_garbage_collection():
        end = clock() + effort.seconds
        for number in range(_MOST_TURNS + 1):
            if (number - 1) * in_a_row >= effort.least_turns and clock() >= end:
                break
            for contender in order:
                turn = turns[contender.name]
                if rest and contender.library != last:
                    rest()
                    turn.repeat(_WAKING, clock)
                last = contender.library
                spent = [turn.take(clock) for _ in range(in_a_row)]
                if number:
                    seconds[contender.name] += spent
            order.reverse()
    return {name: Timing.of(values) for name, values in seconds.items()}


def settle(cpu_time: Clock = time.process_time, sleep: Callable[[float], None] = time.sleep) -> None:
    """Sleep until the other threads of this process do, but no longer than a fifth of a second.

    The threads of OpenMP (torch) spin for some 10 to 25 ms after their work, those of onnxruntime for 60, on
    CPUs that the next library needs.
    """
    for _ in range(_MOST_NAPS):
        before = cpu_time()
        sleep(_NAP)
        if cpu_time() - before < _NAP / 20:
            return


def fastest(times: Mapping[str, Timing], library: str) -> str | None:
    """The name of the library's contender with the smallest median, None if it has none."""
    names = [name for name in times if name.partition(" ")[0] == library]
    return min(names, key=lambda name: times[name].median, default=None)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Switch Python's cycle collector off, and back on if it was on."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True)
class _Turn:
    """What a contender does when it has its turn."""

    call: Callable[[], Any]
    calls: int
    warm_up: bool

    @classmethod
    def plan(cls, call: Callable[[], Any], clock: Clock) -> Self:
        """Warm up, and see how long a call takes."""
        call()
        start = clock()
        call()
        once = clock() - start
        if once < _TURN:
            start = clock()
            for _ in range(3):
                call()
            once = (clock() - start) / 3
        return cls(call, max(1, math.ceil(_TURN / max(once, 1e-7))), once < _LONG)

    def take(self, clock: Clock) -> float:
        """Seconds per call."""
        call = self.call
        if self.warm_up:
            call()
        start = clock()
        for _ in range(self.calls):
            call()
        return (clock() - start) / self.calls

    def repeat(self, seconds: float, clock: Clock) -> None:
        """Take turns until so many seconds have passed, one at least."""
        end = clock() + seconds
        self.take(clock)
        while clock() < end:
            self.take(clock)
