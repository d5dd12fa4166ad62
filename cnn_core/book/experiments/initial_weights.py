"""Section 6.2: how large the weights are at the beginning."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core import functional, plots
from cnn_core.book.experiments.experiment import Claim, Experiment, Outcome, Run, columns, smoothed, spread
from cnn_core.book.experiments.figures import COLORS, curve, tidy
from cnn_core.book.experiments.training import in_single_precision, train
from cnn_core.book.functions import relu, sigmoid
from cnn_core.book.multi_layer_net import MultiLayerNet
from cnn_core.book.optimizer import SGD

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NODES, _LAYERS = 100, 5
_STD = {
    "std 1": 1.0,
    "std 0.01": 0.01,
    "Xavier": math.sqrt(1 / _NODES),
    "He": math.sqrt(2 / _NODES),
}
_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "ReLU": relu,
}
_RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "ReLU": (0.0, 1.0)}
_INITIAL: dict[str, float | str] = {"std 0.01": 0.01, "Xavier": "xavier", "He": "he"}


class TanhNet(MultiLayerNet):
    """The network of chapter 6 with tanh in place of ReLU, which the text discusses and the code lacks."""

    def _hidden_block(self, n: int) -> dict[str, Any]:
        return {f"Affine{n}": self._affine(n), f"Activation_function{n}": Tanh()}


class Tanh:
    """``tanh(x)``, with the gradient ``dout * (1 - y**2)``."""

    def __init__(self) -> None:
        self.out = np.zeros(0)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return ``tanh(x)``."""
        self.out = functional.tanh(x)
        return self.out

    def backward(self, dout: np.ndarray) -> np.ndarray:
        """Return the gradient of x."""
        return functional.tanh_backward(dout, self.out)


def activations(run: Run) -> Outcome:
    """What arrives in five layers of 100 nodes from 1,000 standard normal inputs."""
    values = {
        (activation, std): _forward(activation, std, np.random.default_rng(0))
        for activation in _ACTIVATIONS
        for std in _STD
    }
    figures = {activation.lower(): _histograms(activation, values) for activation in _ACTIVATIONS}

    saturated = [float(np.mean((y < 0.05) | (y > 0.95))) for y in values["sigmoid", "std 1"]]
    sigmoid_spread = {std: float(values["sigmoid", std][-1].std()) for std in _STD}
    kept = {std: _rms(values["ReLU", std][-1]) / _rms(values["ReLU", std][0]) for std in _STD}
    claims = [
        Claim(
            "sigmoid, std 1: most activations of every layer lie next to 0 or 1, where gradients vanish",
            [min(saturated) > 0.5],
        ),
        Claim(
            "sigmoid, std 0.01: they gather around 0.5, so that many nodes say the same",
            [sigmoid_spread["std 0.01"] < 0.05],
        ),
        Claim(
            "sigmoid, Xavier: they spread wider", [sigmoid_spread["Xavier"] > 2 * sigmoid_spread["std 0.01"]]
        ),
        Claim("ReLU, std 0.01: they fade away", [kept["std 0.01"] < 0.01]),
        Claim("ReLU, Xavier: they shrink from layer to layer", [0.1 < kept["Xavier"] < 0.5]),
        Claim("ReLU, He: they keep their size", [0.5 < kept["He"] < 2]),
    ]
    rows = [
        (activation, std, layer, y.mean(), y.std())
        for (activation, std), layers in values.items()
        for layer, y in enumerate(layers, 1)
    ]
    data = {"": columns(("activation", "weights", "layer", "mean", "std"), rows)}
    ours = "ReLU's activations of layer 5, in those of layer 1: " + ", ".join(
        f"{std} {value:.2g}" for std, value in kept.items() if std != "std 1"
    )
    return Outcome(ours, claims, figures, data)


def _forward(activation: str, std: str, rng: np.random.Generator) -> list[np.ndarray]:
    """The activations (1000, 100) of each layer."""
    y, layers = rng.standard_normal((1000, _NODES)), []
    for _ in range(_LAYERS):
        y = _ACTIVATIONS[activation](y @ (_STD[std] * rng.standard_normal((_NODES, _NODES))))
        layers.append(y)
    return layers


