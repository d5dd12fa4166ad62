"""The two searches: at random in one space, and again and again in a narrowing one."""

import inspect
import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cnn_core._checks import integer, one_of
from cnn_core.search._progress import Progress
from cnn_core.search._study import Plan, import_optuna, open_study, with_storage
from cnn_core.search._work import Train, do_trials, do_trials_in_processes
from cnn_core.search.result import SearchResult, collect
from cnn_core.search.rounds import NarrowingResult
from cnn_core.search.space import Space, check_space

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage


def random_search(
    train: Train,
    space: Space,
    *,
    trials: int = 100,
    seed: int = 0,
    direction: str = "maximize",
    storage: "str | BaseStorage | None" = None,
    name: str = "search",
    workers: int = 1,
    sampler: "BaseSampler | None" = None,
    pruner: "BasePruner | str | None" = None,
    catch: Sequence[type[Exception]] = (),
    progress: bool = True,
) -> SearchResult:
    """Train with parameters drawn at random from a space, and rank them by what comes out.

    The parameters of trial ``n`` depend on ``space``, ``seed`` and ``n`` alone. So the same trials are done,
    each once, by one process or by several, on one machine or on many that share a storage, at once or with
    interruptions: the same call goes on where a search was left, and does what was unfinished again with the
    same parameters. A larger ``trials`` adds to a search.

    Parameters
    ----------
    train : callable
        ``train(params, trial) -> float`` builds a model, trains it for a short time, and returns what it is
        to be judged by, measured on validation data that are neither training nor test data. ``trial`` is a
        `Trial`; ``callbacks=[trial.callback()]`` of a ``Trainer`` records the curve and lets the pruner act.
    space : dict of str to Parameter
        `LogUniform`, `Uniform`, `Integer` or `Choice` for each parameter.
    trials : int
        How many there shall be in the end.
    seed : int
        Of the parameters. What else is random in ``train``, such as weights, is its own affair.
    direction : {"maximize", "minimize"}
    storage : str or optuna.storages.BaseStorage, optional
        Where the search is kept, to go on with it or to share it: the path of a file in which Optuna keeps a
        journal (``"runs/search.log"``), the URL of a database (``"mysql+pymysql://user@host/name"``,
        ``"postgresql+psycopg://..."``, ``"sqlite:///search.db"``), or an Optuna object. By default it is
        kept nowhere. See docs/hyperparameters.md.
    name : str
        Of the search within the storage.
    workers : int
        Processes that train at the same time; they divide the threads of the library among them. ``train``
        must then be a function at the top level of a module, and a script must have
        ``if __name__ == "__main__":`` around the call.
    sampler : optuna.samplers.BaseSampler, optional
        Chooses the parameters instead, such as ``optuna.samplers.TPESampler(seed=0)``. Then they depend on
        the outcome of earlier trials and, with several processes or interruptions, on chance.
    pruner : "median" or optuna.pruners.BasePruner, optional
        Ends trials without hope; ``"median"`` those whose best value so far is worse than the median of the
        complete trials at the same step, when there are 5. Which ones depends on the order of their ends.
    catch : sequence of exception types
        What makes a trial fail, with its message as the reason, besides ``FloatingPointError`` (a training
        that diverges) and a value that is not finite. Any other exception ends the search.
    progress : bool
        Whether to show how far it is, and the best so far, on standard error.

    Returns
    -------
    SearchResult
        After Ctrl-C, what is done by then, with ``interrupted`` true.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, or the storage has another search of this name: before anything is
        trained. TypeError, too, if ``train`` returns something else than a number.
    ImportError
        If Optuna is not installed.

    Notes
    -----
    *Deep Learning from Scratch*, section 6.5. Bergstra and Bengio (2012), "Random Search for Hyper-Parameter
    Optimization". Akiba et al. (2019), "Optuna".
    """
    plan = _make_plan(space, trials, seed, direction, name, storage, sampler, pruner)
    check_train(train, plan, catch, workers)
    return _search(train, plan, tuple(catch), workers, name if progress else None)


