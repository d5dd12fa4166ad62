"""Section 6.4: weight decay and dropout against overfitting on 300 images."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cnn_core import plots
from cnn_core.book.experiments.experiment import Claim, Experiment, Outcome, Run, columns, spread
from cnn_core.book.experiments.figures import TEST, TRAIN, curve, tidy
from cnn_core.book.experiments.training import in_single_precision, train
from cnn_core.book.multi_layer_net import MultiLayerNet
from cnn_core.book.multi_layer_net_extend import MultiLayerNetExtend
from cnn_core.book.network import Network
from cnn_core.book.optimizer import SGD

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_IMAGES, _BATCH = 300, 100
_DECAY, _DROPOUT = 0.1, 0.2
_HIDDEN = [100] * 6
_EVERY = 5  # epochs between two measurements

Make = Callable[[int, int], Network]  # from the number of pixels and the seed


def weight_decay(run: Run) -> Outcome:
    """The same network on 300 images without weight decay and with it."""

    def plain(pixels: int, seed: int) -> Network:
        return MultiLayerNet(pixels, _HIDDEN, 10, rng=seed)

    def decaying(pixels: int, seed: int) -> Network:
        return MultiLayerNet(pixels, _HIDDEN, 10, weight_decay_lambda=_DECAY, rng=seed)

    return _compare(run, run.amount(200, 200), f"weight decay {_DECAY}", plain, decaying)


def dropout(run: Run) -> Outcome:
    """The same network on 300 images without dropout and with it."""

    def plain(pixels: int, seed: int) -> Network:
        return MultiLayerNetExtend(pixels, _HIDDEN, 10, rng=seed)

    def dropping(pixels: int, seed: int) -> Network:
        return MultiLayerNetExtend(pixels, _HIDDEN, 10, use_dropout=True, dropout_ration=_DROPOUT, rng=seed)

    return _compare(run, run.amount(300, 300), f"dropout {_DROPOUT}", plain, dropping)


def _compare(run: Run, epochs: int, name: str, plain: Make, regularised: Make) -> Outcome:
    sides = {
        title: np.array([_accuracies(run, make, title, seed, epochs) for seed in run.seeds])
        for title, make in (("without", plain), (name, regularised))
    }  # each (seeds, points, 2)
    points = range(0, epochs + 1, _EVERY)
    figure = _figure(f"{_IMAGES} images for training: {name} against overfitting", sides, points)
    ends = {title: values[:, -1] for title, values in sides.items()}  # (seeds, 2)
    gaps = {title: end[:, 0] - end[:, 1] for title, end in ends.items()}
    claims = [
        Claim(
            "without, the network learns the training images by heart",
            (ends["without"][:, 0] >= 0.99).tolist(),
        ),
        Claim("with, it does not", (ends[name][:, 0] < ends["without"][:, 0]).tolist()),
        Claim("with, training and test accuracy are closer", (gaps[name] < gaps["without"]).tolist()),
    ]
    rows = [
        (title, run.seeds[i], points[j], *values[i, j])
        for title, values in sides.items()
        for i, j in np.ndindex(values.shape[:2])
    ]
    data = {"": columns(("network", "seed", "epoch", "train", "test"), rows)}
    train_acc, test_acc = ends[name].T.tolist()
    plain_train, plain_test = ends["without"].T.tolist()
    ours = f"train {spread(train_acc)}, test {spread(test_acc)}"
    note = (
        f"Without: train {spread(plain_train)}, test {spread(plain_test)}. The gap between the two shrinks "
        f"from {gaps['without'].mean():.3f} to {gaps[name].mean():.3f}."
    )
    return Outcome(ours, claims, {"": figure}, data, [note])


def _accuracies(run: Run, make: Make, title: str, seed: int, epochs: int) -> np.ndarray:
    """Accuracy on training and test images (points, 2), before training and every few epochs."""
    data = run.rows
    x, t = data.x_train[:_IMAGES], data.t_train[:_IMAGES]
    network = in_single_precision(make(x.shape[1], seed))
    every = _EVERY * len(x) // _BATCH

    def now() -> tuple[float, float]:
        return network.accuracy(x, t, len(x)), network.accuracy(data.x_test, data.t_test, 1000)

    found = [now()]

    def measure(step: int) -> None:
        if (step + 1) % every == 0:
            found.append(now())

    rng = np.random.default_rng([seed, 1])
    steps = run.steps(epochs * len(x) // _BATCH, f"{title}, seed {seed}")
    train(network, SGD(lr=0.01), x, t, steps, _BATCH, rng, measure)
    return np.array(found)


def _figure(title: str, sides: dict[str, np.ndarray], points: range) -> "Figure":
    figure = plots.new_figure(9.5, 3.9, title)
    panels = figure.subplots(1, 2, sharey=True)
    for panel, (name, values) in zip(panels, sides.items(), strict=True):
        curve(panel, points, values[:, :, 0], TRAIN, label="training images", linewidth=1.4)
        curve(panel, points, values[:, :, 1], TEST, label="test images", linewidth=1.4)
        tidy(panel, "epoch", "", name)
        panel.set_ylim(0, 1.02)
    panels[0].set_ylabel("accuracy")
    panels[0].legend(frameon=False, loc="lower right")
    return figure


EXPERIMENTS = (
    Experiment(
        "weight-decay",
        "6.4.2",
        "Weight decay against overfitting",
        "train 0.927, test 0.721",
        weight_decay,
    ),
    Experiment("dropout", "6.4.3", "Dropout against overfitting", "train 0.670, test 0.548", dropout),
)
