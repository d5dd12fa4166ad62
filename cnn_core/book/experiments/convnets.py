"""Sections 7.5 and 8.1: SimpleConvNet and DeepConvNet learn MNIST."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnn_core import plots
from cnn_core.bench.report import plural
from cnn_core.book.deep_convnet import DeepConvNet
from cnn_core.book.experiments.experiment import Claim, Experiment, Outcome, Run, columns
from cnn_core.book.experiments.figures import TEST, TRAIN, tidy
from cnn_core.book.experiments.training import in_single_precision, train
from cnn_core.book.network import Network
from cnn_core.book.optimizer import Adam
from cnn_core.book.simple_convnet import SimpleConvNet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BATCH = 100
_TRAIN_IMAGES = 5_000  # on which the accuracy of training is measured
_SEED = 0


@dataclass(frozen=True)
class ConvNet:
    """A network to train: its class, its epochs, and the test accuracy that must be reached."""

    kind: type[SimpleConvNet] | type[DeepConvNet]
    epochs: int
    quick_epochs: int
    reached: float

    def fresh(self, run: Run) -> Network:
        """The network with its initial weights, for the images of the run."""
        channels, height, width = run.data.input_shape
        shape = (channels, height, width)
        if self.kind is SimpleConvNet and height < 12:  # 5x5 filters would leave little of 8x8 images
            conv = {"filter_num": 30, "filter_size": 3, "pad": 0, "stride": 1}
            return in_single_precision(SimpleConvNet(shape, conv, rng=_SEED))
        return in_single_precision(self.kind(shape, rng=_SEED))

    def length(self, run: Run) -> int:
        """How many epochs to train; small data sets bear more."""
        more = 1 if run.on_mnist else 40
        return run.amount(more * self.epochs, more * self.quick_epochs)

    def trained(self, run: Run) -> Network:
        """The network of an earlier training in the run's folder, or one that is trained now."""
        path = self._path(run)
        network = self.fresh(run)
        if path.is_file():
            network.load_params(path)
        else:
            self.learn(run, network)
        return network

    def learn(self, run: Run, network: Network) -> tuple[list[float], np.ndarray]:
        """Train and save; return the loss of each step, and (epochs + 1, 2) accuracies."""
        data = run.images
        x, t = data.x_train[:_TRAIN_IMAGES], data.t_train[:_TRAIN_IMAGES]
        per_epoch = max(len(data.x_train) // _BATCH, 1)

        def now() -> tuple[float, float]:
            return network.accuracy(x, t), network.accuracy(data.x_test, data.t_test)

        found = [now()]

        def after(step: int) -> None:
            if (step + 1) % per_epoch == 0:
                found.append(now())

        steps = run.steps(self.length(run) * per_epoch, self.kind.__name__)
        rng = np.random.default_rng([_SEED, 1])
        rate = self._rate(run, per_epoch)
        losses = train(network, Adam(), data.x_train, data.t_train, steps, _BATCH, rng, after, rate)
        network.save_params(self._path(run))
        return losses, np.array(found)

    def _rate(self, run: Run, per_epoch: int) -> Callable[[int], float]:
        """Adam's rate of 0.001, which falls to 0 over the last quarter of the steps."""
        total = self.length(run) * per_epoch
        return lambda step: 0.001 * min(1.0, 4 * (total - step) / total)

    def _path(self, run: Run) -> Path:
        name = f"{self.kind.__name__}-{run.data.name}-{self.length(run)}-epochs.safetensors"
        return run.folder / "weights" / name


SIMPLE = ConvNet(SimpleConvNet, 20, 1, 0.989)
DEEP = ConvNet(DeepConvNet, 20, 1, 0.993)


def simple_convnet(run: Run) -> Outcome:
    """Convolution, pooling and two affine layers, 20 epochs."""
    return _train(run, SIMPLE, "Convolution, pooling, two affine layers")


def deep_convnet(run: Run) -> Outcome:
    """Six convolutions and two affine layers, 20 epochs."""
    return _train(run, DEEP, "Six convolutions, three poolings, two affine layers")


def _train(run: Run, net: ConvNet, title: str) -> Outcome:
    network = net.fresh(run)
    losses, accuracies = net.learn(run, network)
    train_acc, test_acc = accuracies[-1]
    wrong = round((1 - test_acc) * len(run.images.t_test))
    figure = _figure(f"{net.kind.__name__}: {title.lower()}", accuracies)
    if run.quick or not run.on_mnist:
        claims = [Claim("the test accuracy is above 0.9 already", [bool(test_acc > 0.9)])]
    else:
        claims = [
            Claim(f"the test accuracy is at least {net.reached}", [bool(test_acc >= net.reached)]),
            Claim("the training images are known almost by heart", [bool(train_acc > 0.99)]),
        ]
    epochs = len(accuracies) - 1
    ours = (
        f"train {train_acc:.4f}, test {test_acc:.4f} ({wrong} images wrong) after {plural(epochs, 'epoch')}"
    )
    per_epoch = len(losses) // epochs
    means = ["", *np.reshape(losses, (epochs, per_epoch)).mean(axis=1)]
    rows = [(epoch, means[epoch], *accuracies[epoch]) for epoch in range(epochs + 1)]
    note = (
        "Adam and batches of 100 as in the book, with one difference: over the last quarter of the steps the "
        "learning rate falls to 0. At a constant rate the accuracy goes up and down by a tenth of a percent "
        "from epoch to epoch, and the last one is a matter of luck."
    )
    data = {"": columns(("epoch", "loss", "train", "test"), rows)}
    return Outcome(ours, claims, {"": figure}, data, [note])


def _figure(title: str, accuracies: np.ndarray) -> "Figure":
    """Accuracy by epoch, from the first epoch on, where the differences lie."""
    from matplotlib.ticker import MaxNLocator

    figure = plots.new_figure(7.5, 4, title)
    panel = figure.subplots()
    epochs = np.arange(1, len(accuracies))
    for column, (color, label) in enumerate(((TRAIN, "training images"), (TEST, "test images"))):
        values = 100 * accuracies[1:, column]
        panel.plot(epochs, values, color=color, label=label, marker="o", markersize=3.5)
        panel.annotate(
            f"{values[-1]:.2f} %",
            (epochs[-1], values[-1]),
            xytext=(6, -3),
            textcoords="offset points",
            fontsize=9,
            color=color,
        )
    tidy(panel, "epoch", "accuracy (%)")
    low = 100 * accuracies[1:].min()
    panel.set_ylim(low - 0.1 * (100 - low) - 0.02, 100.05)
    panel.set_xlim(0.5, len(accuracies) - 1 + 0.13 * len(accuracies))
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, steps=(1, 2, 5, 10)))
    panel.legend(frameon=False, loc="lower right")
    return figure


EXPERIMENTS = (
    Experiment(
        "simple-convnet",
        "7.5",
        "SimpleConvNet learns MNIST",
        "train 0.9982, test 0.9896",
        simple_convnet,
    ),
    Experiment("deep-convnet", "8.1", "DeepConvNet learns MNIST", "test 0.9938", deep_convnet),
)
