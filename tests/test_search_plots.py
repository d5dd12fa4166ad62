"""Pictures of a search: what they show and what they refuse."""

import math

import numpy as np
import pytest

from cnn_core.search import (
    Choice,
    Integer,
    LogUniform,
    NarrowingResult,
    SearchResult,
    TrialResult,
    Uniform,
    plot_space,
    plot_trials,
)

pytest.importorskip("matplotlib")

SPACE = {"lr": LogUniform(1e-6, 1e-2), "optimizer": Choice("sgd", "adam"), "momentum": Uniform(0, 1)}


def make_result(count=7, space=SPACE, curves=True, scale=1.0):
    rng = np.random.default_rng(0)
    trials = []
    for number in range(count):
        state = {0: "pruned", 1: "failed"}.get(number, "complete")
        params = {name: parameter.sample(rng) for name, parameter in space.items()}
        value = None if state == "failed" else scale * number / count
        curve = (scale * 0.1, scale * number / count) if curves else ()
        train = (math.nan, scale * 0.9) if curves else ()
        steps = (1, 2) if curves else ()
        trials.append(TrialResult(number, params, state, value, steps, curve, train, 1.0, "diverged"))
    return SearchResult("rates", space, "maximize", trials)


def is_drawn(figure):
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    return bool((pixels < 250).any())


def test_the_best_curves_are_drawn_first():
    figure = plot_trials(make_result(), title="rates")
    panels = [panel for panel in figure.axes if panel.lines]
    assert len(figure.axes) == 10
    assert len(panels) == 7
    assert panels[0].get_title().startswith("1: 0.8571\nlr ")
    assert panels[5].get_title().startswith("6: pruned\nlr ")
    assert panels[6].get_title().startswith("7: failed")
    np.testing.assert_allclose(panels[0].lines[0].get_ydata(), [0.1, 6 / 7])
    assert [line.get_linestyle() for line in panels[0].lines] == ["-", "--"]
    assert panels[0].get_ylim() == (0, 1)
    assert figure.get_suptitle() == "rates"
    assert is_drawn(figure)


def test_no_more_curves_are_drawn_than_asked_for():
    assert len([panel for panel in plot_trials(make_result(30)).axes if panel.lines]) == 20
    assert len(plot_trials(make_result(), 3).axes) == 5
    assert plot_trials(make_result(scale=3)).axes[0].get_ylim()[1] > 1


def test_a_search_without_curves_has_none_to_draw():
    with pytest.raises(ValueError, match="no trial has a curve"):
        plot_trials(make_result(curves=False))


def test_the_space_is_drawn_on_its_scales():
    figure = plot_space(make_result(), "lr", "momentum")
    panel, bar = figure.axes
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "linear")
    assert (panel.get_xlabel(), panel.get_ylabel(), bar.get_ylabel()) == ("lr", "momentum", "value")
    complete, pruned, failed = panel.collections
    assert [len(part.get_offsets()) for part in (complete, pruned, failed)] == [5, 1, 1]
    best = make_result().best.params
    assert [best["lr"], best["momentum"]] in complete.get_offsets().tolist()
    (frame,) = panel.patches
    assert frame.get_linestyle() == "--"
    narrowed = make_result().narrowed()
    assert frame.get_xy()[:, 0].min() == narrowed["lr"].low
    assert frame.get_xy()[:, 1].max() == narrowed["momentum"].high
    assert is_drawn(figure)


def test_options_have_places_on_their_axis():
    panel = plot_space(make_result()).axes[0]  # the first two parameters
    assert [label.get_text() for label in panel.get_yticklabels()] == ["sgd", "adam"]
    assert set(panel.collections[0].get_offsets()[:, 1]) <= {0.0, 1.0}


def test_rounds_are_frames_within_frames():
    first = make_result(10)
    second = make_result(10, first.narrowed())
    figure = plot_space(NarrowingResult([first, second]), "lr", "momentum", keep=3)
    frames = figure.axes[0].patches
    assert [frame.get_linestyle() for frame in frames] == ["-", "--"]
    widths = [np.ptp(np.log(frame.get_xy()[:, 0])) for frame in frames]
    assert widths[0] > widths[1]
    assert len(figure.axes[0].collections[0].get_offsets()) == 16


@pytest.mark.parametrize("parameter", [LogUniform(1e-6, 1), Uniform(0, 1), Integer(1, 9), Choice("a", "b")])
def test_a_space_of_one_parameter_is_drawn_over_the_value(parameter):
    figure = plot_space(make_result(space={"it": parameter}))
    assert figure.axes[0].get_ylabel() == "value"
    assert is_drawn(figure)


@pytest.mark.parametrize(
    ("options", "message"), [({"x": "depth"}, "x: expects one of"), ({"y": "lr"}, "y: ")]
)
def test_unknown_and_equal_axes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        plot_space(make_result(), **options)


def test_a_search_without_complete_trials_has_nothing_to_draw():
    with pytest.raises(ValueError, match="no trial is complete"):
        plot_space(make_result(2))
