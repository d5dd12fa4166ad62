"""Search for hyperparameters: at random on a log scale, judged by validation data, in a narrowing range.

For example::

    def train(params, trial):
        model = make_model()
        optimizer = cc.optim.SGD(lr=params["lr"], weight_decay=params["weight_decay"])
        trainer = cc.training.Trainer(model, loss, optimizer, callbacks=[trial.callback()])
        return trainer.fit(part, validation, epochs=5)[-1].val_acc

    space = {"lr": LogUniform(1e-6, 1e-2), "weight_decay": LogUniform(1e-8, 1e-4)}
    result = narrowing_search(train, space, rounds=3, trials=30, storage="search.log", workers=2)
    print(result.table(), result.chosen())

It stands on Optuna, an optional dependency: ``pip install 'cnn_core[search]'``. docs/hyperparameters.md tells
more, also of searches that many machines share.
"""

from cnn_core.search._search import narrowing_search, random_search
from cnn_core.search.plots import plot_space, plot_trials
from cnn_core.search.result import SearchResult, TrialResult
from cnn_core.search.rounds import NarrowingResult
from cnn_core.search.space import Choice, Integer, LogUniform, Parameter, Uniform
from cnn_core.search.trial import Trial

__all__ = [
    "Choice",
    "Integer",
    "LogUniform",
    "NarrowingResult",
    "Parameter",
    "SearchResult",
    "Trial",
    "TrialResult",
    "Uniform",
    "narrowing_search",
    "plot_space",
    "plot_trials",
    "random_search",
]
