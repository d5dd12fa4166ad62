"""Chapter 8: where DeepConvNet errs, and how many bits its weights need."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnn_core import plots
from cnn_core.book.deep_convnet import DeepConvNet
from cnn_core.book.experiments.convnets import DEEP
from cnn_core.book.experiments.experiment import Claim, Experiment, Outcome, Run, columns
from cnn_core.book.experiments.figures import COLORS, picture, tidy
from cnn_core.book.network import Network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 20
# The notebook's first errors as (label, answer), and the accuracies in half precision, with the weights that
# came with the book in 2016.
_PUBLISHED_PAIRS = ((6, 0), (3, 5), (3, 5), (8, 3), (7, 3))
_PUBLISHED_ACCURACY = 0.9935
_WEIGHTS = "deep_convnet_params.pkl"


def misclassified(run: Run) -> Outcome:
    """The test images that DeepConvNet takes for another digit."""
    network = DEEP.trained(run)
    answers = _answers(network, run)
    wrong = np.flatnonzero(answers != run.images.t_test)
    figures = {"": _gallery(run, wrong[:_SHOWN], answers, f"The first of {len(wrong)} misclassified digits")}
    second = _second_guess(network, run, wrong)
    claims = [Claim("for most of them the second guess is right", [second > 0.5])]
    notes = ["Above each image stands its label, and what the network took it for."]
    book = _network_of_book(run)
    if book is not None:
        theirs = _answers(book, run)
        first = np.flatnonzero(theirs != run.images.t_test)[:_SHOWN]
        pairs = [(int(run.images.t_test[i]), int(theirs[i])) for i in first[: len(_PUBLISHED_PAIRS)]]
        claims.append(
            Claim(
                "with the book's weights, the first errors are those of its notebook",
                [pairs == list(_PUBLISHED_PAIRS)],
            )
        )
        figures["book"] = _gallery(run, first, theirs, "With the weights of the book")
    rows = [(i, run.images.t_test[i], answers[i]) for i in wrong]
    ours = f"{len(wrong)} of {len(answers):,} wrong; the second guess is right for {second:.0%} of them"
    return Outcome(ours, claims, figures, {"": columns(("image", "label", "answer"), rows)}, notes)


def half_float(run: Run) -> Outcome:
    """The accuracy of DeepConvNet with weights in 64, 32 and 16 bits."""
    network = DEEP.trained(run)
    ours = _by_precision(network, run)
    rows = [("trained here", *row) for row in ours]
    claims = [Claim("16 bits change the accuracy by at most 0.0005", [_change(ours) <= 0.0005])]
    book = _network_of_book(run)
    if book is not None:
        theirs = _by_precision(book, run)
        rows += [("of the book", *row) for row in theirs]
        claims.append(
            Claim(
                f"with the book's weights, {_PUBLISHED_ACCURACY} in 64 and in 16 bits",
                [theirs[0][2] == theirs[-1][2] == _PUBLISHED_ACCURACY],
            )
        )
    figure = _bars(ours)
    text = " -> ".join(f"{accuracy:.4f}" for _, _, accuracy in (ours[0], ours[-1]))
    note = (
        "The book rounds weights to 16 bits inside 64-bit arrays. Here they are stored in 16 bits, a quarter "
        "of the memory, and layers compute in the 32 bits of the images."
    )
    data = {"": columns(("weights", "precision", "bytes", "accuracy"), rows)}
    return Outcome(text, claims, {"": figure}, data, [note])


def _answers(network: Network, run: Run) -> np.ndarray:
    x = run.images.x_test
    return np.concatenate([network.predict(x[i : i + 100]) for i in range(0, len(x), 100)]).argmax(axis=1)


def _second_guess(network: Network, run: Run, wrong: np.ndarray) -> float:
    """The share of the images ``wrong`` whose label has the second highest score."""
    if not len(wrong):
        return 1.0
    scores = network.predict(run.images.x_test[wrong])
    return float(np.mean(np.argsort(scores, axis=1)[:, -2] == run.images.t_test[wrong]))


def _network_of_book(run: Run) -> Network | None:
    """DeepConvNet with the weights that came with the book, where they are at hand and fit."""
    if run.weights_of_book is None or not run.on_mnist or not (run.weights_of_book / _WEIGHTS).is_file():
        return None
    network = DeepConvNet()
    network.load_params(run.weights_of_book / _WEIGHTS)
    return network


def _by_precision(network: Network, run: Run) -> list[tuple[str, int, float]]:
    """Type, bytes of the parameters and test accuracy, from 64 to 16 bits."""
    found = []
    for dtype in (np.float64, np.float32, np.float16):
        network.astype(dtype)
        nbytes = sum(value.nbytes for value in network.params.values())
        found.append((np.dtype(dtype).name, nbytes, network.accuracy(run.images.x_test, run.images.t_test)))
    return found


def _change(rows: Sequence[tuple[str, int, float]]) -> float:
    return round(abs(rows[0][2] - rows[-1][2]), 6)


def _gallery(run: Run, indices: np.ndarray, answers: np.ndarray, title: str) -> "Figure":
    figure = plots.new_figure(7.5, 6.6, title)
    panels = figure.subplots(4, 5).ravel()
    for panel, i in zip(panels, indices, strict=False):
        picture(panel, run.images.x_test[i, 0])
        panel.set_title(f"{run.images.t_test[i]}, taken for {answers[i]}", fontsize=9)
    for panel in panels[len(indices) :]:
        panel.set_axis_off()
    return figure


def _bars(rows: Sequence[tuple[str, int, float]]) -> "Figure":
    figure = plots.new_figure(7.5, 2.9, "DeepConvNet by the precision of its weights")
    left, right = figure.subplots(1, 2, sharey=True)
    names = [name for name, _, _ in rows]
    for panel, values, label, text in (
        (left, [nbytes / 1000 for _, nbytes, _ in rows], "weights (kB)", "{:,.0f}"),
        (right, [100 * (1 - accuracy) for _, _, accuracy in rows], "test images wrong (%)", "{:.2f}"),
    ):
        panel.barh(names, values, color=COLORS[: len(rows)], height=0.55)
        for place, value in enumerate(values):
            panel.text(value, place, "  " + text.format(value), va="center", fontsize=9)
        tidy(panel, label)
        panel.grid(visible=False)
        panel.set_xlim(0, 1.2 * max(*values, 1e-9))
    left.invert_yaxis()
    return figure


EXPERIMENTS = (
    Experiment(
        "misclassified",
        "8.1.1",
        "Digits that DeepConvNet misreads",
        "first errors 6→0, 3→5, 3→5, 8→3, 7→3",
        misclassified,
    ),
    Experiment("half-float", "8.3.4", "Weights in half precision", "0.9935 -> 0.9935", half_float),
)
