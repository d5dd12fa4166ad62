"""Results as text: aligned tables for the terminal."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnn_core.bench.measure import Timing
from cnn_core.bench.results import OURS, Results, Row, libraries
from cnn_core.bench.roofline import Roofline

if TYPE_CHECKING:
    from cnn_core.bench.profiler import LayerProfile, Profile

Cells = Sequence[str]


def table(head: Cells, rows: Sequence[Cells], text_columns: int = 1) -> str:
    """Columns as wide as they need; text to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells: Cells) -> str:
        padded = [
            cell.ljust(width) if i < text_columns else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([line(head), rule, *map(line, rows)])


def text(results: Results) -> str:
    """Everything that ``cnn-core bench`` prints."""
    parts = [describe_machine(results)]
    for threads in results.threads:
        rows = [row for row in results.rows if row.threads == threads]
        head, cells = cells_of(results, rows)
        title = f"{results.title}, {plural(threads, 'thread')}"
        parts.append(f"{title}\n\n{table(head, cells)}")
        parts += comparison(rows)
    return "\n\n".join(parts)


def describe_machine(results: Results) -> str:
    """The machine and its roofs, in a few lines."""
    machine = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine.get("peers", {}).items())
    lines = [
        f"{machine.get('cpu')}, {plural(int(machine.get('cpus', 1)), 'CPU')}, "
        f"{machine.get('isa_level')} kernels",
        f"cnn_core {machine.get('cnn_core')}, numpy {machine.get('numpy')}, Python {machine.get('python')}"
        + (f", {versions}" if versions else ""),
    ]
    lines += [describe_roofline(roofline) for roofline in results.rooflines.values()]
    return "\n".join(lines)


def describe_roofline(roofline: Roofline) -> str:
    """The roofs in one line."""
    levels = ", ".join(f"{level.name} {level.bandwidth / 1e9:.1f} GB/s" for level in roofline.levels)
    threads = plural(roofline.threads, "thread")
    return f"roofs with {threads}: {roofline.compute / 1e9:.1f} GFLOP/s; copying in {levels}"


def cells_of(results: Results, rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Head and cells of the table of rows at one number of threads."""
    peers = list(dict.fromkeys(library for row in rows for library in libraries(row)))
    nets = results.suite == "nets"
    roofs = bool(results.rooflines) and not nets
    head = [results.suite, OURS, "+-"]
    head += ["images/s", "GFLOP/s"] if nets else ["MFLOP", "MB"]
    head += ["attainable", "achieved", "%"] if roofs else [] if nets else ["achieved"]
    for peer in peers:
        head += [peer, f"{peer}/ours"]
    cells = []
    for row in rows:
        line = [row.name, seconds(row.ours.median), spread(row.ours)]
        if nets:
            line += [f"{row.images / row.ours.median:,.0f}", f"{row.operations / row.ours.median / 1e9:.1f}"]
        elif row.cost is not None:
            line += [f"{row.cost.flops / 1e6:,.2f}", f"{row.cost.nbytes / 1e6:,.2f}"]
        if roofs:
            roofline = results.rooflines[row.threads]
            floor, percent = row.floor(roofline), row.percent(roofline)
            line += [rate(row, floor), rate(row, row.ours.median), f"{percent:.0f}" if percent else "-"]
        elif not nets:
            line.append(rate(row, row.ours.median))
        for peer in peers:
            line += [variants(row, peer), ratio(row.ratio(peer))]
        cells.append(line)
    return head, cells


def comparison(rows: Sequence[Row]) -> list[str]:
    """For each peer one line on all rows."""
    lines = []
    for peer in dict.fromkeys(library for row in rows for library in libraries(row)):
        ratios = [value for row in rows if (value := row.ratio(peer)) is not None]
        faster = sum(value > 1 for value in ratios)
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        lines.append(
            f"{peer}: slower than ours in {faster} of {plural(len(ratios), 'row')}; its time is ours times "
            f"{mean:.2f} (geometric mean), {min(ratios):.2f} to {max(ratios):.2f}"
        )
    return lines


def seconds(value: float) -> str:
    """A time with three digits and its unit."""
    for factor, unit in ((1, "s"), (1e3, "ms")):
        if value * factor >= 1:
            return f"{_three_digits(value * factor)} {unit}"
    return f"{_three_digits(value * 1e6)} us"


def spread(timing: Timing) -> str:
    """Half the distance of the quartiles in percent of the median."""
    return f"{100 * timing.spread:.0f}%"


def rate(row: Row, duration: float | None) -> str:
    """Operations per second; bytes per second where there are no operations."""
    if row.cost is None or not any(row.cost) or not duration:
        return "-"
    if row.cost.flops:
        return f"{_three_digits(row.cost.flops / duration / 1e9)} GFLOP/s"
    return f"{_three_digits(row.cost.nbytes / duration / 1e9)} GB/s"


def variants(row: Row, library: str) -> str:
    """The times of a library's contenders, fastest first."""
    own = sorted(
        (timing.median, name.partition(" ")[2])
        for name, timing in row.times.items()
        if name.partition(" ")[0] == library
    )
    return ", ".join(f"{variant} {seconds(median)}".strip() for median, variant in own) or "-"


def ratio(value: float | None) -> str:
    """Peer to ours."""
    return "-" if value is None else f"{value:.2f}"


def plural(count: int, noun: str) -> str:
    """``1 thread``, ``2 threads``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _three_digits(value: float) -> str:
    return f"{value:.{max(0, 2 - max(0, math.floor(math.log10(value)) if value > 0 else 0))}f}"


def profile_table(profile: "Profile") -> str:
    """What printing a profile shows."""
    roofline = profile.roofline
    trained = profile.backward is not None
    head = ["", "layer", "output shape", "forward", *(["backward"] if trained else []), "share"]
    head += ["MFLOP", "MB", "GFLOP/s", *(["%"] if roofline else [])]
    rows = [_profile_cells(profile, row, trained) for row in profile.rows]
    backward = [seconds(profile.backward.median)] if profile.backward else []
    rest = [""] * (len(head) - 5 - len(backward))
    rows.append(["", "whole passes", "", seconds(profile.forward.median), *backward, "100.0%", *rest])
    title = f"{profile.title}, input {profile.input_shape}, {plural(profile.threads, 'thread')}"
    if roofline:
        title += f"\n{describe_roofline(roofline)}"
    return f"{title}\n\n{table(head, rows, text_columns=3)}"


def _profile_cells(profile: "Profile", row: "LayerProfile", trained: bool) -> list[str]:
    cost = row.forward_cost + row.backward_cost
    cells = [row.name, row.kind, str(row.output_shape), seconds(row.forward.median)]
    if trained:
        cells.append(seconds(row.backward.median) if row.backward else "-")
    cells += [
        f"{100 * profile.share(row):.1f}%",
        f"{cost.flops / 1e6:,.2f}",
        f"{cost.nbytes / 1e6:,.2f}",
        f"{cost.flops / row.seconds / 1e9:.1f}" if cost.flops else "-",
    ]
    if profile.roofline:
        floor = profile.roofline.floor(*row.forward_cost) + profile.roofline.floor(*row.backward_cost)
        cells.append(f"{100 * floor / row.seconds:.0f}" if floor else "-")
    return cells
