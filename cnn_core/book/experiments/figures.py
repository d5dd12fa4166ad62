"""How the pictures of the experiments look."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core.plots import keep_useful_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#1f5fa8", "#c23b22", "#3a7d44", "#e08e0b", "#7b4fa3", "#5b5b5b")
TRAIN, TEST = COLORS[5], COLORS[0]


def tidy(panel: "Axes", x_label: str = "", y_label: str = "", title: str = "") -> None:
    """Label the axes, and leave only the lines that help to read values."""
    panel.set_xlabel(x_label)
    panel.set_ylabel(y_label)
    if title:
        panel.set_title(title, fontsize=10)
    keep_useful_lines(panel)
    panel.set_axisbelow(True)


def curve(panel: "Axes", x: Sequence[float] | np.ndarray, runs: Any, color: str, **options: Any) -> None:
    """Draw the mean of several runs (runs, points) over x, and their range as a shade."""
    runs = np.atleast_2d(np.asarray(runs, float))
    panel.plot(x, runs.mean(axis=0), color=color, **options)
    if len(runs) > 1:
        panel.fill_between(x, runs.min(axis=0), runs.max(axis=0), color=color, alpha=0.15, linewidth=0)


def picture(panel: "Axes", image: np.ndarray, limit: float | None = None) -> None:
    """Draw a grey image, or with a ``limit`` values around zero: blue below, white zero, red above."""
    if limit is None:
        panel.imshow(image, cmap="gray_r", interpolation="nearest")
    else:
        panel.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_color("#bbbbbb")
    panel.spines[:].set_linewidth(0.6)
