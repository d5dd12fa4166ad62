"""Pictures of a training: curves, learned filters, confusion matrix.

They need matplotlib, an optional dependency: ``pip install 'cnn_core[plot]'``. Figures are made without
pyplot, so no window ever opens and no global state changes; show them in a notebook or `save` them.
"""

import io
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cnn_core.layers import Sequential
    from cnn_core.training import History

TRAIN_COLOR, VALIDATION_COLOR = "#7f7f7f", "#1f5fa8"
_MOST_FILTERS = 100


def plot_history(
    history: "History", *, title: str = "", validation_label: str = "validation images"
) -> "Figure":
    """Draw loss and accuracy over the epochs, side by side.

    Training batches are measured as they are trained on, with augmentation and dropout, and may look worse
    than images that are not.

    Parameters
    ----------
    history : History
        Of `cnn_core.training.Trainer`, with at least one epoch.
    title : str
    validation_label : str
        What the validation columns were measured on.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the history is empty.
    """
    if not len(history):
        raise ValueError("history: has no epochs to draw")
    has_accuracy = history["train_acc"][0] is not None
    figure = new_figure(9.0 if has_accuracy else 4.6, 3.6, title)
    panels = figure.subplots(1, 2 if has_accuracy else 1, squeeze=False, gridspec_kw={"wspace": 0.08})[0]
    _curves(panels[0], history, "loss", "loss", validation_label)
    panels[0].legend(frameon=False)
    if has_accuracy:
        _curves(panels[1], history, "acc", "accuracy (%)", validation_label)
    return figure


def first_filters(model: "Sequential", input_shape: Sequence[int]) -> np.ndarray | None:
    """Return the weights of the first layer as pictures (F, C, KH, KW), or None if they are not pictures.

    The first layer with parameters counts if it is a convolution over 1 or 3 channels, or a linear layer over
    all pixels of images of ``input_shape`` (C, H, W).
    """
    weights = next((array for name, array in model.params.items() if name.endswith("weight")), None)
    if weights is not None and weights.ndim == 2 and weights.shape[1] == math.prod(input_shape):
        weights = weights.reshape(-1, *input_shape)
    if weights is None or weights.ndim != 4 or weights.shape[1] not in (1, 3) or weights[0, 0].size < 2:
        return None
    return weights


def plot_filters(weights: np.ndarray, *, title: str = "") -> "Figure":
    """Draw filters in a grid, all on one scale.

    With one channel, blue is negative, white zero and red positive; with three, the channels are red, green
    and blue, and mid-grey is zero. Of more than 100 filters the first 100 are drawn.

    Parameters
    ----------
    weights : ndarray, shape (F, 1, KH, KW) or (F, 3, KH, KW)
    title : str

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the weights have another shape.
    """
    weights = np.asarray(weights)
    if weights.ndim != 4 or weights.shape[1] not in (1, 3) or weights.size == 0:
        raise ValueError(f"weights: expects (F, 1, KH, KW) or (F, 3, KH, KW), got shape {weights.shape}")
    weights = weights[:_MOST_FILTERS]
    rows, columns = _grid(len(weights))
    height, width = weights.shape[2:]
    figure = new_figure(0.62 * columns + 1.0, 0.62 * rows * height / width + 0.5, title)
    panel = figure.subplots()
    limit = float(np.abs(weights).max()) or 1.0
    for i, picture in enumerate(weights):
        row, column = divmod(i, columns)
        left, top = 1.15 * width * column, 1.15 * height * row
        place = (left, left + width, top + height, top)
        if len(picture) == 1:
            image = panel.imshow(picture[0], cmap="RdBu_r", vmin=-limit, vmax=limit, extent=place)
        else:
            image = panel.imshow(np.moveaxis(picture, 0, -1) / (2 * limit) + 0.5, extent=place)
    panel.set_xlim(0, 1.15 * width * columns - 0.15 * width)
    panel.set_ylim(1.15 * height * rows - 0.15 * height, 0)
    panel.set_axis_off()
    if weights.shape[1] == 1:
        figure.colorbar(image, ax=panel, label="weight", fraction=0.05, pad=0.02)
    return figure


