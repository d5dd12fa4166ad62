"""Two results of the same benchmark: what became faster, what slower, and what is noise."""

from dataclasses import dataclass

from cnn_core.bench.report import plural, seconds, table
from cnn_core.bench.results import Results, Row

Key = tuple[str, int]

DEFAULT_TOLERANCE = 0.05


@dataclass(frozen=True)
class Change:
    """A row that is in both results.

    Attributes
    ----------
    name : str
    threads : int
    before, after : float
        Seconds; where both results have a roofline, seconds per attainable second, so that the machine's
        speed on the day cancels.
    seconds : (float, float)
        The times, before and after.
    percent : (float, float) or None
        Achieved in percent of attainable.
    verdict : "slower", "faster" or "same"
    """

    name: str
    threads: int
    before: float
    after: float
    seconds: tuple[float, float]
    percent: tuple[float, float] | None
    verdict: str


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Attributes
    ----------
    changes : tuple of Change
        Of every row that both have.
    only_before, only_after : tuple of (name, threads)
    warnings : tuple of str
        In what the two runs differ that makes them hard to compare.
    """

    changes: tuple[Change, ...]
    only_before: tuple[Key, ...]
    only_after: tuple[Key, ...]
    warnings: tuple[str, ...]

    @property
    def is_worse(self) -> bool:
        """Whether some row became slower."""
        return any(change.verdict == "slower" for change in self.changes)


def compare(before: Results, after: Results, tolerance: float = DEFAULT_TOLERANCE) -> Comparison:
    """Compare two runs row by row.

    A row is slower if its lower quartile now is above the upper quartile then by more than the share
    ``tolerance``; faster the other way round.

    Raises
    ------
    ValueError
        If the results are of different benchmarks, or have no row in common.
    """
    if before.suite != after.suite:
        raise ValueError(f"the results are of different benchmarks: {before.suite} and {after.suite}")
    old = {(row.name, row.threads): row for row in before.rows}
    new = {(row.name, row.threads): row for row in after.rows}
    common = [key for key in old if key in new]
    if not common:
        raise ValueError("the results have no row in common")
    return Comparison(
        tuple(_change(before, after, old[key], new[key], tolerance) for key in common),
        tuple(key for key in old if key not in new),
        tuple(key for key in new if key not in old),
        tuple(_warnings(before, after)),
    )


def _change(before: Results, after: Results, old: Row, new: Row, tolerance: float) -> Change:
    floors = old.floor(before.rooflines.get(old.threads)), new.floor(after.rooflines.get(new.threads))
    percent = None
    scale = (1.0, 1.0)
    if floors[0] and floors[1]:
        scale = 1 / floors[0], 1 / floors[1]
        percent = 100 * floors[0] / old.ours.median, 100 * floors[1] / new.ours.median
    verdict = "same"
    if new.ours.low * scale[1] > old.ours.high * scale[0] * (1 + tolerance):
        verdict = "slower"
    elif new.ours.high * scale[1] * (1 + tolerance) < old.ours.low * scale[0]:
        verdict = "faster"
    medians = old.ours.median, new.ours.median
    return Change(
        old.name, old.threads, medians[0] * scale[0], medians[1] * scale[1], medians, percent, verdict
    )


def _warnings(before: Results, after: Results) -> list[str]:
    texts = {"cpu": "CPUs", "isa_level": "instruction sets", "cpus": "numbers of CPUs"}
    found = [
        f"the runs were on different {text}: {before.machine.get(key)} and {after.machine.get(key)}"
        for key, text in texts.items()
        if before.machine.get(key) != after.machine.get(key)
    ]
    if bool(before.rooflines) != bool(after.rooflines):
        found.append("only one of the runs has a roofline: times are compared")
    return found


def text(comparison: Comparison) -> str:
    """The rows that changed, worst first, and how many did not."""
    changed = [change for change in comparison.changes if change.verdict != "same"]
    changed.sort(key=lambda change: change.before / change.after)
    lines = [f"warning: {warning}" for warning in comparison.warnings]
    if changed:
        head = ["row", "threads", "before", "after", "% before", "% after", "speed", ""]
        lines.append(table(head, [_cells(change) for change in changed]))
    slower = sum(change.verdict == "slower" for change in changed)
    same = len(comparison.changes) - len(changed)
    lines.append(f"{slower} slower, {len(changed) - slower} faster, {same} the same within noise")
    for keys, where in ((comparison.only_before, "first"), (comparison.only_after, "second")):
        if keys:
            lines.append(f"only in the {where}: {plural(len(keys), 'row')}, such as {keys[0][0]}")
    return "\n".join(lines)


def _cells(change: Change) -> list[str]:
    percents = ["-", "-"] if change.percent is None else [f"{value:.1f}" for value in change.percent]
    times = [seconds(value) for value in change.seconds]
    return [
        change.name,
        str(change.threads),
        *times,
        *percents,
        f"x{change.before / change.after:.2f}",
        change.verdict,
    ]
