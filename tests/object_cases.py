"""The table of objects: a row for every public layer, loss, optimizer and schedule, and what it must compute.

Layers and losses are described by the reference functions, optimizers by the reference's steps and by torch's
name for them, schedules by a formula.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import cos, pi
from typing import Any

import numpy as np

from cnn_core import layers as L
from cnn_core import losses
from cnn_core import reference as R
from cnn_core.optim import schedules as S


@dataclass(frozen=True, eq=False)
class LayerRow:
    """A layer, the shape of an input, and its output ``expected(layer, x, training)``; None if random."""

    name: str
    make: Callable[[Any], L.Layer]
    x_shape: tuple[int, ...]
    expected: Callable[[Any, np.ndarray, bool], np.ndarray | None]

    def __str__(self) -> str:
        return self.name


def batch_norm(layer: Any, x: np.ndarray, training: bool) -> np.ndarray:
    """Running statistics are taken as copies: the reference would update the layer's own."""
    statistics = layer.running_mean.copy(), layer.running_var.copy()
    return R.batch_norm(x, *statistics, layer.weight, layer.bias, training, layer.momentum, layer.eps)


def randomised(layer: Any) -> Any:
    """Give a normalisation other weights and statistics than ones and zeros."""
    rng = np.random.default_rng(9)
    for array in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
        array[...] = rng.uniform(0.5, 2, array.shape)
    return layer


def conv(inputs: int, filters: int, dtype: Any, **options: Any) -> L.Conv2d:
    return L.Conv2d(inputs, filters, 3, padding=1, rng=0, dtype=dtype, **options)


LAYERS: list[LayerRow] = [
    LayerRow("Conv2d",
        lambda dtype: L.Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2, rng=0, dtype=dtype), (2, 4, 7, 6),
        lambda m, x, training: R.conv2d(x, m.weight, m.bias, (2, 1), (1, 0), (1, 2), 2)),
    LayerRow("Linear",
        lambda dtype: L.Linear(5, 3, rng=0, dtype=dtype), (4, 5),
        lambda m, x, training: R.linear(x, m.weight, m.bias)),
    LayerRow("MaxPool2d",
        lambda dtype: L.MaxPool2d(3, 2, 1, ceil_mode=True), (2, 3, 8, 6),
        lambda m, x, training: R.max_pool2d(x, 3, 2, 1, ceil_mode=True)),
    LayerRow("AvgPool2d",
        lambda dtype: L.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 3, 8, 6),
        lambda m, x, training: R.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    LayerRow("AdaptiveAvgPool2d",
        lambda dtype: L.AdaptiveAvgPool2d((2, 3)), (2, 3, 5, 7),
        lambda m, x, training: R.adaptive_avg_pool2d(x, (2, 3))),
    LayerRow("BatchNorm1d",
        lambda dtype: randomised(L.BatchNorm1d(4, dtype=dtype)), (6, 4), batch_norm),
    LayerRow("BatchNorm2d",
        lambda dtype: randomised(L.BatchNorm2d(3, 1e-3, 0.2, dtype=dtype)), (4, 3, 5, 2), batch_norm),
    LayerRow("ReLU", lambda dtype: L.ReLU(), (3, 5), lambda m, x, training: R.relu(x)),
    LayerRow("LeakyReLU",
        lambda dtype: L.LeakyReLU(0.2), (3, 5), lambda m, x, training: R.leaky_relu(x, 0.2)),
    LayerRow("Sigmoid", lambda dtype: L.Sigmoid(), (3, 5), lambda m, x, training: R.sigmoid(x)),
    LayerRow("Tanh", lambda dtype: L.Tanh(), (3, 5), lambda m, x, training: R.tanh(x)),
    LayerRow("Dropout",
        lambda dtype: L.Dropout(0.4, rng=3), (6, 7), lambda m, x, training: None if training else x),
    LayerRow("Flatten",
        lambda dtype: L.Flatten(), (2, 3, 4, 5), lambda m, x, training: x.reshape(len(x), -1)),
    LayerRow("Identity", lambda dtype: L.Identity(), (2, 3), lambda m, x, training: x),
    LayerRow("Sequential",
        lambda dtype: L.Sequential(conv(2, 3, dtype), L.Tanh(), L.MaxPool2d(2)), (2, 2, 6, 5),
        lambda m, x, training: R.max_pool2d(
            R.tanh(R.conv2d(x, m.params["0.weight"], m.params["0.bias"], padding=1)), 2)),
    LayerRow("Residual",
        lambda dtype: L.Residual(conv(2, 4, dtype), L.Conv2d(2, 4, 1, rng=1, dtype=dtype)), (2, 2, 5, 4),
        lambda m, x, training: R.conv2d(x, m.params["body.weight"], m.params["body.bias"], padding=1)
            + R.conv2d(x, m.params["shortcut.weight"], m.params["shortcut.bias"])),
    LayerRow("Concat",
        lambda dtype: L.Concat(conv(2, 3, dtype), L.Identity()), (2, 2, 5, 4),
        lambda m, x, training: np.concatenate(
            [R.conv2d(x, m.params["0.weight"], m.params["0.bias"], padding=1), x], axis=1)),
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class LossRow:
    """A loss, the shape of the network's output, a target, and the expected value."""

    name: str
    make: Callable[[], Any]
    y_shape: tuple[int, ...]
    target: Callable[[np.random.Generator, Any], np.ndarray]
    expected: Callable[[np.ndarray, np.ndarray], Any]

    def __str__(self) -> str:
        return self.name


