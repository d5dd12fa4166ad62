"""``cnn-core evaluate``: the numbers of a trained network, and files that are not one."""

import json

import numpy as np
import pytest
from cli_helpers import refused

from cnn_core import data
from cnn_core.cli import main
from cnn_core.files import load_tensors, save_tensors
from cnn_core.training import History

pytestmark = pytest.mark.usefixtures("threads")  # whose number --threads changes


def test_evaluate_prints_a_table(trained, capsys):
    assert main(["evaluate", str(trained)]) == 0
    first, _, head, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("digits on digits: test accuracy 9")
    assert head.split() == ["class", "images", "right", "mostly", "taken", "for"]
    assert [row.split()[0] for row in rows] == list("0123456789")


def test_evaluate_takes_the_model_alone_and_prints_json(trained, tmp_path, capsys):
    alone = tmp_path / "model.safetensors"
    alone.write_bytes((trained / "model.safetensors").read_bytes())
    assert main(["evaluate", str(alone), "digits", "--json", "--batch-size", "50", "--threads", "1"]) == 0
    result = json.loads(capsys.readouterr().out)
    last = History.from_json(trained / "history.json")[-1]
    assert result["images"] == 364
    assert result["accuracy"] == last.val_acc
    assert result["loss"] == pytest.approx(last.val_loss, rel=1e-5)
    assert np.trace(result["confusion_matrix"]) == round(364 * last.val_acc)
    assert result["top_5_accuracy"] >= result["accuracy"]


def test_evaluate_takes_weights_with_the_configuration_beside_them(run, capsys):
    tensors, _ = load_tensors(run / "model.safetensors")
    save_tensors(run / "other.npz", tensors)
    assert main(["evaluate", str(run / "other.npz")]) == 0
    (run / "config.json").unlink()
    assert "does not say which network" in refused(capsys, "evaluate", run / "other.npz")
    assert "is not the folder of a run" in refused(capsys, "evaluate", run)


def test_evaluate_draws_the_confusion_matrix(trained, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "confusion.svg"
    assert main(["evaluate", str(trained), "--confusion", str(picture)]) == 0
    assert b"</svg>" in picture.read_bytes()
    assert "Format 'xyz'" in refused(capsys, "evaluate", trained, "--confusion", tmp_path / "c.xyz")
    assert "No such file" in refused(capsys, "evaluate", trained, "--confusion", tmp_path / "no" / "c.png")


def test_evaluate_on_data_of_another_shape_is_refused(trained, monkeypatch, capsys):
    images = data.Arrays(np.zeros((4, 1, 28, 28), np.float32), np.arange(4))
    other = data.DataSet("mnist", images, images, tuple("0123456789"))
    monkeypatch.setitem(data.DATASETS, "mnist", lambda root=None, download=True: other)
    message = refused(capsys, "evaluate", trained, "mnist")
    assert "takes images of (1, 8, 8) in 10 classes, but mnist has (1, 28, 28) in 10" in message


def change(config, path, value):
    """Replace or remove one entry of a configuration."""
    *parents, last = path
    for name in parents:
        config = config[name]
    if value is None:
        del config[last]
    else:
        config[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["version"], 99, "has version 99"),
        (["version"], None, "lacks 'version'"),
        (["dataset"], "imagenet", "dataset: expects one of"),
        (["model", "name"], "__import__", "model: expects one of"),
        (["model", "input_shape"], [1, -8, 8], "input_shape: expects an integer >= 1"),
        (["model", "input_shape"], 8, "not iterable"),
        (["model", "options"], {"rng": 1}, "options of the digits network"),
        (["model", "options"], {"filters": 33}, '"0.weight" has shape'),
        (["class_names"], [], "class_names"),
        (["class_names"], [1, 2], "class_names"),
        (["class_names"], ["a", "b"], '"9.weight" has shape'),
        (["normalize", "mean"], [0, 0], "mean and std"),
        (["normalize"], {"mean": [0, 0], "std": [1, 1]}, "expects 1 channels"),
        (["training", "lr"], "fast", "lr: expects a real number"),
        (["training", "lr"], None, "training: expects epochs"),
        (["training"], [], "training: expects epochs"),
    ],
)
def test_a_damaged_configuration_is_refused(path, value, message, run, capsys):
    config = json.loads((run / "config.json").read_text())
    change(config, path, value)
    (run / "config.json").write_text(json.dumps(config))
    tensors, _ = load_tensors(run / "model.safetensors")
    save_tensors(run / "model.safetensors", tensors)
    assert message in refused(capsys, "evaluate", run)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"3", b"\xff", b"[" * 100_000])
def test_a_configuration_that_is_none_is_refused(text, run, capsys):
    (run / "config.json").write_bytes(text)
    assert "config.json: is not a configuration" in refused(capsys, "train", "--resume", run)


@pytest.mark.parametrize("name", ["model.safetensors", "checkpoint.safetensors"])
def test_a_truncated_file_is_refused(name, run, capsys):
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: len(content) // 2])
    command = ["evaluate", run] if name.startswith("model") else ["train", "--resume", run]
    assert name in refused(capsys, *command)


def test_what_is_missing_is_named(tmp_path, capsys):
    assert "nothing: no such run or model file" in refused(capsys, "evaluate", tmp_path / "nothing")
    assert "is not the folder of a run" in refused(capsys, "predict", tmp_path, "x.png")
    (tmp_path / "model.pkl").write_bytes(b"x")
    assert "the suffix must be one of" in refused(capsys, "evaluate", tmp_path / "model.pkl")
