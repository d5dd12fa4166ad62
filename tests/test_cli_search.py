"""``cnn-core search``: what it finds, what it leaves behind, how it goes on, and what it refuses."""

import csv
import dataclasses
import json
import shlex
import sys

import numpy as np
import pytest
from cli_helpers import refused

from cnn_core import data
from cnn_core.cli import _search, main
from cnn_core.cli._search import SearchConfig, ShortTraining
from cnn_core.cli._settings import Settings

pytest.importorskip("optuna")
pytestmark = pytest.mark.usefixtures("threads")  # whose number --threads changes

FILES = {"search.json", "search.log", "trials.csv"}
TINY = ["--model", "mlp", "--model-option", "hidden=[20]", "--examples", "300", "--epochs", "2"]
SHORT = ["search", *TINY, "--trials", "4", "--rounds", "2", "--quiet", "--no-plot", "--out"]


def search(*argv):
    return main([str(part) for part in argv])


def trials(folder):
    """The lines of trials.csv, without the column of seconds."""
    rows = list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def test_a_search_ends_with_a_command_that_trains(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out = tmp_path / "search"
    assert search("search", *TINY, "--trials", 6, "--rounds", 2, "--batch-size", 25, "--out", out) == 0
    printed = capsys.readouterr()
    assert {path.name for path in out.iterdir()} == FILES | {"round-1.png", "round-2.png", "space.png"}
    assert "digits: 240 images for training, 60 for validation" in printed.out
    assert "round 2: lr " in printed.out
    assert printed.err.count("\n") == 12
    assert "round 2 of 2, 6/6: trial " in printed.err
    rows = trials(out)
    assert [(row["round"], row["rank"]) for row in rows] == [(r, str(i + 1)) for r in "12" for i in range(6)]
    rates = [float(row["lr"]) for row in rows]
    assert (
        1e-5 <= min(rates) < max(rates) <= 1e-2
    )  # around 0.001, which cnn-core train uses with this network
    words = shlex.split(printed.out.splitlines()[-1])
    assert words[:4] == ["cnn-core", "train", "digits", "--model"]
    assert words[7:9] == ["--batch-size", "25"]
    best = next(row for row in rows if row["round"] == "2")
    assert float(words[words.index("--lr") + 1]) == pytest.approx(float(best["lr"]), rel=1e-3)
    assert search(*words[1:], "--epochs", 1, "--quiet", "--no-plot", "--out", tmp_path / "run") == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["model"]["options"] == {"hidden": [20]}
    assert config["training"]["batch_size"] == 25


def test_workers_and_storages_do_not_change_the_result(tmp_path, capsys):
    one, other, third = tmp_path / "one", tmp_path / "other", tmp_path / "third"
    assert search(*SHORT, one) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.count("\n") == 1
    url = tmp_path / "shared.log"
    assert search(*SHORT, other, "--workers", 2, "--threads", 2, "--storage", url) == 0
    assert trials(other) == trials(one)
    assert capsys.readouterr() == said
    size = url.stat().st_size
    assert search(*SHORT, third, "--storage", url) == 0  # all is done already
    assert trials(third) == trials(one)
    assert url.stat().st_size - size < 1000
    assert search(*SHORT, tmp_path / "fourth", "--storage", url, "--batch-size", 50) == 0  # another search
    assert trials(tmp_path / "fourth") != trials(one)


def test_an_interrupted_search_goes_on(tmp_path, capsys, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert search(*SHORT, whole) == 0
    train = ShortTraining.__call__

    def interrupted(self, params, trial):
        if trial.number == 2:
            raise KeyboardInterrupt
        return train(self, params, trial)

    monkeypatch.setattr(ShortTraining, "__call__", interrupted)
    capsys.readouterr()
    assert search(*SHORT, out) == 130
    assert f"interrupted; go on with: cnn-core search --resume {out}" in capsys.readouterr().err
    assert len(trials(out)) == 2
    monkeypatch.undo()
    assert search("search", "--resume", out, "--quiet", "--no-plot") == 0
    assert trials(out) == trials(whole)
    assert search("search", "--resume", out, "--quiet", "--no-plot", "--rounds", 3) == 0
    assert trials(out)[:8] == trials(whole)
    assert len(trials(out)) == 12


def test_the_test_images_are_not_used(tmp_path, monkeypatch):
    assert search(*SHORT, tmp_path / "one") == 0
    load = data.load_digits

    def spoiled(**options):
        dataset = load(**options)
        nothing = data.Arrays(np.full_like(dataset.test.x, np.nan), dataset.test.t)
        return dataclasses.replace(dataset, test=nothing)

    monkeypatch.setitem(data.DATASETS, "digits", spoiled)
    monkeypatch.setattr(_search, "_prepare", _search._prepare.__wrapped__)  # not what is remembered
    assert search(*SHORT, tmp_path / "other") == 0
    assert trials(tmp_path / "other") == trials(tmp_path / "one")


def test_diverging_and_pruned_trials_are_reported(tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--optimizer", "sgd", "--lr", "1e-4,1e4", "--pruner", "median", "--trials", 24, "--rounds", 1]
    assert search("search", *TINY[:-1], 3, *options, "--no-plot", "--out", out) == 0
    states = {row["state"] for row in trials(out)}
    assert states == {"complete", "failed", "pruned"}
    assert any("the weights are those before this step" in row["reason"] for row in trials(out))
    printed = capsys.readouterr()
    assert "the loss is nan in epoch 1" in printed.err
    assert "the weights" not in printed.err + printed.out


def test_a_value_at_the_end_of_its_range_is_pointed_out(tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--lr", "1e-9,1e-6", "--trials", "6", "--rounds", 1]
    assert search("search", *TINY, *options, "--no-plot", "--out", out) == 0
    printed = capsys.readouterr().out
    rate = max(trials(out), key=lambda row: float(row["value"]))["lr"]
    assert ("is near the upper end of --lr" in printed) == (float(rate) > 10**-6.3)


def test_missing_matplotlib_costs_only_the_pictures(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert search(*SHORT[:-2], "--out", tmp_path / "out") == 0
    assert "no pictures" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--lr", "1e-2,1e-6"], "LogUniform: expects low <= high"),
        (["--lr", "0,1"], "LogUniform: low: expects a number > 0"),
        (["--trials", "1"], "trials: expects an integer >= 2"),
        (["--keep", "1"], "keep: expects an integer >= 2"),
        (["--validation", "0"], "a search judges by validation images"),
        (["--validation", "1"], "validation: expects a number"),
        (["--epochs", "0"], "epochs: expects an integer >= 1"),
        (["--examples", "1"], "examples: expects an integer >= 2"),
        (["--storage", "sqlite:///:memory:"], "storage: expects a file or a server"),
        (["--model-option", "depth=3"], "options of the digits network: expects"),
    ],
)
def test_bad_options_are_refused(argv, message, tmp_path, capsys):
    assert message in refused(capsys, "search", "digits", *argv, "--quiet", "--out", tmp_path / "out")


def test_bad_ranges_are_refused_by_the_parser(capsys):
    assert search("search", "--lr", "0.1") == 2
    assert "expects LOW,HIGH such as 1e-6,1e-2" in capsys.readouterr().err


def test_resuming_needs_a_search(tmp_path, capsys):
    assert "it has no search.json" in refused(capsys, "search", "--resume", tmp_path)
    given = refused(capsys, "search", "digits", "--resume", tmp_path, "--lr", "1e-6,1e-2", "--batch-size", 3)
    assert given.endswith("leave out dataset, --batch-size, --lr")
    for damage in ["", "{}", "[]", '{"version": 2}', '{"version": 1, "cnn_core": "1"}', "[" * 100_000]:
        (tmp_path / "search.json").write_text(damage)
        assert "is not a search of cnn-core search" in refused(capsys, "search", "--resume", tmp_path)


def test_the_configuration_comes_back():
    config = SearchConfig(
        dataset="digits",
        model="mlp",
        options={"hidden": [20]},
        settings=Settings(3, 32, "adam", 0.001, 0.0, "constant", validation=0.2),
        lr=(1e-6, 1e-2),
        weight_decay=(1e-8, 1e-4),
        examples=None,
        trials=30,
        rounds=3,
        keep=None,
        pruner="none",
        storage="mysql+pymysql://somewhere/searches",
    )
    again = SearchConfig.from_json(config.to_json(), "there")
    assert again == config
    assert again.name() == config.name()
    longer = dataclasses.replace(config, trials=50, rounds=5, storage=None)
    assert longer.name() == config.name()
    assert dataclasses.replace(config, lr=(1e-7, 1e-2)).name() != config.name()
    broken = json.loads(config.to_json())
    broken["settings"]["epochs"] = -1
    with pytest.raises(ValueError, match="there: is not a search of cnn-core search: epochs: expects"):
        SearchConfig.from_json(json.dumps(broken), "there")
