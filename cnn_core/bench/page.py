"""Results as one HTML page that needs nothing else: tables, and the roofline picture as SVG."""

import contextlib
import itertools
import math
from html import escape

from cnn_core.bench.points import Chart, Place, chart_of
from cnn_core.bench.report import cells_of, comparison, describe_machine, plural
from cnn_core.bench.results import Results

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #222; margin: 2em auto; max-width: 90em;
  padding: 0 1em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: .2em .7em; text-align: right; border-bottom: 1px solid #e5e5e5; white-space: nowrap; }
th:nth-child(2), td:nth-child(2) { text-align: left; }
th { position: sticky; top: 0; background: #fff; cursor: pointer; }
tr:hover td { background: #f3f6fa; }
svg { max-width: 60em; width: 100%; height: auto; }
svg text { font: 11px system-ui, sans-serif; fill: #333; }
svg circle { fill: #1f5fa8; fill-opacity: .75; }
svg circle:hover { fill: #c23b22; }
pre { background: #f7f7f7; padding: .8em 1em; overflow-x: auto; }
"""

# Sorts a table by the column whose head is clicked, by the numbers in the cells' data.
_SCRIPT = """
document.querySelectorAll("th").forEach(head => head.addEventListener("click", () => {
  const body = head.closest("table").tBodies[0], column = head.cellIndex;
  const key = row => row.cells[column].dataset.key ?? row.cells[column].textContent;
  const rows = [...body.rows].sort((a, b) => {
    const x = parseFloat(key(a)), y = parseFloat(key(b));
    return isNaN(x) || isNaN(y) ? key(a).localeCompare(key(b)) : x - y;
  });
  if (head.dataset.up = head.dataset.up === "1" ? "" : "1") rows.reverse();
  body.append(...rows);
}));
"""


def html(results: Results) -> str:
    """The page."""
    parts = []
    for threads in results.threads:
        parts.append(f"<h2>{plural(threads, 'thread')}</h2>")
        if results.rooflines:
            with contextlib.suppress(ValueError):  # without operations, there is nothing to show
                parts.append(_svg(chart_of(results, threads)))
        parts.append(_table(results, threads))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{escape(results.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(results.title)}</h1>\n<pre>{escape(describe_machine(results))}</pre>\n"
        + "\n".join(parts)
        + f"\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _table(results: Results, threads: int) -> str:
    rows = [row for row in results.rows if row.threads == threads]
    head, cells = cells_of(results, rows)
    heads = "".join(f"<th>{escape(text)}</th>" for text in ("#", *head))
    lines = [
        f"<tr><td>{number}</td>" + "".join(_cell(text) for text in line) + "</tr>"
        for number, line in enumerate(cells, 1)
    ]
    sentences = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in comparison(rows))
    body = "\n".join(lines)
    return f"{sentences}<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _cell(text: str) -> str:
    """A cell; a time also carries its seconds, to sort by."""
    words = text.rstrip(",").split()
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    for number, unit in itertools.pairwise(words):
        if unit.rstrip(",") in units:
            key = float(number) * units[unit.rstrip(",")]
            return f'<td data-key="{key:.3e}">{escape(text)}</td>'
    key_text = text.replace(",", "")
    return f'<td data-key="{escape(key_text)}">{escape(text)}</td>'


_WIDTH, _HEIGHT, _MARGIN = 900, 520, 60


def _svg(chart: Chart) -> str:
    """The roofs and the points, on logarithmic axes; a point says what it is when it is pointed at."""

    def x(value: float) -> float:
        return _along(value, chart.left, chart.right, _MARGIN, _WIDTH - 20)

    def y(value: float) -> float:
        return _along(value, chart.bottom, chart.top, _HEIGHT - 45, 15)

    def line(start: Place, end: Place, color: str) -> str:
        (x1, y1), (x2, y2) = start, end
        return (f'<line x1="{x(x1):.1f}" y1="{y(y1):.1f}" x2="{x(x2):.1f}" y2="{y(y2):.1f}" '
                f'stroke="{color}"/>')  # fmt: skip

    def text(place: Place, words: str, offset: Place = (4, -4)) -> str:
        left, top = x(place[0]) + offset[0], y(place[1]) + offset[1]
        return f'<text x="{left:.1f}" y="{top:.1f}">{escape(words)}</text>'

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="roofline">']
    for tick in _decades(chart.left, chart.right):
        parts.append(line((tick, chart.bottom), (tick, chart.top), "#e5e5e5"))
        parts.append(text((tick, chart.bottom), f"{tick:g}", (-8, 16)))
    for tick in _decades(chart.bottom, chart.top):
        parts.append(line((chart.left, tick), (chart.right, tick), "#e5e5e5"))
        parts.append(text((chart.left, tick), f"{tick:g}", (-42, 4)))
    for name, ends in chart.slopes:
        parts += [line(*ends, "#7f7f7f"), text(ends[0], name)]
    parts.append(line((chart.left, chart.compute), (chart.right, chart.compute), "#333333"))
    parts.append(text((chart.left, chart.compute), f"{chart.compute:.0f} GFLOP/s"))
    for point in chart.points:
        place = (point.intensity, point.rate)
        about = f"{point.number} {point.name}: {point.rate:.1f} GFLOP/s, {point.percent:.0f} % of attainable"
        parts.append(
            f'<circle cx="{x(place[0]):.1f}" cy="{y(place[1]):.1f}" r="4">'
            f"<title>{escape(about)}</title></circle>"
        )
        parts.append(text(place, str(point.number), (5, 3)))
    parts.append(f'<text x="{_WIDTH / 2 - 90}" y="{_HEIGHT - 8}">operations per compulsory byte</text>')
    parts.append(f'<text transform="translate(14 {_HEIGHT / 2 + 25}) rotate(-90)">GFLOP/s</text>')
    return "\n".join([*parts, "</svg>"])


def _along(value: float, low: float, high: float, start: float, end: float) -> float:
    """Where a value lies between two pixels, on a logarithmic axis."""
    return start + (end - start) * math.log(value / low) / math.log(high / low)


def _decades(low: float, high: float) -> list[float]:
    return [10.0**n for n in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
