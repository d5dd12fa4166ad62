"""Where a function stands beside what the machine allows. Told, never judged: no test may fail on a clock."""

from collections.abc import Callable
from functools import cache
from typing import Any

from cnn_core import _threads
from cnn_core.testing.cases import arrays_of
from cnn_core.testing.subject import Subject


def position_of(subject: Subject, flops: Callable[..., float] | None) -> str:
    """Time the largest case in float32, and say how near it comes to the roofline.

    Bytes are those of the inputs and outputs; operations are what ``flops`` says for the arguments.
    """
    from cnn_core.bench.measure import QUICK, Contender, take_turns
    from cnn_core.bench.report import plural, seconds

    situations = [s for s in subject.situations() if s.dtype == "float32"]
    largest = max(situations, key=lambda s: sum(x.nbytes for x in arrays_of(subject.arguments(s))))
    args, kwargs = subject.arguments(largest)
    timing = take_turns([Contender("ours", lambda: subject.fn(*args, **kwargs))], QUICK)["ours"]
    threads = _threads.get_num_threads()
    nbytes = sum(x.nbytes for x in (*arrays_of((args, kwargs)), *subject.plain(largest)))
    operations = flops(*args, **kwargs) if flops is not None else 0
    text = f"{largest}: {seconds(timing.median)} with {plural(threads, 'thread')}"
    if not timing.median or not (nbytes or operations):
        return text
    roofline = _roofline(threads)
    if roofline.floor(operations, nbytes) > timing.median:  # the machine was disturbed when it was measured
        _roofline.cache_clear()
        roofline = _roofline(threads)
    share = roofline.floor(operations, nbytes) / timing.median
    rates = [f"{nbytes / timing.median / 1e9:.1f} GB/s"]
    if operations:
        rates.append(f"{operations / timing.median / 1e9:.1f} GFLOP/s")
    limit = _limit(roofline, operations, nbytes)
    return f"{text}, {' and '.join(rates)}: {share:.0%} of what {limit} allows"


def _limit(roofline: Any, operations: float, nbytes: float) -> str:
    level = roofline.level(nbytes)
    if operations / roofline.compute > nbytes / level.bandwidth:
        return f"arithmetic at {roofline.compute / 1e9:.0f} GFLOP/s"
    return f"{level.name} at {level.bandwidth / 1e9:.1f} GB/s"


@cache
def _roofline(threads: int) -> Any:
    """The machine's limits, measured once."""
    from cnn_core.bench.roofline import measure_roofline

    return measure_roofline(threads, seconds=0.3)
