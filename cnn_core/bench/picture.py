"""The roofline picture, drawn by matplotlib: ``pip install 'cnn_core[plot]'``."""

from typing import TYPE_CHECKING

from cnn_core import plots
from cnn_core.bench.points import Chart, chart_of
from cnn_core.bench.report import plural
from cnn_core.bench.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More rows than this are numbered, and named beside the picture, so many below each other.
_MOST_NAMES = 12
_NAMES_IN_COLUMN = 60


def plot_roofline(results: Results) -> "Figure":
    """Draw the roofs and a labelled dot for each row, one panel per number of threads.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the results have no roofline, or no row with operations.
    """
    charts = [chart_of(results, threads) for threads in results.threads]
    longest = max(len(chart.points) for chart in charts)
    columns = -(-longest // _NAMES_IN_COLUMN) if longest > _MOST_NAMES else 0
    widths = [9.0] + [2.8] * columns
    figure = plots.new_figure(sum(widths), 5.8 * len(charts), results.title)
    panels = figure.subplots(len(charts), len(widths), squeeze=False, gridspec_kw={"width_ratios": widths})
    for (panel, *margins), chart in zip(panels, charts, strict=True):
        _draw(panel, chart, with_names=not columns)
        for i, margin in enumerate(margins):
            margin.set_axis_off()
            points = chart.points[i * _NAMES_IN_COLUMN : (i + 1) * _NAMES_IN_COLUMN]
            names = "\n".join(f"{point.number}  {point.name}" for point in points)
            text = margin.text(0, 1, names, transform=margin.transAxes, fontsize=4.8, va="top")
            text.set_in_layout(False)
    return figure


def _draw(panel: "Axes", chart: Chart, with_names: bool) -> None:
    for name, ends in chart.slopes:
        panel.plot(*zip(*ends, strict=True), color="#7f7f7f", linewidth=1)
        panel.annotate(name, ends[0], xytext=(2, 3), textcoords="offset points", fontsize=8, color="#555555")
    panel.axhline(chart.compute, color="#333333", linewidth=1.2)
    label = f"{chart.compute:.0f} GFLOP/s"
    panel.annotate(label, (chart.left, chart.compute), xytext=(2, 3), textcoords="offset points", fontsize=8)
    for point in chart.points:
        place = (point.intensity, point.rate)
        panel.plot(*place, "o", color="#1f5fa8", markersize=4, alpha=0.8)
        text, size = (point.name, 7) if with_names else (str(point.number), 6)
        panel.annotate(text, place, xytext=(4, 3), textcoords="offset points", fontsize=size)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlim(chart.left, chart.right)
    panel.set_ylim(chart.bottom, chart.top)
    panel.set_xlabel("operations per compulsory byte (FLOP/byte)")
    panel.set_ylabel("GFLOP/s")
    panel.set_title(plural(chart.threads, "thread"), fontsize=10)
    panel.grid(which="major", color="#e5e5e5", linewidth=0.8)
    panel.spines[["top", "right"]].set_visible(False)
