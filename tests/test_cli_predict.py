"""``cnn-core predict``: pictures of all kinds, and what is none."""

import json
import sys

import numpy as np
import pytest
from cli_helpers import refused

from cnn_core import data
from cnn_core.cli import main


def digit(number):
    """A test image of a digit, 8x8 in 0 ... 1."""
    test = data.load_digits().test
    return test.x[np.flatnonzero(test.t == number)[0], 0]


def predicted(capsys, folder, *argv):
    """The most probable class of each picture."""
    capsys.readouterr()
    assert main(["predict", str(folder), *map(str, argv), "--json"]) == 0
    return [record["class"] for record in json.loads(capsys.readouterr().out)]


def test_predict_prints_classes_and_probabilities(trained, tmp_path, capsys):
    paths = [tmp_path / f"{number}.npy" for number in (0, 4, 6)]
    for path in paths:
        np.save(path, digit(int(path.stem)))
    assert main(["predict", str(trained), *map(str, paths), "--top", "2"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == [str(path) for path in paths]
    assert [line[1] for line in lines] == ["0", "4", "6"]
    assert all(len(line) == 1 + 2 * 3 and line[3] == "%" for line in lines)
    assert main(["predict", str(trained), str(paths[0]), "--json"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["image"] == str(paths[0])
    assert sum(record["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert list(record["probabilities"]) == list("0123456789")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16", "F", "CMYK", "LA"])
@pytest.mark.parametrize("scale", [1, 5])
def test_predict_reads_pictures_of_all_kinds(mode, scale, trained, tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    pixels = np.kron(digit(4), np.ones((scale, scale)))
    if mode == "F":
        picture = image.fromarray(pixels.astype(np.float32))
    elif mode == "I;16":
        picture = image.fromarray((65535 * pixels).astype(np.uint16))
    else:
        picture = image.fromarray((255 * pixels).astype(np.uint8)).convert(mode)
    suffix = {"F": "tiff", "CMYK": "tiff", "P": "gif"}.get(mode, "png")
    picture.save(tmp_path / f"four.{suffix}")
    assert predicted(capsys, trained, tmp_path / f"four.{suffix}") == ["4"]


def test_predict_inverts_ink_on_paper(trained, tmp_path, capsys):
    image = pytest.importorskip("PIL.Image")
    image.fromarray((255 - 255 * digit(0)).astype(np.uint8)).save(tmp_path / "paper.pgm")
    assert predicted(capsys, trained, tmp_path / "paper.pgm", "--invert") == ["0"]
    see_through = np.zeros((8, 8, 4), np.uint8)  # black ink on nothing: laid on white
    see_through[..., 3] = 255 * digit(0)
    image.fromarray(see_through).save(tmp_path / "clear.png")
    assert predicted(capsys, trained, tmp_path / "clear.png", "--invert") == ["0"]


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x,
        lambda x: x.astype(np.float64)[None],
        lambda x: np.repeat(x[..., None], 3, axis=2),
        lambda x: (255 * x).astype(np.uint8),
        lambda x: np.repeat((65535 * x).astype(np.uint16)[None], 3, axis=0),
        lambda x: np.kron(x, np.ones((4, 3))),
        lambda x: np.asfortranarray(x),
        lambda x: x.astype(">f4"),
    ],
)
def test_predict_reads_arrays_of_all_kinds(convert, trained, tmp_path, capsys):
    np.save(tmp_path / "six.npy", convert(digit(6)))
    assert predicted(capsys, trained, tmp_path / "six.npy") == ["6"]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(8), r"expects a picture"),
        (np.zeros((5, 8, 8)), r"expects a picture"),
        (np.zeros((0, 8)), r"expects a picture"),
        (np.full((8, 8), 16.0), r"floats in 0 ... 1, got float64 in 16.0 ... 16.0"),
        (np.full((8, 8), np.nan), r"floats in 0 ... 1"),
        (np.zeros((8, 8), np.int64), r"got int64"),
        (np.zeros((8, 8), complex), r"got complex128"),
        (np.full((8, 8), None), r"is not an array in numpy's format"),
    ],
)
def test_predict_refuses_arrays_that_are_no_pictures(array, message, trained, tmp_path, capsys):
    np.save(tmp_path / "x.npy", array, allow_pickle=True)
    assert message in refused(capsys, "predict", trained, tmp_path / "x.npy")


def test_predict_refuses_files_that_are_no_pictures(trained, tmp_path, capsys):
    pytest.importorskip("PIL")
    for name in ("x.npy", "x.png"):
        (tmp_path / name).write_bytes(b"not a picture")
        assert str(tmp_path / name) in refused(capsys, "predict", trained, tmp_path / name)
        assert "no such file" in refused(capsys, "predict", trained, tmp_path / f"no{name}").lower()
    np.save(tmp_path / "x.npy", np.zeros((8, 8)))
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(whole[:-1])
    assert "x.npy" in refused(capsys, "predict", trained, tmp_path / "x.npy")


def test_predict_without_pillow_says_what_to_install(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "pip install pillow" in refused(capsys, "predict", trained, tmp_path / "x.png")
