"""Pictures of a search; they need matplotlib, as those of `cnn_core.plots`, whose ``save`` writes them."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core._checks import integer, one_of
from cnn_core.plots import TRAIN_COLOR, VALIDATION_COLOR, keep_useful_lines, new_figure
from cnn_core.search.result import SearchResult, TrialResult, short
from cnn_core.search.rounds import NarrowingResult
from cnn_core.search.space import Choice, LogUniform, Parameter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NARROWED = "#c03020"
_COLUMNS = 5


def plot_trials(result: SearchResult, count: int = 20, *, title: str = "") -> "Figure":
    """Draw the curves of the best trials, five in a row: validation data solid, training data dashed.

    Parameters
    ----------
    result : SearchResult
    count : int
        How many trials at most, the best ones first.
    title : str

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If no trial has reported a curve.

    Notes
    -----
    The figure of *Deep Learning from Scratch*, section 6.5.3.
    """
    trials = [trial for trial in result.trials if trial.steps][: integer(count, "count", at_least=1)]
    if not trials:
        raise ValueError("result: no trial has a curve to draw; report one, as with trial.callback()")
    rows = math.ceil(len(trials) / _COLUMNS)
    figure = new_figure(2.0 * _COLUMNS, 1.75 * rows + 0.4, title)
    panels = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False).flat
    for i, trial in enumerate(trials):
        _curves(panels[i], trial)
        rank = f"{i + 1}: {short(trial.value)}" if trial.state == "complete" else f"{i + 1}: {trial.state}"
        panels[i].set_title(f"{rank}\n{_pairs(trial)}", fontsize=7)
    for panel in panels[len(trials) :]:
        panel.set_axis_off()
    _limit(panels[0], trials)
    panels[0].legend(frameon=False, fontsize=7)
    figure.supxlabel("step", fontsize=9)
    return figure


def plot_space(
    result: SearchResult | NarrowingResult,
    x: str | None = None,
    y: str | None = None,
    *,
    keep: int | None = None,
    title: str = "",
) -> "Figure":
    """Draw the trials over two parameters, coloured by their value, and the ranges they were narrowed to.

    Pruned trials are open circles, failed ones crosses. A frame marks the space of each further round, a
    dashed one where the last round's best trials lie.

    Parameters
    ----------
    result : SearchResult or NarrowingResult
    x, y : str, optional
        Names of parameters: by default the first two. Of a space with one, ``y`` is the value.
    keep : int, optional
        How many trials are the best; see `SearchResult.narrowed`.
    title : str

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If a name is unknown, both are the same, or no trial is complete.
    """
    rounds = result.rounds if isinstance(result, NarrowingResult) else (result,)
    space = rounds[0].space
    names = list(space)
    x = one_of(x or names[0], "x", names)
    others = [name for name in names if name != x]
    y = one_of(y, "y", others) if y else (others[0] if others else None)
    complete = [trial for part in rounds for trial in part.complete]
    if not complete:
        raise ValueError("result: no trial is complete")
    figure = new_figure(6.4, 4.8, title)
    panel = figure.subplots()
    points = panel.scatter(
        [_place(space[x], trial.params[x]) for trial in complete],
        [_height(space, y, trial) for trial in complete],
        c=np.array([trial.value for trial in complete], dtype=float),
        cmap="viridis" if rounds[0].direction == "maximize" else "viridis_r",
        s=22,
        zorder=3,
    )
    figure.colorbar(points, ax=panel, label="value")
    styles: dict[str, dict[str, Any]] = {
        "pruned": {"marker": "o", "facecolors": "none", "edgecolors": TRAIN_COLOR},
        "failed": {"marker": "x", "c": TRAIN_COLOR},
    }
    for state, style in styles.items():
        rest = [trial for part in rounds for trial in part if trial.state == state]
        rest = [trial for trial in rest if y or trial.value is not None]
        panel.scatter(
            [_place(space[x], trial.params[x]) for trial in rest],
            [_height(space, y, trial) for trial in rest],
            s=18,
            linewidths=0.8,
            **style,
        )
    for part in rounds[1:]:
        _frame(panel, part.space, x, y, "-")
    if len(rounds[-1].complete) > 1:
        _frame(panel, rounds[-1].narrowed(keep), x, y, "--")
    _axis(panel, "x", space[x], x)
    if y is None:
        panel.set_ylabel("value")
    else:
        _axis(panel, "y", space[y], y)
    return figure


def _curves(panel: "Axes", trial: TrialResult) -> None:
    marker = "o" if len(trial.steps) == 1 else ""
    panel.plot(trial.steps, trial.curve, color=VALIDATION_COLOR, marker=marker, label="validation")
    if not np.isnan(trial.train_curve).all():
        panel.plot(
            trial.steps, trial.train_curve, color=TRAIN_COLOR, marker=marker, linestyle="--", label="training"
        )
    panel.tick_params(labelsize=7)
    keep_useful_lines(panel)


def _limit(panel: "Axes", trials: list[TrialResult]) -> None:
    """Let axes of accuracies run from 0 to 1, so that the curves of several searches compare."""
    values = np.concatenate([(*trial.curve, *trial.train_curve) for trial in trials])
    values = values[~np.isnan(values)]
    if values.min() >= 0 and values.max() <= 1:
        panel.set_ylim(0, 1)


def _pairs(trial: TrialResult) -> str:
    return "\n".join(f"{name} {short(value)}" for name, value in trial.params.items())


def _place(parameter: Parameter, value: Any) -> float:
    """Where a value is on its axis: an option at its position."""
    return parameter.options.index(value) if isinstance(parameter, Choice) else value


def _height(space: dict[str, Parameter], y: str | None, trial: TrialResult) -> float:
    if y is None:
        assert trial.value is not None
        return trial.value
    return _place(space[y], trial.params[y])


def _axis(panel: "Axes", which: str, parameter: Parameter, name: str) -> None:
    axis = panel.xaxis if which == "x" else panel.yaxis
    axis.set_label_text(name)
    if isinstance(parameter, LogUniform):
        panel.set(**{f"{which}scale": "log"})
    elif isinstance(parameter, Choice):
        axis.set_ticks(range(len(parameter.options)), labels=list(map(str, parameter.options)))


def _frame(panel: "Axes", space: dict[str, Parameter], x: str, y: str | None, style: str) -> None:
    """Mark a range of numbers on each axis that has one."""
    left, right = _span(space[x])
    if y is None:
        if left < right:
            panel.axvspan(left, right, fill=False, edgecolor=_NARROWED, linestyle=style)
        return
    bottom, top = _span(space[y])
    panel.fill(
        [left, right, right, left],
        [bottom, bottom, top, top],
        fill=False,
        edgecolor=_NARROWED,
        linestyle=style,
        linewidth=1.1,
        zorder=2,
    )


def _span(parameter: Parameter) -> tuple[float, float]:
    if isinstance(parameter, Choice):
        return -0.4, len(parameter.options) - 0.6
    low, high = vars(parameter)["low"], vars(parameter)["high"]
    return low, high
