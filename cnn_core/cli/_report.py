"""What the commands say about a trained network, in words and in pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cnn_core import plots
from cnn_core.cli._run import RunConfig
from cnn_core.data import Arrays
from cnn_core.layers import Sequential
from cnn_core.losses import CrossEntropyLoss
from cnn_core.optim import SGD
from cnn_core.training import History, Trainer


def measure(model: Sequential, test: Arrays, batch_size: int = 256) -> dict[str, Any]:
    """What ``Trainer.evaluate`` says about a network; the loss is the plain cross-entropy."""
    classes = model.output_shape(test.x.shape)[1]
    trainer = Trainer(model, CrossEntropyLoss(), SGD(lr=0.0))
    return trainer.evaluate(test, batch_size, top_k=min(5, classes))


def result(metrics: Mapping[str, Any]) -> str:
    """One line about the outcome of `measure`."""
    matrix = metrics["confusion_matrix"]
    total = int(matrix.sum())
    wrong = total - int(np.trace(matrix))
    return (
        f"test accuracy {percent(metrics['accuracy'])} ({wrong:,} of {total:,} images wrong), "
        f"loss {metrics['loss']:.4f}"
    )


def class_table(matrix: np.ndarray, class_names: tuple[str, ...]) -> str:
    """For each class: how many images, how many of them right, and what the others were taken for."""
    rows = [("class", "images", "right", "mostly taken for")]
    for true, name in enumerate(class_names):
        images, right = int(matrix[true].sum()), int(matrix[true, true])
        mistakes = sorted(
            ((int(n), class_names[i]) for i, n in enumerate(matrix[true]) if n and i != true),
            key=lambda mistake: -mistake[0],
        )
        others = ", ".join(f"{other} ({n})" for n, other in mistakes[:3])
        rows.append((name, f"{images:,}", percent(right / images) if images else "-", others))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        f"{name:{widths[0]}}  {images:>{widths[1]}}  {right:>{widths[2]}}  {others}".rstrip()
        for name, images, right, others in rows
    )


def percent(share: float) -> str:
    """0.98765 as 98.77 %."""
    return f"{100 * share:.2f} %"


def draw_pictures(
    folder: Path, history: History, model: Sequential, config: RunConfig, metrics: Mapping[str, Any]
) -> None:
    """Draw curves, filters and confusion matrix into a folder.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    title = f"{config.model} network, {config.dataset} data"
    watched = "validation images" if config.settings.validation else "test images"
    plots.save(plots.plot_history(history, title=title, validation_label=watched), folder / "curves.png")
    filters = plots.first_filters(model, config.input_shape)
    if filters is not None:
        plots.save(plots.plot_filters(filters, title=f"{title}: first layer"), folder / "filters.png")
    draw_confusion(metrics, config.model, config.dataset, config.class_names, folder / "confusion.png")


def draw_confusion(
    metrics: Mapping[str, Any], model: str, dataset: str, class_names: tuple[str, ...], path: Path
) -> None:
    """Draw the confusion matrix that `measure` gave.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If it does not know the format that the path's suffix asks for.
    """
    title = f"{model} network, {dataset} data: {percent(metrics['accuracy'])} right"
    plots.save(plots.plot_confusion_matrix(metrics["confusion_matrix"], class_names, title=title), path)
