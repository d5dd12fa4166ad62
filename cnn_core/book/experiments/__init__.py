"""The experiments of the book, run on these kernels, drawn, and compared with what it published.

``cnn-core book`` is their command. Each experiment is a function of a `Run`; it returns an `Outcome` with
figures, the numbers behind them, and claims: what the book concludes, and whether it holds here.
"""

from cnn_core.book.experiments import (
    batch_norm,
    convnets,
    deep_network,
    filters,
    gradient_checks,
    hyperparameters,
    initial_weights,
    neural_networks,
    optimizers,
    overfitting,
)
from cnn_core.book.experiments.experiment import Claim, Experiment, Outcome, Run
from cnn_core.book.experiments.images import find_images
from cnn_core.book.experiments.report import Report, Result

__all__ = ["EXPERIMENTS", "Claim", "Experiment", "Outcome", "Report", "Result", "Run", "find_images"]

_MODULES = (
    neural_networks,
    gradient_checks,
    optimizers,
    initial_weights,
    batch_norm,
    overfitting,
    hyperparameters,
    convnets,
    filters,
    deep_network,
)

# By name, in the order of the book.
EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in sorted(
        (experiment for module in _MODULES for experiment in module.EXPERIMENTS),
        key=lambda experiment: [int(number) for number in experiment.section.split(".")],
    )
}
