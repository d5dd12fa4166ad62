"""The roofline picture, drawn by matplotlib: ``pip install 'cnn_core[plot]'``."""

from typing import TYPE_CHECKING

from cnn_core import plots
from cnn_core.bench.points import Chart, chart_of
from cnn_core.bench.report import plural
from cnn_core.bench.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# More rows than this are numbered, and named in the margin.
_MOST_NAMES = 12


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
    columns = -(-longest // 56) if longest > _MOST_NAMES else 0
    figure = plots.new_figure(9.0 + 4.2 * columns, 5.6 * len(charts), results.title)
    for i, chart in enumerate(charts):
        _draw(figure.add_subplot(len(charts), 1, i + 1), chart)
    return figure


def _draw(panel: "Axes", chart: Chart) -> None:
    for name, ends in chart.slopes:
        panel.plot(*zip(*ends, strict=True), color="#7f7f7f", linewidth=1)
        panel.annotate(name, ends[0], xytext=(2, 3), textcoords="offset points", fontsize=8, color="#555555")
    panel.axhline(chart.compute, color="#333333", linewidth=1.2)
    label = f"{chart.compute:.0f} GFLOP/s"
    panel.annotate(label, (chart.left, chart.compute), xytext=(2, 3), textcoords="offset points", fontsize=8)
    few = len(chart.points) <= _MOST_NAMES
    for point in chart.points:
        panel.plot(point.intensity, point.rate, "o", color="#1f5fa8", markersize=4, alpha=0.8)
        text = point.name if few else str(point.number)
        place = (point.intensity, point.rate)
        panel.annotate(text, place, xytext=(4, 3), textcoords="offset points", fontsize=7 if few else 6)
    if not few:
        names = [f"{point.number}  {point.name}" for point in chart.points]
        for column in range(0, len(names), 56):
            where = 1.02 + 0.45 * (column // 56)
            shown = "\n".join(names[column : column + 56])
            panel.text(where, 1.0, shown, transform=panel.transAxes, fontsize=5.5, va="top")
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlim(chart.left, chart.right)
    panel.set_ylim(chart.bottom, chart.top)
    panel.set_xlabel("operations per compulsory byte (FLOP/byte)")
    panel.set_ylabel("GFLOP/s")
    panel.set_title(plural(chart.threads, "thread"), fontsize=10)
    panel.grid(which="major", color="#e5e5e5", linewidth=0.8)
    panel.spines[["top", "right"]].set_visible(False)