def plot_confusion_matrix(matrix: Any, class_names: Sequence[str], *, title: str = "") -> "Figure":
    """Draw how often each class was taken for which, as numbers in a table; shades say shares of a row.

    Parameters
    ----------
    matrix : array-like of int, shape (C, C)
        True x predicted classes, as from `cnn_core.training.confusion_matrix`.
    class_names : sequence of str
    title : str

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the matrix is not square or does not fit the names.
    """
    matrix = np.asarray(matrix)
    classes = len(class_names)
    if matrix.shape != (classes, classes) or not classes:
        raise ValueError(f"matrix: expects {(classes, classes)} for {classes} classes, got {matrix.shape}")
    size = 0.48 * classes + 1.6
    figure = new_figure(size, size, title)
    panel = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    panel.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)  # roots, to make single mistakes visible
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            color = "white" if shares[row, column] > 0.4 else "black"
            panel.text(column, row, f"{count}", ha="center", va="center", color=color, fontsize=9)
    panel.set_xticks(range(classes), class_names)
    panel.set_yticks(range(classes), class_names)
    if max(map(len, class_names)) > 3:
        panel.tick_params(axis="x", rotation=45)
        for label in panel.get_xticklabels():
            label.set(horizontalalignment="right", rotation_mode="anchor")
    panel.set_xlabel("predicted class")
    panel.set_ylabel("true class")
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    return figure


def save(figure: "Figure", path: str | os.PathLike[str]) -> None:
    """Write a figure to a file, whole or not at all; the suffix chooses the format (.png, .pdf, .svg ...).

    Raises
    ------
    ValueError
        If matplotlib does not know the format.
    """
    content = io.BytesIO()
    figure.savefig(content, format=Path(path).suffix.removeprefix(".") or "png", dpi=150)
    write_atomically(path, content.getvalue())


def new_figure(width: float, height: float, title: str) -> "Figure":
    """Return an empty figure of so many inches.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("matplotlib is needed to draw: pip install 'cnn_core[plot]'") from error
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def keep_useful_lines(panel: "Axes") -> None:
    """Leave of frame and grid only the lines that help to read values."""
    panel.grid(axis="y", color="#e5e5e5", linewidth=0.8)
    panel.spines[["top", "right"]].set_visible(False)


def _curves(panel: "Axes", history: "History", column: str, axis_label: str, validation_label: str) -> None:
    """The curves of training and validation."""
    from matplotlib.ticker import MaxNLocator

    epochs = history["epoch"]
    curves = []
    for part, color, label in (
        ("train", TRAIN_COLOR, "training batches"),
        ("val", VALIDATION_COLOR, validation_label),
    ):
        values = [math.nan if value is None else value for value in history[f"{part}_{column}"]]
        if not np.isnan(values).all():
            curves.append(np.array(values) * (100 if column == "acc" else 1))
            marker = "o" if len(epochs) <= 40 else ""
            panel.plot(epochs, curves[-1], color=color, label=label, marker=marker, markersize=3.5)
    if column == "acc":
        _zoom_to_percent(panel, curves)
    else:
        _choose_loss_scale(panel, curves)
    margin = max(0.5, 0.03 * len(epochs))
    panel.set_xlim(epochs[0] - margin, epochs[-1] + margin)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, steps=(1, 2, 5, 10), min_n_ticks=1))
    panel.set_xlabel("epoch")
    panel.set_ylabel(axis_label)
    keep_useful_lines(panel)


def _zoom_to_percent(panel: "Axes", curves: Sequence[np.ndarray]) -> None:
    """Let the axis of accuracies begin where the steep rise of the first fifth has ended."""
    lowest = min(np.nanmin(curve[len(curve) // 5 :]) for curve in curves)
    margin = 0.06 * (100 - lowest) + 0.05
    panel.set_ylim(max(0, lowest - margin), 100 + margin / 3)


def _choose_loss_scale(panel: "Axes", curves: Sequence[np.ndarray]) -> None:
    """Make the axis logarithmic if losses of different size are to be seen."""
    from matplotlib.ticker import LogLocator, NullLocator

    lowest, highest = np.nanmin(curves), np.nanmax(curves)
    if 0 < 4 * lowest < highest < math.inf:
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_locator(NullLocator())


def _grid(count: int) -> tuple[int, int]:
    """Rows and columns for so many pictures: a little wider than high, with few places left empty."""

    def cost(columns: int) -> float:
        rows = math.ceil(count / columns)
        return abs(math.log(columns / rows / 1.25)) + (rows * columns - count) / columns

    columns = min(range(1, count + 1), key=cost)
    return math.ceil(count / columns), columns
