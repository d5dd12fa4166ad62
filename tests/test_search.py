"""Searching in one process: what is tried, what comes out, how it goes on, and what it refuses."""

import csv
import io
import logging
import os
import subprocess
import sys

import numpy as np
import pytest
from search_cases import SPACE, broken, digits, diverging, height, hill

from cnn_core import search
from cnn_core.book.multi_layer_net import MultiLayerNet
from cnn_core.book.trainer import Trainer
from cnn_core.data import load_digits, split

optuna = pytest.importorskip("optuna")


def find(train=hill, space=SPACE, **options):
    return search.random_search(train, space, **{"trials": 8, "progress": False, **options})


def params(result):
    return {trial.number: trial.params for trial in result}


# What comes out


def test_trials_are_ranked_and_have_their_curves():
    result = find()
    assert len(result) == 8
    assert [trial.state for trial in result] == ["complete"] * 8
    values = [trial.value for trial in result]
    assert values == sorted(values, reverse=True)
    best = result.best
    assert best is result.trials[0]
    assert best.value == height(best.params)
    assert best.steps == (1, 2, 3)
    assert best.curve == tuple(best.value - 1 / step for step in best.steps)
    assert best.train_curve == (0.5, 0.5, 0.5)
    assert best.seconds >= 0
    assert not result.interrupted


def test_minimizing_ranks_the_other_way():
    result = find(lambda params, trial: -height(params), direction="minimize")
    assert result.best.value == min(trial.value for trial in result)
    assert params(result) == params(find())
    assert result.best.params == find().best.params


def test_parameters_depend_on_seed_and_number_alone():
    few, many, other = find(trials=3), find(trials=8), find(seed=1)
    assert params(few) == {number: params(many)[number] for number in range(3)}
    assert all(params(many)[number] != params(other)[number] for number in range(8))


def test_every_kind_of_range_reaches_the_function():
    space = {
        "lr": search.LogUniform(1e-3, 1),
        "momentum": search.Uniform(0, 1),
        "units": search.Integer(1, 5),
        "optimizer": search.Choice("sgd", "adam"),
        "clip": search.Choice(None, 1.0),
    }
    seen = []

    def train(params, trial):
        seen.append(dict(params))
        params["lr"] = -1  # a copy, whose changes nobody sees
        return 1.0

    result = find(train, space, storage=None)
    assert [params(result)[number] for number in range(8)] == seen
    assert {type(value) for trial in seen for value in trial.values()} == {float, int, str, type(None)}
    narrowed = result.narrowed()
    assert set(narrowed) == set(space)
    assert set(result.chosen()) == set(space)


def test_narrowing_goes_to_the_hill():
    result = search.narrowing_search(hill, SPACE, rounds=3, trials=20, keep=5, progress=False)
    spans = [np.log10(part.space["lr"].high / part.space["lr"].low) for part in result.rounds]
    assert spans[0] > 3 * spans[1] > 9 * spans[2]
    assert result.rounds[2].space == result.rounds[1].narrowed(5)
    chosen = result.chosen()
    assert chosen["lr"] == pytest.approx(1e-4, rel=0.1)
    assert result.best.value == max(trial.value for part in result.rounds for trial in part)
    assert [part.name for part in result.rounds] == [f"search, round {i}" for i in (1, 2, 3)]
    text = result.table()
    assert "round 3: lr " in text
    assert f"chosen: lr {chosen['lr']:.4g}, weight_decay " in text
    # Rounds draw from seeds of their own.
    assert params(result.rounds[0])[0] != params(find(space=SPACE, seed=1))[0]


def test_narrowed_holds_the_best_and_nothing_beyond():
    result = find(trials=30)
    rates = [trial.params["lr"] for trial in result.complete[:6]]
    low, high = result.narrowed(6)["lr"].low, result.narrowed(6)["lr"].high
    assert min(rates) * 0.99 < low <= min(rates)
    assert max(rates) <= high < max(rates) * 1.01
    assert result.narrowed() == result.narrowed(6)
    assert result.chosen(1) == result.best.params
    middle = sorted(trial.params["lr"] for trial in result.complete[:3])[1]
    assert result.chosen()["lr"] == result.chosen(3)["lr"] == middle


