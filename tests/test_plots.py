"""Pictures of a training: what they show, what they refuse, and that no window opens."""

import subprocess
import sys

import numpy as np
import pytest

from cnn_core import plots
from cnn_core.layers import Conv2d, Flatten, Linear, ReLU, Sequential
from cnn_core.training import Epoch, History

pytest.importorskip("matplotlib")


def make_history(epochs=5, validation=True, classes=True):
    rows = []
    for i in range(1, epochs + 1):
        accuracy = 1 - 0.5 / i if classes else None
        rows.append(
            Epoch(
                epoch=i,
                step=10 * i,
                train_loss=1 / i,
                train_acc=accuracy,
                val_loss=1.1 / i if validation else None,
                val_acc=accuracy if validation else None,
                lr=0.1,
                seconds=1.0,
                images_per_second=100.0,
            )
        )
    return History(rows)


def is_drawn(figure):
    """Draw it, and say whether more than the white ground came out."""
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    return bool((pixels < 250).any())


def test_history_has_a_panel_for_loss_and_one_for_accuracy():
    figure = plots.plot_history(make_history(), title="a network", validation_label="test images")
    loss, accuracy = figure.axes
    assert figure.get_suptitle() == "a network"
    assert [panel.get_xlabel() for panel in figure.axes] == ["epoch", "epoch"]
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy (%)")
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["training batches", "test images"]
    np.testing.assert_allclose(loss.lines[1].get_ydata(), [1.1 / i for i in range(1, 6)])
    np.testing.assert_allclose(accuracy.lines[0].get_ydata(), [100 - 50 / i for i in range(1, 6)])
    assert is_drawn(figure)


def test_curves_that_were_not_measured_are_left_out():
    figure = plots.plot_history(make_history(validation=False, classes=False))
    (loss,) = figure.axes
    assert len(loss.lines) == 1
    assert is_drawn(figure)


@pytest.mark.parametrize("epochs", [1, 2, 200])
def test_history_of_any_length(epochs):
    figure = plots.plot_history(make_history(epochs))
    assert is_drawn(figure)
    low, high = figure.axes[1].get_ylim()
    assert low < 100 - 50 / epochs < high


def test_losses_of_zero_and_perfect_accuracy_are_drawn():
    perfect = Epoch(1, 1, 0.0, 1.0, 0.0, 1.0, 0.1, 1.0, 1.0)
    figure = plots.plot_history(History([perfect, perfect]))
    assert figure.axes[0].get_yscale() == "linear"
    assert is_drawn(figure)


def test_an_empty_history_is_refused():
    with pytest.raises(ValueError, match="no epochs"):
        plots.plot_history(History())


@pytest.mark.parametrize("count", [1, 2, 6, 16, 30, 64, 97])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_filter_is_drawn(count, channels):
    weights = np.random.default_rng(0).standard_normal((count, channels, 3, 5)).astype(np.float32)
    figure = plots.plot_filters(weights, title="filters")
    assert len(figure.axes[0].images) == count
    assert [panel.get_ylabel() for panel in figure.axes[1:]] == ["weight"] * (channels == 1)


def test_filters_share_one_scale_around_zero():
    weights = np.zeros((2, 1, 2, 2))
    weights[1, 0, 0, 0] = -3
    figure = plots.plot_filters(weights)
    assert [image.get_clim() for image in figure.axes[0].images] == [(-3, 3), (-3, 3)]
    assert is_drawn(figure)


def test_filters_of_zero_and_too_many_filters_are_drawn():
    assert is_drawn(plots.plot_filters(np.zeros((1, 1, 3, 3))))
    figure = plots.plot_filters(np.ones((150, 1, 3, 3)))
    assert len(figure.axes[0].images) == 100


@pytest.mark.parametrize("shape", [(4, 2, 3, 3), (4, 3, 3), (0, 1, 3, 3), (4, 1, 0, 3)])
def test_filters_that_are_no_pictures_are_refused(shape):
    with pytest.raises(ValueError, match="expects"):
        plots.plot_filters(np.zeros(shape))


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ([Conv2d(1, 5, 3), ReLU()], (5, 1, 3, 3)),
        ([ReLU(), Conv2d(3, 2, (3, 1))], (2, 3, 3, 1)),
        ([Flatten(), Linear(48, 7)], (7, 3, 4, 4)),
        ([Conv2d(2, 5, 3)], None),
        ([Conv2d(3, 5, 1)], None),
        ([Linear(5, 7)], None),
        ([ReLU()], None),
    ],
)
def test_first_filters(layers, shape):
    weights = plots.first_filters(Sequential(*layers), (3, 4, 4))
    assert shape == (None if weights is None else weights.shape)


def test_confusion_matrix_shows_its_numbers():
    matrix = np.array([[7, 0, 1], [0, 9, 0], [2, 0, 12345]])
    figure = plots.plot_confusion_matrix(matrix, ("cat", "dog", "elephant"), title="animals")
    (panel,) = figure.axes
    assert sorted(text.get_text() for text in panel.texts) == ["1", "12345", "2", "7", "9"]
    assert (panel.get_xlabel(), panel.get_ylabel()) == ("predicted class", "true class")
    assert [label.get_text() for label in panel.get_yticklabels()] == ["cat", "dog", "elephant"]
    assert is_drawn(figure)


def test_confusion_matrix_of_a_class_without_images():
    assert is_drawn(plots.plot_confusion_matrix([[0, 0], [1, 0]], "ab"))


@pytest.mark.parametrize(("shape", "names"), [((2, 3), "ab"), ((2, 2), "abc"), ((0, 0), "")])
def test_a_confusion_matrix_must_fit_its_classes(shape, names):
    with pytest.raises(ValueError, match="matrix: expects"):
        plots.plot_confusion_matrix(np.zeros(shape, int), names)


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_saving_chooses_the_format_by_suffix(suffix, magic, tmp_path):
    path = tmp_path / f"curves{suffix}"
    plots.save(plots.plot_history(make_history()), path)
    assert path.read_bytes().startswith(magic)
    assert list(tmp_path.iterdir()) == [path]


def test_an_unknown_format_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(ValueError, match="xyz"):
        plots.save(plots.plot_history(make_history()), tmp_path / "curves.xyz")
    assert not list(tmp_path.iterdir())


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'cnn_core\[plot\]'"):
        plots.plot_confusion_matrix([[1]], "a")


def test_no_window_and_no_global_state():
    code = (
        "import sys; from cnn_core import plots; assert 'matplotlib' not in sys.modules\n"
        "plots.plot_filters(__import__('numpy').ones((2, 1, 3, 3)))\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    path = f"import sys; sys.path[:0] = {sys.path!r}\n"
    subprocess.run([sys.executable, "-c", path + code], check=True, timeout=120)
