"""The roofline model: what a machine allows a kernel that does so many operations on so many bytes.

Source: Williams, Waterman and Patterson, *Roofline: an insightful visual performance model for multicore
architectures*, 2009.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from cnn_core.bench.machine import cache_sizes
from cnn_core.bench.threads import using_threads
from cnn_core.functional import _machine

_CHAIN_STEPS = 4096
_SHARD = 1 << 14  # numbers: 64 KiB, below the size at which a C library changes to streaming stores
_MOST_BYTES = 1 << 27  # of an array to copy, however large the last cache is


@dataclass(frozen=True)
class Level:
    """A level of the memory: its name, the bytes of a job that stays in it (None: any), bytes per second."""

    name: str
    holds: int | None
    bandwidth: float


@dataclass(frozen=True)
class Roofline:
    """The limits of a machine at a number of threads.

    Attributes
    ----------
    threads : int
    compute : float
        float32 operations per second; a multiply-add is two.
    levels : tuple of Level
        From the second-level cache to memory. Bandwidth is that of a copy, bytes read plus bytes written.
    """

    threads: int
    compute: float
    levels: tuple[Level, ...]

    def level(self, nbytes: float) -> Level:
        """The level of the memory in which a job of so many bytes stays when it is done again and again."""
        return next(level for level in self.levels if level.holds is None or nbytes <= level.holds)

    def floor(self, flops: float, nbytes: float) -> float:
        """The seconds that a job takes at least: that of its operations or that of its bytes."""
        return max(flops / self.compute, nbytes / self.level(nbytes).bandwidth)

    def attainable(self, flops: float, nbytes: float) -> float:
        """Operations per second at best: ``min(compute, flops / bytes * bandwidth)``."""
        floor = self.floor(flops, nbytes)
        return flops / floor if floor else self.compute

    def to_dict(self) -> dict[str, Any]:
        """The numbers by name."""
        return {**vars(self), "levels": [dict(vars(level)) for level in self.levels]}

    @classmethod
    def from_dict(cls, values: Any) -> Self:
        """Take back what `to_dict` gave.

        Raises
        ------
        ValueError
            If it is something else.
        """
        try:
            levels = tuple(
                Level(str(v["name"]), None if v["holds"] is None else int(v["holds"]), float(v["bandwidth"]))
                for v in values["levels"]
            )
            roofline = cls(int(values["threads"]), float(values["compute"]), levels)
        except (KeyError, TypeError, ValueError):
            raise ValueError(f"roofline: expects threads, compute and levels, got {values!r}") from None
        rates = [roofline.compute, *(level.bandwidth for level in levels)]
        if not levels or levels[-1].holds is not None or not all(0 < rate < math.inf for rate in rates):
            raise ValueError(f"roofline: expects rates above 0 and memory as the last level, got {values!r}")
        return roofline


def measure_roofline(threads: int, seconds: float = 0.5) -> Roofline:
    """Measure this machine with the library's own threads and instruction set, in about so many seconds.

    Rates are the best of several runs: what disturbs can only make slower.
    """
    second, last = cache_sizes()
    with using_threads(threads):
        rows = np.ones((8 * threads, _machine.ROW_NUMBERS), np.float32)
        compute = _best(
            lambda: _machine.multiply_add(rows, 0.999, 0.001, _CHAIN_STEPS),
            2 * rows.size * _CHAIN_STEPS,
            seconds * 0.3,
        )
        levels = [Level("L2", second // 2 * threads, _cached(second // 4, threads, seconds * 0.2))]
        if last > 2 * second * threads:
            levels.append(Level("L3", last // 2, _copied(last // 8, 16, seconds * 0.2)))
        levels.append(Level("memory", None, _copied(min(2 * last, _MOST_BYTES), 1, seconds * 0.3)))
    return Roofline(threads, compute, tuple(levels))


def _cached(nbytes: int, threads: int, seconds: float) -> float:
    """Bytes per second where each thread copies an array of ``nbytes`` of its own, again and again."""
    shard, repeats, shards = nbytes // 4, 64, 4 * threads
    x, y = np.ones(shard * shards, np.float32), np.zeros(shard * shards, np.float32)
    return _best(lambda: _machine.copy(x, y, shard, repeats), 2 * x.nbytes * repeats, seconds)


def _copied(nbytes: int, passes: int, seconds: float) -> float:
    """Bytes per second of passes over one array, which the threads share."""
    x, y = np.ones(nbytes // 4, np.float32), np.zeros(nbytes // 4, np.float32)

    def run() -> None:
        for _ in range(passes):
            _machine.copy(x, y, _SHARD)

    return _best(run, 2 * x.nbytes * passes, seconds)


def _best(call: Callable[[], None], work: float, seconds: float) -> float:
    """Work per second in the quickest of the calls that fit, at least three after a first."""
    call()
    least, calls, end = math.inf, 0, time.perf_counter() + seconds
    while calls < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - start)
        calls += 1
    return work / max(least, 1e-9)
