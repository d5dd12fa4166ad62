"""Section 6.1: how parameters are updated."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from cnn_core import plots
from cnn_core.book.experiments.experiment import Claim, Experiment, Outcome, Run, columns, smoothed, spread
from cnn_core.book.experiments.figures import COLORS, curve, tidy
from cnn_core.book.experiments.training import in_single_precision, train
from cnn_core.book.multi_layer_net import MultiLayerNet
from cnn_core.book.optimizer import SGD, AdaGrad, Adam, Momentum, Nesterov, RMSprop

Makers = dict[str, Callable[[], Any]]

# The rates of the first four are the book's; those of the others suit the same valley.
_ON_VALLEY: Makers = {
    "SGD": partial(SGD, lr=0.95),
    "Momentum": partial(Momentum, lr=0.1),
    "AdaGrad": partial(AdaGrad, lr=1.5),
    "Adam": partial(Adam, lr=0.3),
    "Nesterov": partial(Nesterov, lr=0.1),
    "RMSprop": partial(RMSprop, lr=0.3, decay_rate=0.9),
}
# With the default rates of the book, except for RMSprop, which is unstable with its 0.01.
_ON_IMAGES: Makers = {
    "SGD": SGD,
    "Momentum": Momentum,
    "AdaGrad": AdaGrad,
    "Adam": Adam,
    "Nesterov": Nesterov,
    "RMSprop": partial(RMSprop, lr=0.001),
}
_OF_BOOK = ("SGD", "Momentum", "AdaGrad", "Adam")
_BEFORE_AND_AFTER = 10  # steps around the hundredth, over which the loss is averaged


def _valley(x: Any, y: Any) -> Any:
    return x**2 / 20 + y**2


def _path(optimizer: Any, steps: int) -> np.ndarray:
    """The points (steps + 1, 2) that an optimizer visits on its way down from (-7, 2)."""
    place = {"x": -7.0, "y": 2.0}
    points = [(place["x"], place["y"])]
    for _ in range(steps):
        optimizer.update(place, {"x": place["x"] / 10, "y": 2 * place["y"]})
        points.append((place["x"], place["y"]))
    return np.array(points)


def optimizer_paths(run: Run) -> Outcome:
    """The ways of six optimizers down a long valley, 30 steps each."""
    paths = {name: _path(make(), 30) for name, make in _ON_VALLEY.items()}
    figure = plots.new_figure(10.5, 5.2, "Thirty steps down the valley x²/20 + y² from (−7, 2)")
    x, y = np.meshgrid(np.linspace(-10, 10, 201), np.linspace(-4, 4, 161))
    panels = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
    for panel, (name, points), color in zip(panels, paths.items(), COLORS, strict=True):
        panel.contour(
            x, y, _valley(x, y), levels=np.arange(0.5, 8.1, 0.75) ** 2 / 4, colors="#bbbbbb", linewidths=0.6
        )
        panel.plot(*points.T, color=color, marker="o", markersize=3, linewidth=1.2)
        panel.plot(0, 0, "+", color="black", markersize=9)
        panel.set_title(name, fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[3:]:
        panel.set_xlabel("x")
    for panel in panels[::3]:
        panel.set_ylabel("y")

    ends = {name: _valley(*points[-1]) for name, points in paths.items()}
    turns = {name: int(np.sum(np.diff(np.sign(points[:, 1])) != 0)) for name, points in paths.items()}
    lengths = {name: float(np.hypot(*np.diff(points, axis=0).T).sum()) for name, points in paths.items()}
    claims = [
        Claim("SGD zigzags: it crosses the valley's floor with every step", [turns["SGD"] == 30]),
        Claim("Momentum and Adam cross it less often", [max(turns["Momentum"], turns["Adam"]) < 30]),
        Claim(
            "AdaGrad takes the shortest way of the four",
            [min(_OF_BOOK, key=lengths.__getitem__) == "AdaGrad"],
        ),
        Claim("all end far below the start, f = 6.45", [max(ends.values()) < 0.5]),
    ]
    rows = [(name, step, *point) for name, points in paths.items() for step, point in enumerate(points)]
    data = {"": columns(("optimizer", "step", "x", "y"), rows)}
    ours = "f at the end: " + ", ".join(f"{name} {value:.2g}" for name, value in ends.items())
    return Outcome(ours, claims, {"": figure}, data)


def optimizers(run: Run) -> Outcome:
    """Six optimizers train the same network of five layers on the same batches."""
    steps = run.amount(2000, 600)
    x, t = run.rows[:2]
    losses = {name: [_losses(run, name, seed, x, t, steps) for seed in run.seeds] for name in _ON_IMAGES}
    figure = plots.new_figure(9.5, 4.2, "Five layers on handwritten digits: the loss while training")
    panel = figure.subplots()
    for (name, runs), color in zip(losses.items(), COLORS, strict=True):
        curve(
            panel, np.arange(steps), [smoothed(values) for values in runs], color, label=name, linewidth=1.3
        )
    tidy(panel, "step", "cross-entropy error, mean of 20 steps")
    panel.set_yscale("log")
    panel.set_ylim(top=3)
    panel.legend(frameon=False, ncols=2)

    around = slice(100 - _BEFORE_AND_AFTER, 100 + _BEFORE_AND_AFTER)
    early = {name: [float(np.mean(values[around])) for values in runs] for name, runs in losses.items()}
    late = {name: [float(np.mean(values[-100:])) for values in runs] for name, runs in losses.items()}
    rank = ("AdaGrad", "Adam", "Momentum", "SGD")
    claims = [
        Claim(f"at step 100, {better} is ahead of {worse}", _less(early[better], early[worse]))
        for better, worse in pairwise(rank)
    ]
    ends = np.array([late[name] for name in _OF_BOOK])  # (optimizers, seeds)
    claims.append(Claim("SGD ends last of the four", (ends[0] == ends.max(axis=0)).tolist()))
    ours = "at step 100: " + ", ".join(f"{name} {np.mean(early[name]):.2f}" for name in reversed(rank))
    data = {
        "": {"step": range(steps)}
        | {
            f"{name}, seed {seed}": values
            for name, runs in losses.items()
            for seed, values in zip(run.seeds, runs, strict=True)
        }
    }
    note = (
        f"The loss at step 100 is the mean of the {2 * _BEFORE_AND_AFTER} steps around it. Over the last 100 "
        "steps: " + ", ".join(f"{name} {spread(values)}" for name, values in late.items()) + "."
    )
    return Outcome(ours, claims, {"": figure}, data, [note])


def _losses(run: Run, name: str, seed: int, x: np.ndarray, t: np.ndarray, steps: int) -> list[float]:
    network = in_single_precision(MultiLayerNet(x.shape[1], [100, 100, 100, 100], 10, rng=seed))
    rng = np.random.default_rng([seed, 1])  # the same batches for every optimizer
    counter = run.steps(steps, f"{name}, seed {seed}")
    return train(network, _ON_IMAGES[name](), x, t, counter, 128, rng)


def _less(smaller: list[float], larger: list[float]) -> list[bool]:
    return [a < b for a, b in zip(smaller, larger, strict=True)]


EXPERIMENTS = (
    Experiment(
        "optimizer-paths",
        "6.1.7",
        "Six optimizers on x²/20 + y²",
        "four pictures of paths",
        optimizer_paths,
        uses_images=False,
    ),
    Experiment(
        "optimizers",
        "6.1.8",
        "Six optimizers on MNIST",
        "at step 100: SGD 1.48, Momentum 0.42, Adam 0.34, AdaGrad 0.19",
        optimizers,
    ),
)