def test_table_and_csv(tmp_path):
    result = find(diverging, trials=12)
    lines = result.table(count=None).splitlines()
    assert lines[0].split() == ["trial", "value", "lr", "weight_decay", "seconds"]
    assert len(lines) == 13
    assert lines[-1].endswith("  failed: the loss is nan")
    result.to_csv(tmp_path / "trials.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "trials.csv").read_text())))
    assert [int(row["trial"]) for row in rows] == [trial.number for trial in result]
    assert [float(row["lr"]) for row in rows] == [trial.params["lr"] for trial in result]
    assert rows[0]["state"] == "complete"
    assert rows[-1]["reason"] == "the loss is nan"
    assert rows[-1]["value"] == ""


# Trainings that fail, and trainings that are pruned


def test_a_diverging_training_fails_and_the_search_goes_on():
    result = find(diverging, trials=12)
    failed = [trial for trial in result if trial.state == "failed"]
    assert {trial.number for trial in failed} == {n for n, p in params(result).items() if p["lr"] > 1e-3}
    assert failed
    assert all((trial.value, trial.reason) == (None, "the loss is nan") for trial in failed)
    assert result.trials[-len(failed) :] == tuple(sorted(failed, key=lambda trial: trial.number))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32("nan")])
def test_a_value_that_is_not_finite_fails(value):
    result = find(lambda params, trial: value, trials=2)
    assert [trial.reason for trial in result] == [f"train returned {value}"] * 2
    with pytest.raises(
        ValueError, match=r"no trial is complete \(2 failed\); trial 0 failed: train returned"
    ):
        _ = result.best


def test_a_curve_that_is_not_finite_fails():
    def train(params, trial):
        trial.report(0.5, 1)
        trial.report(float("nan"), 2)
        return 1.0

    (trial,) = find(train, trials=1)
    assert (trial.state, trial.steps) == ("failed", (1,))
    assert trial.reason == "the validation value is nan at step 2"


@pytest.mark.parametrize("value", [None, "0.9", [1.0], 1j])
def test_a_value_that_is_no_number_ends_the_search(value):
    with pytest.raises(TypeError, match="train: expects to return a number") as caught:
        find(lambda params, trial: value)
    assert caught.value.__notes__[0].startswith("in trial 0 of the search, with {'lr': ")


def test_other_exceptions_end_the_search_unless_caught():
    with pytest.raises(KeyError, match="no such layer"):
        find(broken)
    result = find(broken, catch=[LookupError])
    assert [trial.reason for trial in result if trial.number == 3] == ["'no such layer'"]
    assert len(result.complete) == 7