def narrowing_search(
    train: Train,
    space: Space,
    *,
    rounds: int = 3,
    trials: int = 30,
    keep: int | None = None,
    seed: int = 0,
    direction: str = "maximize",
    storage: "str | BaseStorage | None" = None,
    name: str = "search",
    workers: int = 1,
    pruner: "BasePruner | str | None" = None,
    catch: Sequence[type[Exception]] = (),
    progress: bool = True,
) -> NarrowingResult:
    """Search at random, narrow the space to where the best trials lie, and search again.

    ``result.chosen()`` is one value for each parameter, from the middle of the best trials of the last round.

    Parameters
    ----------
    rounds : int
        How many searches there are; each is one of the storage, called ``name`` with the round's number.
    trials : int
        Of each round.
    keep : int, optional
        How many of the trials of a round count as the best; see `SearchResult.narrowed`.
    train, space, seed, direction, storage, name, workers, pruner, catch, progress
        As for `random_search`. Round ``r`` has the seed ``seed + r``, from 0.

    Returns
    -------
    NarrowingResult
        After Ctrl-C, the rounds so far, the last one unfinished.

    Raises
    ------
    TypeError, ValueError, ImportError
        As for `random_search`; ValueError, too, if fewer than two trials of a round are complete.

    Notes
    -----
    *Deep Learning from Scratch*, section 6.5.2: steps 0 to 3.
    """
    integer(rounds, "rounds", at_least=1)
    if keep is not None:
        integer(keep, "keep", at_least=2)
    plan = _make_plan(space, trials, seed, direction, f"{name}, round 1", storage, None, pruner)
    check_train(train, plan, catch, workers)
    results: list[SearchResult] = []
    for i in range(rounds):
        if results:
            space = results[-1].narrowed(keep)
            plan = _make_plan(
                space, trials, seed + i, direction, f"{name}, round {i + 1}", storage, None, pruner
            )
        title = f"round {i + 1} of {rounds}" if progress else None
        results.append(_search(train, plan, tuple(catch), workers, title))
        if results[-1].interrupted:
            break
    return NarrowingResult(results)


def _search(
    train: Train, plan: Plan, catch: tuple[type[Exception], ...], workers: int, title: str | None
) -> SearchResult:
    interrupted = False
    with with_storage(plan, workers) as plan, open_study(plan) as study:
        shown = Progress(plan, study, title or "", enabled=title is not None)
        try:
            if workers == 1:
                do_trials(train, plan, study, catch, shown.update)
            else:
                do_trials_in_processes(train, plan, study, catch, shown.update, workers)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            shown.close()
        trials = collect(study, plan)
    return SearchResult(plan.name, plan.space, plan.direction, trials, interrupted)


def _make_plan(
    space: Space, trials: int, seed: int, direction: str, name: str, storage: Any, sampler: Any, pruner: Any
) -> Plan:
    """Check what does not depend on ``train``."""
    optuna = import_optuna()
    if sampler is not None and not isinstance(sampler, optuna.samplers.BaseSampler):
        raise TypeError(f"sampler: expects an Optuna sampler or None, got {sampler!r}")
    if pruner is None:
        pruner = optuna.pruners.NopPruner()
    elif isinstance(pruner, str):
        one_of(pruner, "pruner", ("median",))
        pruner = optuna.pruners.MedianPruner(n_startup_trials=5)
    elif not isinstance(pruner, optuna.pruners.BasePruner):
        raise TypeError(f'pruner: expects "median", an Optuna pruner or None, got {pruner!r}')
    if not isinstance(name, str) or not name:
        raise ValueError(f"name: expects a string that is not empty, got {name!r}")
    if isinstance(storage, str):
        if storage in ("", "sqlite://") or ":memory:" in storage:
            raise ValueError(
                f"storage: expects a file or a server, got {storage!r}; leave it out to keep nothing"
            )
    elif storage is not None and not isinstance(storage, optuna.storages.BaseStorage):
        raise TypeError(
            f"storage: expects a URL, the path of a journal or an Optuna storage, got {storage!r}"
        )
    return Plan(
        space=check_space(space),
        trials=integer(trials, "trials", at_least=1),
        seed=integer(seed, "seed", at_least=0),
        direction=one_of(direction, "direction", ("maximize", "minimize")),
        name=name,
        storage=storage,
        sampler=sampler,
        pruner=pruner,
    )


def check_train(train: Any, plan: Plan, catch: Any, workers: int) -> None:
    """Refuse what could not be called, caught, or sent to worker processes."""
    if not callable(train):
        raise TypeError(f"train: expects a function of (params, trial), got {type(train).__name__}")
    try:
        inspect.signature(train).bind({}, None)
    except TypeError as error:
        raise TypeError(f"train: expects a function of (params, trial): {error}") from None
    except ValueError:
        pass  # compiled, without a signature
    for kind in catch:
        if not isinstance(kind, type) or not issubclass(kind, Exception):
            raise TypeError(f"catch: expects types of exceptions, got {kind!r}")
    if integer(workers, "workers", at_least=1) == 1:
        return
    if isinstance(plan.storage, import_optuna().storages.InMemoryStorage):
        raise ValueError("storage: several workers cannot share what is in the memory of one process")
    try:
        pickle.dumps((train, plan, catch))
    except Exception as error:
        raise TypeError(
            "train: cannot be sent to worker processes; define it at the top level of a module (no lambda, "
            f"no function within a function), or use workers=1: {error}"
        ) from error
