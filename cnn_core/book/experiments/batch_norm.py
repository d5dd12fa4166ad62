"""Section 6.3: batch normalisation."""

import numpy as np

from cnn_core import plots
from cnn_core.book.experiments.experiment import Claim, Experiment, Outcome, Run, columns, spread
from cnn_core.book.experiments.figures import COLORS, curve, tidy
from cnn_core.book.experiments.training import in_single_precision, train
from cnn_core.book.multi_layer_net_extend import MultiLayerNetExtend
from cnn_core.book.optimizer import SGD

_SCALES = np.logspace(0, -4, num=16)
_IMAGES, _BATCH = 1000, 100
_LEARNED = 0.2  # an accuracy that guessing (0.1) does not reach


def batch_norm(run: Run) -> Outcome:
    """Sixteen sizes of initial weights, with batch normalisation and without, on 1,000 images."""
    epochs = run.amount(20, 8)
    with_it, without = (
        np.array([[_accuracies(run, scale, seed, epochs, use) for scale in _SCALES] for seed in run.seeds])
        for use in (True, False)
    )  # (seeds, scales, epochs)
    figure = plots.new_figure(9.5, 8.2, "Accuracy on 1,000 training images, by size of the initial weights")
    panels = figure.subplots(4, 4, sharex=True, sharey=True)
    passed = range(1, epochs + 1)
    for i, panel in enumerate(panels.ravel()):
        curve(panel, passed, with_it[:, i], COLORS[0], label="batch normalisation", linewidth=1.4)
        curve(panel, passed, without[:, i], COLORS[5], label="without", linewidth=1.4, linestyle="--")
        tidy(panel, title=f"std {_SCALES[i]:.2g}")
        panel.set_xlim(left=0)
        panel.set_ylim(0, 1.03)
    panels[0, 0].legend(frameon=False, fontsize=8)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel("accuracy", fontsize=10)

    end_with, end_without = with_it[:, :, -1], without[:, :, -1]
    moved = (end_without > _LEARNED).sum(axis=1)
    claims = [
        Claim("with it, the network learns at all sixteen sizes", (end_with.min(axis=1) > _LEARNED).tolist()),
        Claim("without it, only at a few of them", (moved <= 6).tolist()),
        Claim(
            "in almost all cases it is ahead with it", ((end_with >= end_without).sum(axis=1) >= 14).tolist()
        ),
    ]
    rows = [
        (_SCALES[scale], used, run.seeds[seed], epoch + 1, accuracy)
        for used, values in (("yes", with_it), ("no", without))
        for (seed, scale, epoch), accuracy in np.ndenumerate(values)
    ]
    data = {"": columns(("std", "batch_norm", "seed", "epoch", "accuracy"), rows)}
    ours = (
        f"without, {spread(moved.tolist(), 0)} of 16 sizes learn (best {end_without.max():.3f}); with, they "
        f"reach {end_with.min():.3f} ... {end_with.max():.3f}"
    )
    return Outcome(ours, claims, {"": figure}, data)


def _accuracies(run: Run, scale: float, seed: int, epochs: int, use_batchnorm: bool) -> list[float]:
    """The accuracy on the training images after each epoch."""
    x, t = run.rows.x_train[:_IMAGES], run.rows.t_train[:_IMAGES]
    network = in_single_precision(
        MultiLayerNetExtend(
            x.shape[1], [100] * 5, 10, weight_init_std=float(scale), use_batchnorm=use_batchnorm, rng=seed
        )
    )
    per_epoch = len(x) // _BATCH
    found: list[float] = []

    def measure(step: int) -> None:
        if (step + 1) % per_epoch == 0:
            found.append(network.accuracy(x, t, batch_size=len(x)))

    rng = np.random.default_rng([seed, 1])
    with np.errstate(over="ignore", invalid="ignore"):  # large weights without normalisation overflow
        what = f"std {scale:.2g}, {'with' if use_batchnorm else 'without'}, seed {seed}"
        train(network, SGD(lr=0.01), x, t, run.steps(epochs * per_epoch, what), _BATCH, rng, measure)
    return found


EXPERIMENTS = (
    Experiment(
        "batch-norm",
        "6.3.2",
        "Batch normalisation with 16 sizes of initial weights",
        "without, 3 of 16 sizes learn (best 0.979); with, all reach 0.419 ... 1.0",
        batch_norm,
    ),
)
