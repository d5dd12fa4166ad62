"""``cnn-core train``: what it reaches, what it leaves behind, how it goes on, and what it refuses."""

import json
import os
import signal
import sys

import numpy as np
import pytest
from cli_helpers import SHORT, assert_same_weights, refused, start, weights

from cnn_core import data
from cnn_core.cli import main
from cnn_core.cli._recipes import DEFAULT_MODELS, recommended
from cnn_core.files import load_tensors
from cnn_core.models import MODELS
from cnn_core.training import History, ProgressBar

pytestmark = pytest.mark.usefixtures("threads")  # whose number --threads changes

FILES = {"checkpoint.safetensors", "config.json", "history.csv", "history.json", "model.safetensors"}
PICTURES = {"confusion.png", "curves.png", "filters.png"}


def test_the_default_training_reaches_98_percent(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--no-plot"]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    output = capsys.readouterr()
    assert History.from_csv(folder / "history.csv")[-1].val_acc >= 0.98
    assert "digits: 1,433 images of 1x8x8 for training, 364 for testing" in output.out
    assert f"runs{os.sep}{folder.name}: checkpoint.safetensors, config.json" in output.out
    assert "epoch  1/" in output.err


def test_a_run_leaves_everything_in_its_folder(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out = tmp_path / "made" / "on" / "demand"
    assert main(["train", "--epochs", "2", "--quiet", "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == FILES | PICTURES
    assert all((out / name).read_bytes().startswith(b"\x89PNG") for name in PICTURES)
    lines = capsys.readouterr()
    assert lines.out.startswith("test accuracy ")
    assert lines.out.count("\n") == 1
    assert lines.err == ""
    history = History.from_json(out / "history.json")
    assert history == History.from_csv(out / "history.csv")
    assert history["epoch"] == [1, 2]
    config = json.loads((out / "config.json").read_text())
    assert config["model"] == {"name": "digits", "input_shape": [1, 8, 8], "options": {}}
    assert config["dataset"] == "digits"
    assert config["class_names"] == list("0123456789")
    assert config["training"]["epochs"] == 2
    np.testing.assert_allclose(config["normalize"]["mean"], data.load_digits().train.x.mean(), rtol=1e-5)


def test_runs_of_the_same_second_have_folders_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda format: "20260101-000000")
    for _ in range(2):
        assert main(SHORT) == 0
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["digits-20260101-000000", "digits-20260101-000000-2"]


def test_an_existing_run_is_never_overwritten(run, capsys):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert "exists and is not empty" in refused(capsys, *SHORT, "--out", run)
    assert before == {path.name: path.read_bytes() for path in run.iterdir()}


def test_threads_and_checkpoints_do_not_change_the_weights(tmp_path):
    folders = [tmp_path / name for name in "abc"]
    assert main([*SHORT, "--threads", "1", "--out", str(folders[0])]) == 0
    assert main([*SHORT, "--threads", "2", "--out", str(folders[1]), "--checkpoint-steps", "7"]) == 0
    assert main([*SHORT, "--seed", "1", "--out", str(folders[2])]) == 0
    assert_same_weights(weights(folders[0]), weights(folders[1]))
    assert not np.array_equal(weights(folders[0])["0.weight"], weights(folders[2])["0.weight"])


@pytest.mark.parametrize("step", [1, 36, 60, 72])  # of 36 in each of two epochs
def test_interrupted_and_resumed_ends_with_the_same_bits(step, tmp_path, monkeypatch, capsys):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    options = ["--validation", "0.2", "--patience", "2", "--warmup", "0.5", "--clip-norm", "1"]
    assert main([*SHORT, *options, "--out", str(whole)]) == 0

    def interrupt(self, trainer):
        if trainer.step == step:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "on_step_end", interrupt)
        assert main([*SHORT, *options, "--out", str(broken)]) == 130
    assert f"cnn-core train --resume {broken}" in capsys.readouterr().err
    assert not (broken / "model.safetensors").exists()
    assert "finish the training" in refused(capsys, "evaluate", broken)
    assert main(["train", "--resume", str(broken), "--no-plot", "--quiet", "--threads", "1"]) == 0
    assert_same_weights(weights(whole), weights(broken))
    timed = {"seconds", "images_per_second"}
    ours, theirs = (
        [{k: v for k, v in row.items() if k not in timed} for row in History.from_json(path).to_records()]
        for path in (whole / "history.json", broken / "history.json")
    )
    assert ours == theirs


def test_checking_the_numbers_changes_nothing_and_finds_the_layer(tmp_path, capsys):
    for name, options in (("plain", []), ("checked", ["--check-numbers"])):
        assert main([*SHORT, "--out", str(tmp_path / name), *options]) == 0
    assert_same_weights(weights(tmp_path / "checked"), weights(tmp_path / "plain"))
    huge = [*SHORT, "--optimizer", "sgd", "--lr", "1e30", "--out"]
    assert "debug=True" in refused(capsys, *huge, tmp_path / "huge")
    message = refused(capsys, *huge, tmp_path / "found", "--check-numbers")
    assert " first seen in the " in message
    assert "(epoch 1, step " in message


def test_killed_before_the_first_checkpoint_starts_again(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert main([*SHORT, "--out", str(whole)]) == 0
    broken.mkdir()
    (broken / "config.json").write_bytes((whole / "config.json").read_bytes())
    assert main(["train", "--resume", str(broken), "--no-plot", "--quiet"]) == 0
    assert_same_weights(weights(whole), weights(broken))


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_and_kill_9_from_outside(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    arguments = ["train", "--epochs", "12", "--no-plot", "--checkpoint-steps", "5", "--out"]
    assert main([*arguments, str(whole), "--quiet"]) == 0
    command = [*arguments, broken]
    for blow, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        process = start(*command)
        process.stderr.readline()  # an epoch is done
        process.send_signal(blow)
        _, err = process.communicate(timeout=120)
        if process.returncode == 0:
            pytest.skip("the training was over before the signal came")
        assert process.returncode == code
        assert b"Traceback" not in err
        command = ["train", "--resume", broken, "--no-plot"]
    assert main(["train", "--resume", str(broken), "--no-plot", "--quiet"]) == 0
    assert_same_weights(weights(whole), weights(broken))


def test_a_finished_run_resumes_to_itself(run, trained):
    (run / "model.safetensors").unlink()
    assert main(["train", "--resume", str(run), "--no-plot", "--quiet"]) == 0
    assert_same_weights(weights(run), weights(trained))


@pytest.mark.parametrize("change", [["mnist"], ["--lr", "0.1"], ["--epochs", "3"], ["--out", "x"]])
def test_resume_refuses_other_settings(change, run, capsys):
    assert f"leave out {change[0].replace('mnist', 'dataset')}" in refused(
        capsys, "train", *change, "--resume", run
    )


def test_early_stopping_keeps_the_best_weights(tmp_path, monkeypatch):
    arguments = ["--validation", "0.3", "--patience", "1", "--epochs", "40", "--lr", "0.02"]
    assert main(["train", "--no-plot", "--quiet", "--out", str(tmp_path / "run"), *arguments]) == 0
    history = History.from_json(tmp_path / "run" / "history.json")
    assert len(history) < 40
    assert history.best("val_loss").epoch == len(history) - 1
    stopped = load_tensors(tmp_path / "run" / "checkpoint.safetensors")[0]["model.0.weight"]
    assert not np.array_equal(weights(tmp_path / "run")["0.weight"], stopped)


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "mlp", "--model-option", "hidden=[20]"],
        ["--model", "simple", "--model-option", "filters=4", "--model-option", "init=xavier_normal"],
        ["--model", "vgg", "--model-option", "widths=[[4],[8]]", "--batch-size", "100"],
        ["--optimizer", "sgd", "--schedule", "step", "--augment", "none"],
        ["--optimizer", "momentum", "--schedule", "exponential", "--augment", "rotate=15,crop=1"],
        ["--optimizer", "adagrad", "--schedule", "constant", "--label-smoothing", "0.1"],
        ["--optimizer", "rmsprop", "--schedule", "plateau", "--weight-decay", "0.001"],
        ["--optimizer", "adamw", "--schedule", "cosine", "--validation", "0.1"],
        ["--optimizer", "nesterov", "--schedule", "plateau", "--validation", "0.1", "--augment", "flip"],
    ],
)
def test_other_networks_and_settings_train_and_come_back(options, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(["train", "--epochs", "1", "--no-plot", "--quiet", "--out", str(out), *options]) == 0
    result = capsys.readouterr().out
    assert main(["evaluate", str(out)]) == 0
    assert result in capsys.readouterr().out


def test_a_run_without_matplotlib_has_no_pictures_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["train", "--epochs", "1", "--quiet", "--out", str(tmp_path / "run")]) == 0
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    assert "no pictures: matplotlib is needed to draw: pip install" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--lr", "-1"], "lr: expects a number > 0"),
        (["--lr", "nan"], "lr: expects a finite number"),
        (["--epochs", "0"], "epochs: expects an integer >= 1"),
        (["--batch-size", "0"], "batch_size: expects an integer >= 1"),
        (["--seed", "-3"], "seed: expects an integer >= 0"),
        (["--threads", "0"], "expects 1 to 256 threads"),
        (["--validation", "1"], "validation: expects"),
        (["--validation", "0.0001"], "leaves one part empty"),
        (["--patience", "3"], "add --validation"),
        (["--warmup", "2", "--epochs", "2"], "warmup: expects"),
        (["--augment", "shift"], "augment: expects such as"),
        (["--augment", "flip=2"], "augment: expects such as"),
        (["--augment", "none,flip"], "augment: expects such as"),
        (["--augment", "shift=1.5"], "whole pixels"),
        (["--augment", "shift=x"], "shift expects a number"),
        (["--augment", "blur=1"], "augment: expects one of"),
        (["--model", "lenet"], "kernel 5 is larger than the padded input 4"),
        (["--model-option", "hiden=3"], "hiden"),
        (["--model-option", "hidden"], "expects NAME=VALUE"),
        (["--model-option", "hidden=many"], "out_features"),
        (["--lr", "1e30", "--schedule", "constant"], "Try a lower rate"),
        (["--resume", "nowhere"], "is not the folder of a run"),
        (["mnist", "--no-download", "--data", "nowhere"], "MNIST is not in nowhere"),
    ],
)
def test_bad_options_are_refused_before_there_is_a_run(options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, "train", "--quiet", *options)
    if "1e30" not in options:  # which shows only in training
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dataset", data.DATASETS)
@pytest.mark.parametrize("model", MODELS)
def test_every_data_set_has_settings_for_every_network(dataset, model):
    settings = recommended(dataset, model)
    assert settings.make_optimizer().lr == settings.lr
    schedule = settings.make_schedule(1000)
    steps = settings.epochs * -(-1000 // settings.batch_size)
    assert max(map(schedule, range(steps))) == pytest.approx(settings.lr, rel=1e-3)
    assert schedule(steps - 1) < 0.01 * settings.lr
    assert settings.make_augmentation(0.0) is not None
    assert DEFAULT_MODELS[dataset] in MODELS


def test_another_optimizer_comes_with_its_own_rate():
    assert recommended("cifar10", "resnet20", optimizer="adamw").lr == 0.001
    assert recommended("cifar10", "resnet20", optimizer="adamw").weight_decay == 0.01
    assert recommended("mnist", "simple", optimizer="sgd", lr=0.3).lr == 0.3
