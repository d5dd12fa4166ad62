"""Chapters 3 to 5: networks of two and three layers."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core import plots
from cnn_core.book.experiments.experiment import (
    Claim,
    Examples,
    Experiment,
    Outcome,
    Run,
    columns,
    smoothed,
    spread,
)
from cnn_core.book.experiments.figures import TEST, TRAIN, curve, tidy
from cnn_core.book.experiments.training import in_single_precision, train
from cnn_core.book.multi_layer_net import MultiLayerNet
from cnn_core.book.optimizer import SGD, Adam
from cnn_core.book.two_layer_net import TwoLayerNet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BATCH = 100
_TRAIN_IMAGES = 10_000  # on which the accuracy of training is measured


def mlp_inference(run: Run) -> Outcome:
    """A network of three layers classifies the test images one by one, then in batches of 100."""
    data = run.rows
    network = in_single_precision(MultiLayerNet(data.x_train.shape[1], [50, 100], 10, "sigmoid", 0.1, rng=0))
    steps = run.steps(run.amount(6000, 3000), "training")
    train(network, Adam(), data.x_train, data.t_train, steps, _BATCH, np.random.default_rng(1))
    seconds, accuracy = {}, {}
    for size in (1, 100):
        start = time.perf_counter()
        accuracy[size] = network.accuracy(data.x_test, data.t_test, size)
        seconds[size] = time.perf_counter() - start

    figure = plots.new_figure(7.5, 3.6, "One of the test images at a time, or a hundred")
    panel = figure.subplots()
    per_image = [seconds[size] / len(data.x_test) * 1e6 for size in (1, 100)]
    labels = [f"batches of {size}" for size in (1, 100)]
    panel.barh(labels, per_image, color=(TRAIN, TEST), height=0.5)
    for place, value in enumerate(per_image):
        panel.text(value, place, f"  {value:.1f} µs", va="center", fontsize=10)
    tidy(panel, "microseconds for each image")
    panel.grid(visible=False)
    panel.set_xlim(0, 1.15 * max(per_image))
    claims = [
        Claim("batches give the same accuracy as single images", [accuracy[1] == accuracy[100]]),
        Claim("the accuracy is at least the published one", [accuracy[100] >= 0.9352]),
    ]
    ours = f"{accuracy[100]:.4f}; {per_image[0] / per_image[1]:.0f} times as fast in batches"
    rows = [(size, accuracy[size], seconds[size]) for size in (1, 100)]
    note = (
        "The book reads its weights from a file. The network here has the same shape, 50 and 100 sigmoid "
        "nodes, and was trained for this experiment."
    )
    return Outcome(ours, claims, {"": figure}, {"": columns(("batch", "accuracy", "seconds"), rows)}, [note])


def two_layer_net(run: Run) -> Outcome:
    """The network of chapter 4: 50 sigmoid nodes, SGD with rate 0.1."""
    return _train(run, "sigmoid", (0.9471, 0.9465), "50 sigmoid nodes")


def backpropagation(run: Run) -> Outcome:
    """The network of chapter 5: 50 ReLU nodes, SGD with rate 0.1."""
    return _train(run, "relu", (0.9779, 0.9690), "50 ReLU nodes")


def _train(run: Run, activation: str, published: tuple[float, float], title: str) -> Outcome:
    data = run.rows
    per_epoch = max(len(data.x_train) // _BATCH, 1)
    epochs = run.amount(16, 5) if run.on_mnist else run.amount(300, 150)  # of few steps
    curves = [_learn(run, activation, seed, epochs, per_epoch) for seed in run.seeds]
    losses = np.array([losses for losses, _ in curves])
    accuracies = np.array([accuracy for _, accuracy in curves])  # (seeds, epochs + 1, 2)
    figure = _figure(f"Two layers, {title}, SGD with rate 0.1", losses, accuracies, per_epoch)
    train_acc, test_acc = accuracies[:, -1].T.tolist()
    claims = [
        Claim(
            "training and test accuracy end close to each other: no overfitting",
            [a - b < 0.02 for a, b in zip(train_acc, test_acc, strict=True)],
        ),
    ]
    if run.on_mnist and not run.quick:
        claims += [
            Claim(
                f"the {name} accuracy is that of the book, within 0.01",
                [abs(value - expected) < 0.01 for value in values],
            )
            for name, values, expected in zip(
                ("training", "test"), (train_acc, test_acc), published, strict=True
            )
        ]
    rows = [
        (run.seeds[seed], epoch, *accuracies[seed, epoch]) for seed, epoch in np.ndindex(accuracies.shape[:2])
    ]
    ours = f"train {spread(train_acc, 4)}, test {spread(test_acc, 4)} after {epochs} epochs"
    return Outcome(ours, claims, {"": figure}, {"": columns(("seed", "epoch", "train", "test"), rows)})


def _learn(
    run: Run, activation: str, seed: int, epochs: int, per_epoch: int
) -> tuple[list[float], Sequence[tuple[float, float]]]:
    """The loss of each step; the accuracies before training and after each epoch."""
    data = run.rows
    network: Any
    if activation == "relu":
        network = TwoLayerNet(data.x_train.shape[1], 50, 10, rng=seed)
    else:
        # The network of chapter 4 in layers: its own class returns probabilities and has no layers.
        network = MultiLayerNet(data.x_train.shape[1], [50], 10, "sigmoid", 0.01, rng=seed)
    network = in_single_precision(network)
    found = [_measure(network, data)]

    def after(step: int) -> None:
        if (step + 1) % per_epoch == 0:
            found.append(_measure(network, data))

    steps = run.steps(epochs * per_epoch, f"{activation}, seed {seed}")
    rng = np.random.default_rng([seed, 1])
    losses = train(network, SGD(lr=0.1), data.x_train, data.t_train, steps, _BATCH, rng, after)
    return losses, found


def _measure(network: Any, data: Examples) -> tuple[float, float]:
    x, t = data.x_train[:_TRAIN_IMAGES], data.t_train[:_TRAIN_IMAGES]
    return network.accuracy(x, t, 1000), network.accuracy(data.x_test, data.t_test, 1000)


def _figure(title: str, losses: np.ndarray, accuracies: np.ndarray, per_epoch: int) -> "Figure":
    figure = plots.new_figure(9.5, 3.7, title)
    left, right = figure.subplots(1, 2)
    every = max(losses.shape[1] // 1000, 1)
    steps = np.arange(0, losses.shape[1], every) / per_epoch
    curve(left, steps, [smoothed(run, 50)[::every] for run in losses], TEST, linewidth=1.2)
    tidy(left, "epoch", "loss, mean of 50 steps")
    left.set_ylim(bottom=0)
    epochs = range(accuracies.shape[1])
    curve(right, epochs, accuracies[:, :, 0], TRAIN, label="training images", linewidth=1.4)
    curve(right, epochs, accuracies[:, :, 1], TEST, label="test images", linewidth=1.4, linestyle="--")
    tidy(right, "epoch", "accuracy")
    right.set_ylim(0, 1.02)
    right.legend(frameon=False, loc="lower right")
    return figure


EXPERIMENTS = (
    Experiment(
        "mlp-inference",
        "3.6",
        "A trained network classifies, one by one and in batches",
        "0.9352",
        mlp_inference,
    ),
    Experiment(
        "two-layer-net",
        "4.5",
        "Training a network of two layers",
        "train 0.9471, test 0.9465",
        two_layer_net,
    ),
    Experiment(
        "backpropagation",
        "5.7.4",
        "Training with backpropagation",
        "train 0.9779, test 0.9690",
        backpropagation,
    ),
)