CLASS_WEIGHTS = np.array([0.5, 1.0, 2.0, 0.25])

LOSSES: list[LossRow] = [
    LossRow("CrossEntropyLoss",
        lambda: losses.CrossEntropyLoss(), (6, 4),
        lambda rng, dtype: rng.integers(0, 4, 6),
        lambda y, t: R.cross_entropy(y, t)),
    LossRow("CrossEntropyLoss",
        lambda: losses.CrossEntropyLoss(CLASS_WEIGHTS, ignore_index=2, label_smoothing=0.1), (6, 4, 2, 3),
        lambda rng, dtype: rng.integers(0, 4, (6, 2, 3)),
        lambda y, t: R.cross_entropy(y, t, CLASS_WEIGHTS, ignore_index=2, label_smoothing=0.1)),
    LossRow("CrossEntropyLoss",
        lambda: losses.CrossEntropyLoss(reduction="sum"), (6, 4),
        lambda rng, dtype: rng.dirichlet(np.ones(4), 6).astype(dtype),
        lambda y, t: R.cross_entropy(y, t, reduction="sum")),
    LossRow("MSELoss",
        lambda: losses.MSELoss(), (6, 4),
        lambda rng, dtype: rng.normal(size=(6, 4)).astype(dtype),
        lambda y, t: R.mse_loss(y, t)),
    LossRow("BCEWithLogitsLoss",
        lambda: losses.BCEWithLogitsLoss(), (6, 4),
        lambda rng, dtype: rng.random((6, 4)).astype(dtype),
        lambda y, t: R.bce_with_logits(y, t)),
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class OptimizerRow:
    """An optimizer, a step by the reference, ``update(p, g, (state, state), step)``, and torch's name."""

    name: str
    options: dict[str, Any]
    update: Callable[[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray], int], None]
    torch_name: str
    torch_options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}-{','.join(f'{k}={v}' for k, v in self.options.items())}"


ADAM = {"lr": 0.02, "betas": (0.8, 0.98), "eps": 1e-6}