def _histograms(activation: str, values: dict[tuple[str, str], list[np.ndarray]]) -> "Figure":
    figure = plots.new_figure(10, 6.4, f"Activations of five layers with {activation}")
    panels = figure.subplots(len(_STD), _LAYERS, sharex=True, squeeze=False)
    low, high = _RANGES[activation]
    for row, (std, color) in enumerate(zip(_STD, COLORS, strict=False)):
        for column, y in enumerate(values[activation, std]):
            panel = panels[row, column]
            inside = y[(y > low) & (y < high)] if activation == "ReLU" else y.ravel()
            panel.hist(inside, bins=30, range=(low, high), color=color)
            panel.set_yticks([])
            panel.spines[["top", "right", "left"]].set_visible(False)
            if activation == "ReLU":
                shares = f"{np.mean(y == 0):.0%} are 0\n{np.mean(y > high):.0%} above 1"
                panel.set_ylim(top=1.45 * panel.get_ylim()[1])
                panel.text(0.97, 0.97, shares, transform=panel.transAxes, ha="right", va="top", fontsize=7.5)
            if row == 0:
                panel.set_title(f"layer {column + 1}", fontsize=10)
        panels[row, 0].set_ylabel(f"{std}", fontsize=10)
    figure.supxlabel("activation", fontsize=9)
    return figure


def _rms(y: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(y))))


def weight_init(run: Run) -> Outcome:
    """Three initialisations of the same network of five layers, with three activations."""
    steps = run.amount(2000, 600)
    x, t = run.rows[:2]
    losses = {
        (activation, initial): [_losses(run, activation, initial, seed, x, t, steps) for seed in run.seeds]
        for activation in _ACTIVATIONS
        for initial in _INITIAL
    }
    figure = plots.new_figure(11, 3.9, "The loss of five layers on handwritten digits (SGD, rate 0.01)")
    panels = figure.subplots(1, 3, sharey=True)
    for panel, activation in zip(panels, ("ReLU", "tanh", "sigmoid"), strict=True):
        for initial, color in zip(_INITIAL, COLORS, strict=False):
            runs = [smoothed(values) for values in losses[activation, initial]]
            curve(panel, np.arange(steps), runs, color, label=initial, linewidth=1.3)
        tidy(panel, "step", "", activation)
        panel.set_ylim(0, 2.6)
    panels[0].set_ylabel("cross-entropy error")
    panels[0].legend(frameon=False)

    last = {key: [float(np.mean(values[-100:])) for values in runs] for key, runs in losses.items()}
    he, xavier, small = (last["ReLU", name] for name in ("He", "Xavier", "std 0.01"))
    claims = [
        Claim("ReLU, std 0.01: it does not learn", [value > 2.25 for value in small]),
        Claim("ReLU, Xavier and He: it learns", [max(pair) < 1.5 for pair in zip(he, xavier, strict=True)]),
        Claim("ReLU: He is ahead of Xavier", [a < b for a, b in zip(he, xavier, strict=True)]),
        Claim(
            "tanh: Xavier learns, std 0.01 does not yet",
            [a < 1 < b for a, b in zip(last["tanh", "Xavier"], last["tanh", "std 0.01"], strict=True)],
        ),
    ]
    data = {
        "": {"step": range(steps)}
        | {
            f"{activation}, {initial}, seed {seed}": values
            for (activation, initial), runs in losses.items()
            for seed, values in zip(run.seeds, runs, strict=True)
        }
    }
    ours = f"at the end: std 0.01 {spread(small)}, Xavier {spread(xavier)}, He {spread(he)}"
    note = (
        "The book draws ReLU. Sigmoid learns with none of them at this rate in so few steps: the gradient is "
        "at most a quarter after each of four activations. Batch normalisation is the cure."
    )
    return Outcome(ours, claims, {"": figure}, data, [note])


def _losses(
    run: Run, activation: str, initial: str, seed: int, x: np.ndarray, t: np.ndarray, steps: int
) -> list[float]:
    kind = TanhNet if activation == "tanh" else MultiLayerNet
    network = kind(
        x.shape[1],
        [_NODES] * 4,
        10,
        "sigmoid" if activation == "sigmoid" else "relu",
        _INITIAL[initial],
        rng=seed,
    )
    rng = np.random.default_rng([seed, 1])
    counter = run.steps(steps, f"{activation}, {initial}, seed {seed}")
    return train(in_single_precision(network), SGD(lr=0.01), x, t, counter, 128, rng)


EXPERIMENTS = (
    Experiment(
        "activations",
        "6.2.2",
        "Distributions of activations",
        "histograms",
        activations,
        uses_images=False,
    ),
    Experiment(
        "weight-init",
        "6.2.4",
        "Initial weights and learning",
        "loss at step 1900: std 0.01 2.305, Xavier 0.377, He 0.286",
        weight_init,
    ),
)
