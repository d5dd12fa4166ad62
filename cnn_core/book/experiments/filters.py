"""Section 7.6: what a convolution has learned to see."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core import functional, plots
from cnn_core.book.experiments.convnets import SIMPLE
from cnn_core.book.experiments.experiment import Claim, Experiment, Outcome, Run, columns
from cnn_core.book.experiments.figures import picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 15  # filters applied to the picture
_WIDTH = 160  # of the picture, in pixels


def filters(run: Run) -> Outcome:
    """The first filters of SimpleConvNet before and after training, and what they make of a picture."""
    before = SIMPLE.fresh(run).params["W1"]
    after = SIMPLE.trained(run).params["W1"]
    smooth = {name: float(np.median(_smoothness(w))) for name, w in (("before", before), ("after", after))}
    image, source = _portrait(run)
    order = np.argsort(-np.linalg.norm(after[:, 0], axis=(1, 2)))[:_SHOWN]
    figures = {"": _both(before, after), "applied": _applied(image, after[order])}
    claims = [
        Claim("before, neighbouring weights have nothing in common", [abs(smooth["before"]) < 0.3]),
        Claim(
            "after, they are alike: filters for edges and blobs", [smooth["after"] > smooth["before"] + 0.2]
        ),
    ]
    ours = f"correlation of neighbouring weights {smooth['before']:.2f} before, {smooth['after']:.2f} after"
    rows = [
        (name, filter_, row, column, value)
        for name, w in (("before", before), ("after", after))
        for (filter_, row, column), value in np.ndenumerate(w[:, 0])
    ]
    data = {"": columns(("weights", "filter", "row", "column", "value"), rows)}
    note = f"The second picture shows {source}, and the answers of the {len(order)} strongest filters to it."
    return Outcome(ours, claims, figures, data, [note])


def _smoothness(weights: np.ndarray) -> np.ndarray:
    """The correlation of horizontal and vertical neighbours in each filter (F, 1, KH, KW)."""
    w = weights[:, 0]
    right = (w[:, :, :-1].reshape(len(w), -1), w[:, :, 1:].reshape(len(w), -1))
    down = (w[:, :-1].reshape(len(w), -1), w[:, 1:].reshape(len(w), -1))
    first, second = (np.concatenate(pair, axis=1) for pair in zip(right, down, strict=True))
    first, second = (part - part.mean(axis=1, keepdims=True) for part in (first, second))
    return (first * second).sum(axis=1) / (np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1))


def _both(before: np.ndarray, after: np.ndarray) -> "Figure":
    figure = plots.new_figure(10.5, 4.6, "The filters of the first layer, each on its own scale")
    sides: Any = figure.subfigures(1, 2, wspace=0.04)
    for side, (title, weights) in zip(sides, (("before training", before), ("after", after)), strict=True):
        side.suptitle(title, fontsize=10)
        for panel, w in zip(side.subplots(5, 6).ravel(), weights[:, 0], strict=True):
            picture(panel, w, float(np.abs(w).max()))
    return figure


def _applied(image: np.ndarray, weights: np.ndarray) -> "Figure":
    figure = plots.new_figure(
        9, 2.3 * 4 * image.shape[0] / image.shape[1] + 0.5, "Filters applied to a picture"
    )
    panels = figure.subplots(4, 4).ravel()
    panels[0].imshow(image, cmap="gray", vmin=0, vmax=1)
    panels[0].set_axis_off()
    answers = functional.conv2d(image[None, None].astype(np.float32), weights.astype(np.float32))[0]
    for panel, w, answer in zip(panels[1:], weights[:, 0], answers, strict=True):
        limit = float(np.percentile(np.abs(answer - answer.mean()), 99.5))
        panel.imshow(answer - answer.mean(), cmap="RdBu_r", vmin=-limit, vmax=limit)
        panel.set_axis_off()
        inset = panel.inset_axes((0.0, 0.78, 0.22, 0.22))
        picture(inset, w, float(np.abs(w).max()))
    return figure


def _portrait(run: Run) -> tuple[np.ndarray, str]:
    """A grey picture (H, W) in 0 ... 1, and what it shows.

    Matplotlib comes with a photograph of the US Navy in the public domain; without it, a digit has to do.
    """
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    if not path.is_file():
        return np.kron(run.images.x_test[0, 0], np.ones((4, 4))), "a digit, enlarged"
    from matplotlib.image import imread

    photo = imread(path)[..., :3].mean(axis=2) / 255
    step = max(photo.shape[1] // _WIDTH, 1)
    height, width = (size // step * step for size in photo.shape)
    small = photo[:height, :width].reshape(height // step, step, width // step, step).mean(axis=(1, 3))
    return small, "Rear Admiral Grace Hopper (photograph: James S. Davis, US Navy, public domain)"


EXPERIMENTS = (
    Experiment("filters", "7.6", "What the filters of SimpleConvNet have learned", "pictures", filters),
)