OPTIMIZERS: list[OptimizerRow] = [
    OptimizerRow("SGD", {"lr": 0.1},
        lambda p, g, s, t: R.sgd_update(p, g, None, 0.1), "SGD"),
    OptimizerRow("SGD", {"lr": 0.1, "weight_decay": 0.2},
        lambda p, g, s, t: R.sgd_update(p, g, None, 0.1, weight_decay=0.2), "SGD"),
    OptimizerRow("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.2},
        lambda p, g, s, t: R.sgd_update(p, g, s[0], 0.1, 0.8, True, 0.2), "SGD"),
    OptimizerRow("Momentum", {"lr": 0.1, "weight_decay": 0.2},
        lambda p, g, s, t: R.sgd_update(p, g, s[0], 0.1, 0.9, False, 0.2), "SGD", {"momentum": 0.9}),
    OptimizerRow("Nesterov", {"lr": 0.1, "momentum": 0.7},
        lambda p, g, s, t: R.sgd_update(p, g, s[0], 0.1, 0.7, True), "SGD", {"nesterov": True}),
    OptimizerRow("AdaGrad", {"lr": 0.1, "eps": 1e-6, "weight_decay": 0.2},
        lambda p, g, s, t: R.adagrad_update(p, g, s[0], 0.1, 1e-6, 0.2), "Adagrad"),
    OptimizerRow("RMSprop", {"lr": 0.1, "alpha": 0.8, "eps": 1e-6, "weight_decay": 0.2},
        lambda p, g, s, t: R.rmsprop_update(p, g, s[0], 0.1, 0.8, 1e-6, 0.2), "RMSprop"),
    OptimizerRow("Adam", {**ADAM, "weight_decay": 0.2},
        lambda p, g, s, t: R.adam_update(p, g, *s, t, 0.02, 0.8, 0.98, 1e-6, 0.2), "Adam"),
    OptimizerRow("AdamW", {**ADAM, "weight_decay": 0.2},
        lambda p, g, s, t: R.adam_update(p, g, *s, t, 0.02, 0.8, 0.98, 1e-6, 0.2, True), "AdamW"),
    OptimizerRow("AdamW", ADAM,
        lambda p, g, s, t: R.adam_update(p, g, *s, t, 0.02, 0.8, 0.98, 1e-6, 0.01, True), "AdamW"),
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class ScheduleRow:
    """A schedule and its rate as a function of the step."""

    name: str
    make: Callable[[], Any]
    rate: Callable[[int], float]

    def __str__(self) -> str:
        return self.name


def half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + cos(pi * share)) / 2


SCHEDULES: list[ScheduleRow] = [
    ScheduleRow("Constant", lambda: S.Constant(0.3), lambda t: 0.3),
    ScheduleRow("Step", lambda: S.Step(0.3, 4, 0.5), lambda t: 0.3 * 0.5 ** (t // 4)),
    ScheduleRow("MultiStep", lambda: S.MultiStep(0.3, [3, 9], 0.1),
        lambda t: 0.3 if t < 3 else 0.03 if t < 9 else 0.003),
    ScheduleRow("Exponential", lambda: S.Exponential(0.3, 0.9), lambda t: 0.3 * 0.9**t),
    ScheduleRow("Cosine", lambda: S.Cosine(0.3, 10, 0.01),
        lambda t: half_cosine(0.3, 0.01, min(t, 10) / 10)),
    ScheduleRow("WarmUp", lambda: S.WarmUp(S.Step(0.3, 2, 0.5), 5, 0.1),
        lambda t: 0.3 * (0.1 + 0.9 * t / 5) if t < 5 else 0.3 * 0.5 ** ((t - 5) // 2)),
    ScheduleRow("PerEpoch", lambda: S.PerEpoch(S.Exponential(0.3, 0.5), 3), lambda t: 0.3 * 0.5 ** (t // 3)),
    ScheduleRow("OneCycle", lambda: S.OneCycle(0.5, 10, 0.4, 10.0, 100.0),
        lambda t: half_cosine(0.05, 0.5, t / 3) if t <= 3
            else half_cosine(0.5, 0.0005, (min(t, 9) - 3) / 6)),
    ScheduleRow("Plateau", lambda: S.Plateau(0.3), lambda t: 0.3),
]  # fmt: skip
