"""The experiments of the book: that each runs and leaves what it should, and on MNIST, that it reproduces.

MNIST and the book's weights are looked for in the folder that the environment variable CNN_CORE_DATA names.
"""

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_helpers import refused

from cnn_core import data
from cnn_core.book.experiments import EXPERIMENTS, Claim, Report, Result, Run, find_images
from cnn_core.book.experiments.convnets import DEEP
from cnn_core.book.experiments.experiment import columns, smoothed, spread
from cnn_core.cli import book, main

pytest.importorskip("matplotlib", reason="matplotlib, which draws the experiments, is not installed")

DATA = Path(os.environ.get("CNN_CORE_DATA", "/nonexistent"))
needs_mnist = pytest.mark.skipif(
    not (DATA / "mnist").is_dir(), reason="CNN_CORE_DATA names no folder with MNIST"
)
needs_weights = pytest.mark.skipif(
    not (DATA / "book").is_dir(), reason="CNN_CORE_DATA names no folder with the book's weights"
)


class Short(Run):
    """A run that trains hardly at all."""

    def amount(self, full: int, quick: int) -> int:
        return min(quick, 120 if quick > 100 else 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    (folder / "weights").mkdir()
    return folder


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_runs_on_the_digits_of_the_package(name, folder):
    experiment = EXPERIMENTS[name]
    if experiment.requires:
        pytest.importorskip(experiment.requires, reason=f"{experiment.requires} is not installed")
    seeds = (0, 1) if name == "optimizers" else (0,)
    run = Short(data.load_digits(), folder, seeds, quick=True)
    report = Report(folder, ["a test"])
    outcome = experiment.run(run)
    report.add(Result(experiment, outcome, 0.5, on_mnist=False))
    assert outcome.ours
    assert outcome.claims
    assert all(claim.held for claim in outcome.claims)  # none without a seed
    for end in outcome.figures:
        picture = folder / (f"{name}-{end}.png" if end else f"{name}.png")
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size > 5000
    for end, values in outcome.data.items():
        with open(folder / (f"{name}-{end}.csv" if end else f"{name}.csv"), newline="") as file:
            head, *rows = csv.reader(file)
        assert head == list(values)
        assert len(rows) == len(next(iter(values.values()))) > 0
    page = report.page.read_text(encoding="utf-8")
    assert experiment.title in page
    assert all(claim.text.split("'")[0] in page for claim in outcome.claims)


@pytest.mark.parametrize(
    "name", [name for name, experiment in EXPERIMENTS.items() if not experiment.uses_images]
)
def test_what_needs_no_images_is_reproduced_anywhere(name, folder):
    run = Run(data.load_digits(), folder, seeds=(0,))
    assert [claim.text for claim in EXPERIMENTS[name].run(run).claims if not claim.holds] == []


@needs_mnist
@pytest.mark.parametrize(
    "name",
    [
        "gradient-check",
        "batch-norm-gradient-check",
        "optimizers",
        "weight-init",
        "batch-norm",
    ],
)
def test_the_book_is_reproduced_on_mnist(name, folder):
    run = Run(data.load_mnist(download=False), folder, seeds=(0,), quick=True)
    assert [claim.text for claim in EXPERIMENTS[name].run(run).claims if not claim.holds] == []


@needs_mnist
@needs_weights
def test_the_weights_of_the_book_misread_what_its_notebook_shows(folder):
    mnist = data.load_mnist(download=False)
    first = replace(
        mnist, test=data.Arrays(mnist.test.x[:1000], mnist.test.t[:1000])
    )  # it shows those from these
    run = Run(first, folder, quick=True, weights_of_book=DATA / "book")
    # In place of a training of half a minute, whose result does not matter here.
    DEEP.fresh(run).save_params(folder / "weights" / "DeepConvNet-mnist-1-epochs.safetensors")
    claims = EXPERIMENTS["misclassified"].run(run).claims
    assert [claim.holds for claim in claims if "the book's weights" in claim.text] == [True]


def test_experiments_are_in_the_order_of_the_book():
    sections = [[int(n) for n in about.section.split(".")] for about in EXPERIMENTS.values()]
    assert sections == sorted(sections)
    assert len(EXPERIMENTS) == len({about.title for about in EXPERIMENTS.values()})


def test_digits_stand_in_for_mnist_and_it_is_said(tmp_path):
    images, why = find_images(tmp_path, download=False)
    assert images.name == "digits"
    assert "MNIST is not in" in why


def test_damaged_files_are_not_passed_over(tmp_path):
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    (tmp_path / "mnist").mkdir()
    for name in names:
        (tmp_path / "mnist" / f"{name}-ubyte").write_bytes(b"not MNIST")
    with pytest.raises(ValueError, match="ubyte"):
        find_images(tmp_path, download=False)


def test_command_lists_the_experiments(capsys):
    assert main(["book"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in EXPERIMENTS)


def test_command_runs_experiments_and_writes_the_page(tmp_path, capsys):
    names = ["activations", "optimizer-paths"]
    arguments = ["--no-download", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(["book", *names, *arguments]) == 0
    out, err = capsys.readouterr()
    assert "stand in for MNIST" in err
    for words in ("experiment", "published", "ours", "verdict", "reproduced", "[2/2] activations"):
        assert words in out
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count('<img alt="') == 4
    assert page.count("data:image/png;base64,") == 4
    assert "8x8 digits, in place of MNIST" in page


def test_command_says_which_experiments_there_are(capsys):
    assert refused(capsys, "book", "optimisers").startswith("no experiment is called optimisers; there are: ")


def test_command_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(book, "find_spec", lambda name: None)
    assert "pip install 'cnn_core[search]'" in refused(capsys, "book", "hyperparameters", "--out", tmp_path)
    monkeypatch.setattr(
        book, "EXPERIMENTS", {name: EXPERIMENTS[name] for name in ("hyperparameters", "optimizer-paths")}
    )
    assert main(["book", "all", "--no-download", "--out", str(tmp_path)]) == 0
    assert "left out: hyperparameters" in capsys.readouterr().err


def test_verdicts():
    experiment = EXPERIMENTS["optimizers"]

    def verdict(*held: bool, on_mnist: bool = True) -> str:
        claims = [Claim("it holds", [value]) for value in held]
        outcome = type("Outcome", (), {"claims": claims})
        return Result(experiment, outcome, 0.0, on_mnist).verdict

    assert verdict(True, True) == "reproduced"
    assert verdict(True, False) == "1 of 2 claims hold"
    assert verdict(True, on_mnist=False) == "stand-in digits: reproduced"
    assert not Claim("for some seeds only", [True, False]).holds


def test_means_over_a_window():
    values = np.random.default_rng(0).normal(size=50)
    means = smoothed(values, 5)
    assert means.shape == values.shape
    np.testing.assert_allclose(means[20], values[18:23].mean())
    np.testing.assert_allclose(means[0], values[:3].mean())
    np.testing.assert_allclose(means[-1], values[-3:].mean())


def test_numbers_in_words():
    assert spread([0.97812]) == "0.978"
    assert spread([0.97, 0.98]) == "0.970 ... 0.980"
    assert columns(("a", "b"), [(1, 2), (3, 4)]) == {"a": (1, 3), "b": (2, 4)}