def test_the_median_pruner_stops_what_is_worse_than_half():
    def train(params, trial):
        for epoch in (1, 2, 3):
            trial.report(height(params), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return height(params)

    result = find(train, trials=20, pruner="median")
    pruned = [trial for trial in result if trial.state == "pruned"]
    assert pruned
    assert {trial.steps for trial in pruned} == {(1,)}
    assert all(trial.value == height(trial.params) for trial in pruned)
    assert result.trials[len(result.complete) :] == tuple(pruned)
    assert params(result) == params(find(trials=20))


def test_curves_of_steps_that_do_not_rise_are_refused():
    def train(params, trial):
        trial.report(0.5, 2)
        trial.report(0.5, 2)

    with pytest.raises(ValueError, match="expects a number above the one before, 2, got 2"):
        find(train)


# A real training


def test_digits_are_learned_better_at_the_rates_that_are_found():
    space = {"lr": search.LogUniform(1e-4, 1), "weight_decay": search.LogUniform(1e-8, 1e-2)}
    result = find(digits, space, trials=12, pruner="median")
    best = result.best
    assert best.value >= 0.85
    assert best.value == best.curve[-1]
    assert best.steps == (1, 2, 3, 4)
    assert best.train_curve[-1] > best.train_curve[0]
    assert best.params["lr"] > 0.02
    worst = min(result, key=lambda trial: trial.params["lr"])
    assert max(worst.curve) < 0.6
    assert any(trial.state == "pruned" for trial in result)


def test_the_script_of_the_book():
    data = load_digits()
    part, validation = split(data.train[:125], [100, 25], rng=0)
    x, x_val = part.x.reshape(100, 64), validation.x.reshape(25, 64)

    def train(params, trial):
        network = MultiLayerNet(64, [30], 10, weight_decay_lambda=params["weight_decay"], rng=0)
        rate = {"lr": params["lr"]}
        trainer = Trainer(
            network, x, part.t, x_val, validation.t, epochs=5, optimizer_param=rate, verbose=False, rng=0
        )
        trainer.train()
        accuracies = zip(trainer.test_acc_list, trainer.train_acc_list, strict=True)
        for epoch, (val, tra) in enumerate(accuracies, 1):
            trial.report(val, epoch, train=tra)
        return trainer.test_acc_list[-1]

    result = find(train, {**SPACE, "lr": search.LogUniform(1e-4, 1)}, trials=20)
    assert result.best.value > 0.5
    assert len(result.best.train_curve) == 5
    assert result.narrowed()["lr"].low > 1e-2


def test_the_callback_watches_what_fits_the_direction():
    def train(params, trial):
        return trial.callback("val_loss")

    with pytest.raises(ValueError, match=r'val_loss needs a search with direction="minimize"'):
        find(train)
    watched = []
    find(lambda p, trial: watched.append(trial.callback().monitor) or 0.0, trials=1, direction="minimize")
    assert watched == ["val_loss"]


# Storages, and going on


@pytest.fixture
def database(tmp_path):
    """An SQLite file as others use it, and its URL."""
    url = f"sqlite:///{tmp_path}/search.db"
    storage = optuna.storages.RDBStorage(url)
    yield storage, url
    storage.remove_session()
    storage.engine.dispose()


@pytest.fixture(params=["sqlite:///{}/search.db", "{}/made/search.log"])
def storage(request, tmp_path):
    return request.param.format(tmp_path)


def test_a_search_that_broke_off_goes_on(storage):
    with pytest.raises(KeyError):
        find(broken, storage=storage)
    again = []

    def train(params, trial):
        again.append(trial.number)
        return hill(params, trial)

    result = find(train, storage=storage)
    assert again == [3, 4, 5, 6, 7]
    assert params(result) == params(find())
    assert [trial.value for trial in result] == [trial.value for trial in find()]
    assert find(train, storage=storage, trials=10).best
    assert again[5:] == [8, 9]
    assert len(find(train, storage=storage, trials=4)) == 4
    assert len(again) == 7


def test_failed_and_pruned_trials_are_not_tried_again(storage):
    result = find(diverging, storage=storage, trials=12)
    again = find(lambda params, trial: pytest.fail("trained again"), storage=storage, trials=12)
    assert again.trials == result.trials


def test_ctrl_c_returns_what_is_there(storage):
    def train(params, trial):
        if trial.number == 3:
            raise KeyboardInterrupt
        return hill(params, trial)

    result = find(train, storage=storage)
    assert result.interrupted
    assert set(params(result)) == {0, 1, 2}
    assert params(find(storage=storage)) == params(find())
    rounds = search.narrowing_search(train, SPACE, rounds=2, trials=8, progress=False)
    assert rounds.interrupted
    assert len(rounds.rounds) == 1


def test_another_search_of_the_same_name_is_refused(storage):
    find(storage=storage, trials=2)
    wider = {**SPACE, "lr": search.LogUniform(1e-7, 1e-2)}
    for options, part in [
        ({"space": wider}, "space"),
        ({"seed": 1}, "seed"),
        ({"direction": "minimize"}, "direction"),
        ({"sampler": optuna.samplers.TPESampler()}, "sampler"),
    ]:
        with pytest.raises(ValueError, match=f"the study 'search' has another {part}: .*another name"):
            find(**{"storage": storage, **options})
    assert len(find(storage=storage, seed=1, name="other", trials=2)) == 2


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="asks Linux for the open files")
def test_a_search_leaves_no_file_open(storage):
    def open_files():
        links = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
        return [path for path in map(os.path.realpath, links) if "search.db" in path or "search.log" in path]

    find(storage=storage, trials=2)
    assert open_files() == []
    with pytest.raises(ValueError, match="another seed"):
        find(storage=storage, trials=2, seed=1)
    assert open_files() == []


def test_a_study_of_someone_else_is_refused(database):
    theirs, url = database
    study = optuna.create_study(study_name="search", storage=theirs, direction="maximize")
    study.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(ValueError, match=r"was not made by cnn_core\.search"):
        find(storage=url)
    assert len(study.trials) == 1


