"""Section 6.5: learning rate and weight decay by random search on validation data."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core.book.experiments.experiment import Claim, Experiment, Outcome, Run, columns
from cnn_core.book.experiments.training import in_single_precision, train
from cnn_core.book.multi_layer_net import MultiLayerNet
from cnn_core.book.network import Network
from cnn_core.book.optimizer import SGD
from cnn_core.data import Arrays, split

if TYPE_CHECKING:
    from cnn_core.search import SearchResult, Trial

_IMAGES, _BATCH = 500, 100
_VALIDATION = 0.2  # the share of the images that choose; test images must not
_HIDDEN = [100] * 6
_SEED = 0
_KEEP = 20  # the best trials, between which the next range lies


def hyperparameters(run: Run) -> Outcome:
    """A hundred short trainings with random values, then two rounds in the range of the best ones."""
    from cnn_core import search

    epochs = run.amount(50, 50)
    images = Arrays(run.rows.x_train[:_IMAGES], run.rows.t_train[:_IMAGES])
    part, validation = split(images, (1 - _VALIDATION, _VALIDATION), rng=0)

    def short_training(params: dict[str, Any], trial: "Trial") -> float:
        def report(network: Network, epoch: int) -> None:
            accuracy = network.accuracy(validation.x, validation.t)
            trial.report(accuracy, epoch, train=network.accuracy(part.x, part.t))

        network = _learn(part, params, epochs, report)
        return network.accuracy(validation.x, validation.t)

    wide: Mapping[str, search.Parameter] = {
        "lr": search.LogUniform(1e-6, 1e-2),
        "weight_decay": search.LogUniform(1e-8, 1e-4),
    }
    show = run.show_progress
    first = search.random_search(short_training, wide, trials=run.amount(100, 30), progress=show)
    narrow = search.narrowing_search(
        short_training, first.narrowed(_KEEP), rounds=2, trials=run.amount(30, 10), seed=1, progress=show
    )
    rounds = search.NarrowingResult([first, *narrow.rounds])
    chosen = rounds.chosen()
    accuracy = _learn(images, chosen, epochs).accuracy(run.rows.x_test, run.rows.t_test)

    figures = {
        "": search.plot_trials(first, 20, title="The twenty best of the first round"),
        "ranges": search.plot_space(rounds, title="Validation accuracy, and the ranges of the next rounds"),
    }
    best = first.complete[:5]
    rates = [trial.params["lr"] for trial in best]
    claims = [
        Claim("the best learning rates of the first round lie between 0.001 and 0.01", [min(rates) > 1e-3]),
        Claim(
            "its best trial classifies at least 0.7 of the validation images", [(best[0].value or 0) >= 0.7]
        ),
        Claim("the further rounds are better on the whole", [_median(narrow.rounds[-1]) > _median(first)]),
    ]
    rows = [
        (number, trial.number, trial.params["lr"], trial.params["weight_decay"], trial.value)
        for number, part_ in enumerate(rounds.rounds, 1)
        for trial in part_.complete
    ]
    data = {"": columns(("round", "trial", "lr", "weight_decay", "validation_accuracy"), rows)}
    ours = (
        f"best {best[0].value:.2f} (lr {rates[0]:.4f}), the best five have lr {min(rates):.4f} ... "
        f"{max(rates):.4f}"
    )
    note = (
        f"Chosen after three rounds: lr {chosen['lr']:.4f}, weight decay {chosen['weight_decay']:.1e}. "
        f"Trained with them on all {_IMAGES} images, the network classifies {accuracy:.3f} of the test "
        "images, which are looked at here for the first time."
    )
    noise = (
        "A hundred validation images are few: at the rate 0.0094, five other divisions of the 500 images and "
        "three seeds each gave accuracies from 0.71 to 0.85."
    )
    return Outcome(ours, claims, figures, data, [note, noise])


def _learn(
    images: Arrays,
    params: dict[str, Any],
    epochs: int,
    after_epoch: Callable[[Network, int], None] | None = None,
) -> Network:
    network = in_single_precision(
        MultiLayerNet(images.x.shape[1], _HIDDEN, 10, weight_decay_lambda=params["weight_decay"], rng=_SEED)
    )
    per_epoch = len(images) // _BATCH

    def after(step: int) -> None:
        epoch, rest = divmod(step + 1, per_epoch)
        if rest == 0 and after_epoch is not None:
            after_epoch(network, epoch)

    rng = np.random.default_rng([_SEED, 1])
    steps = range(epochs * per_epoch)
    train(network, SGD(lr=params["lr"]), images.x, images.t, steps, _BATCH, rng, after)
    return network


def _median(result: "SearchResult") -> float:
    return float(np.median([trial.value for trial in result.complete if trial.value is not None]))


EXPERIMENTS = (
    Experiment(
        "hyperparameters",
        "6.5.3",
        "Random search for learning rate and weight decay",
        "best 0.84 (lr 0.0094), the best five have lr 0.0016 ... 0.0100",
        hyperparameters,
        requires="optuna",
    ),
)