def test_a_study_whose_maker_was_killed_at_once_is_taken_over(database, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    theirs, url = database
    optuna.create_study(study_name="search", storage=theirs, direction="maximize")
    assert len(find(storage=url, trials=2)) == 2


def test_an_optuna_storage_is_used_as_it_is():
    storage = optuna.storages.InMemoryStorage()
    find(storage=storage)
    study = optuna.load_study(study_name="search", storage=storage)
    assert len(study.trials) == 8
    assert study.best_value == find().best.value
    assert study.best_trial.intermediate_values.keys() == {1, 2, 3}


@pytest.mark.parametrize("sampler", ["TPESampler", "RandomSampler", "GridSampler"])
def test_samplers_of_optuna_choose_the_parameters(sampler, database):
    def make():
        if sampler == "GridSampler":
            return optuna.samplers.GridSampler({"lr": [1e-5, 1e-3], "weight_decay": [1e-7, 1e-6]}, seed=0)
        return getattr(optuna.samplers, sampler)(seed=0)

    space = {name: SPACE[name] for name in ("lr", "weight_decay")}
    theirs, url = database
    result = find(space=space, sampler=make(), trials=4)
    assert params(result) != params(find(trials=4))
    assert params(result) == params(find(space=space, sampler=make(), trials=4, storage=url))
    assert len({str(trial.params) for trial in result}) == 4

    with pytest.raises(KeyError):
        find(broken, space, sampler=make(), trials=4, storage=url, name="broken")
    study = optuna.load_study(study_name="broken", storage=theirs)
    tried = study.trials[3].params
    assert params(find(space=space, sampler=make(), trials=4, storage=url, name="broken"))[3] == tried


def test_a_sampler_that_goes_on_does_not_begin_again():
    storage = optuna.storages.InMemoryStorage()
    options = {"storage": storage, "catch": ()}
    first = find(sampler=optuna.samplers.RandomSampler(seed=0), trials=3, **options)
    both = find(sampler=optuna.samplers.RandomSampler(seed=0), trials=6, **options)
    assert len({trial.params["lr"] for trial in both}) == 6
    assert params(first)[2] == params(both)[2]


# What is refused, and what is left alone


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"train": "hill"}, TypeError, "train: expects a function"),
        ({"train": lambda params: 1.0}, TypeError, r"train: expects a function of \(params, trial\)"),
        ({"space": {}}, ValueError, "at least one range"),
        ({"space": {"lr": 0.1}}, TypeError, "'lr' expects LogUniform"),
        ({"trials": 0}, ValueError, "trials: expects an integer >= 1"),
        ({"seed": -1}, ValueError, "seed: expects an integer >= 0"),
        ({"workers": 0}, ValueError, "workers: expects an integer >= 1"),
        ({"direction": "up"}, ValueError, "direction: expects one of 'maximize', 'minimize'"),
        ({"pruner": "mean"}, ValueError, "pruner: expects one of 'median'"),
        ({"pruner": 3}, TypeError, "pruner: expects"),
        ({"sampler": "tpe"}, TypeError, "sampler: expects an Optuna sampler"),
        ({"storage": 3}, TypeError, "storage: expects a URL"),
        ({"storage": "sqlite:///:memory:"}, ValueError, "leave it out"),
        ({"name": ""}, ValueError, "name: expects"),
        ({"catch": [3]}, TypeError, "catch: expects types of exceptions"),
        ({"train": lambda params, trial: 1.0, "workers": 2}, TypeError, "cannot be sent to worker processes"),
        ({"storage": optuna.storages.InMemoryStorage(), "workers": 2}, ValueError, "several workers"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(options, error, message):
    def train(params, trial):
        pytest.fail("trained")

    with pytest.raises(error, match=message):
        find(**{"train": train, **options})


@pytest.mark.parametrize(("name", "value"), [("rounds", 0), ("keep", 1)])
def test_bad_rounds_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name}: expects an integer"):
        search.narrowing_search(hill, SPACE, progress=False, **{name: value})


def test_a_round_with_one_complete_trial_cannot_be_narrowed():
    with pytest.raises(ValueError, match="at least two complete trials"):
        search.narrowing_search(hill, SPACE, rounds=2, trials=1, progress=False)


def test_an_unknown_driver_is_told(tmp_path):
    with pytest.raises(ImportError, match="DB access module"):
        find(storage="mysql+pymysql://host/name")


def test_optuna_is_silent_and_keeps_its_verbosity(tmp_path, capfd):
    logger = logging.getLogger("optuna")
    before = logger.level
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        find(diverging, storage=f"sqlite:///{tmp_path}/search.db", trials=4)
        find(storage=str(tmp_path / "search.log"), trials=4)
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
    finally:
        logger.setLevel(before)
    assert capfd.readouterr() == ("", "")


def test_progress_is_a_line_for_each_trial_where_there_is_no_terminal(capsys):
    result = find(diverging, trials=12, progress=True, name="rates")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert len(lines) == 12
    assert lines[-1].startswith("rates, 12/12: trial 11 with lr ")
    assert lines[-1].endswith(f"best {result.best.value:.4g} in trial {result.best.number}")
    assert sum("the loss is nan" in line for line in lines) == 12 - len(result.complete)


def test_progress_is_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    result = find(progress=True, name="rates")
    err = capsys.readouterr().err
    assert "rates: 100%" in err
    assert "8/8" in err
    assert f"best {result.best.value:.4g} in trial {result.best.number}" in err


def test_optuna_is_imported_by_a_search_alone():
    code = (
        "import sys; import cnn_core; from cnn_core import search\n"
        "space = {'lr': search.LogUniform(1e-6, 1e-2)}\n"
        "assert 'optuna' not in sys.modules and 'matplotlib' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"], check=True)


def test_without_optuna_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'cnn_core\[search\]'"):
        find()
