"""The profile of a network: every layer is there, and the network is what it was."""

import copy
import json

import numpy as np
import pytest

import cnn_core as cc
from cnn_core.bench import Profile, Roofline, profile
from cnn_core.bench.roofline import Level

ROOFLINE = Roofline(1, 100e9, (Level("memory", None, 20e9),))
QUICK = {"seconds": 0.0, "least_passes": 2}


class Scale(cc.Layer):
    """A layer of a user: trainable, with memory of its own."""

    def __init__(self, channels):
        super().__init__()
        self.add_param("weight", np.ones((channels, 1, 1), np.float32))
        self.seen = 0

    def forward(self, x, training=False):
        self.check_input(x)
        self.seen += len(x)
        y = x * self.params["weight"]
        self.remember(training, y, x)
        return y

    def backward(self, dy, *, accumulate=False, need_dx=True):
        (x,) = self.recall(dy)
        self.store_grads(accumulate, weight=(dy * x).sum((0, 2, 3))[:, None, None])
        return dy * self.params["weight"] if need_dx else None


class Twice(cc.Container):
    """A container of a user."""

    def __init__(self, layer):
        super().__init__({"inner": layer})
        self.inner = layer

    def forward(self, x, training=False):
        return 2 * self.inner.forward(x, training)

    def backward(self, dy, *, accumulate=False, need_dx=True):
        return self.inner.backward(2 * dy, accumulate=accumulate, need_dx=need_dx)

    def trace(self, shape, before, steps):
        return self.inner.trace(shape, before, steps)


def network():
    return cc.Sequential(
        cc.Conv2d(2, 4, 3, padding=1, rng=0),
        cc.BatchNorm2d(4),
        cc.ReLU(),
        cc.Residual(cc.Sequential(cc.Conv2d(4, 4, 3, padding=1, rng=1), Scale(4))),
        cc.Concat(cc.Conv2d(4, 2, 1, rng=2), cc.Sequential(cc.MaxPool2d(1), cc.Identity())),
        Twice(Scale(6)),
        cc.Dropout(0.5, rng=3),
        cc.Flatten(),
        cc.Linear(6 * 6 * 6, 3, rng=4),
    )


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((5, 2, 6, 6), np.float32)


def test_every_leaf_has_a_row(x):
    model = network()
    result = profile(model, x, **QUICK)
    leaves = [layer.name for layer in model.modules() if len(list(layer.modules())) == 1]
    assert set(leaves) <= {name for row in result.rows for name in row.name.split("+")}
    assert [(row.name, row.kind) for row in result.rows] == [
        ("0", "Conv2d"),
        ("1+2", "BatchNorm2d+ReLU"),
        ("3.body.0", "Conv2d"),
        ("3.body.1", "Scale"),
        ("3", "Residual"),
        ("4.0", "Conv2d"),
        ("4.1.0", "MaxPool2d"),
        ("4.1.1", "Identity"),
        ("4", "Concat"),
        ("5.inner", "Scale"),
        ("5", "Twice"),
        ("6", "Dropout"),
        ("7", "Flatten"),
        ("8", "Linear"),
    ]
    by_name = {row.name: row for row in result.rows}
    assert by_name["4"].output_shape == (5, 6, 6, 6)
    assert by_name["8"].input_shape == (5, 216)
    assert all(row.forward.turns == 2 for row in result.rows)
    assert all(row.backward.turns == 2 for row in result.rows)
    macs = 5 * 36 * 4 * 2 * 9
    assert by_name["0"].forward_cost.flops == 2 * macs
    assert by_name["0"].backward_cost.flops == 2 * macs  # the gradient for the images is not computed
    assert by_name["3.body.0"].backward_cost.flops == 2 * 2 * (5 * 36 * 4 * 4 * 9)
    assert sum(row.seconds for row in result.rows) < 2 * result.seconds


def test_the_network_is_what_it_was(x):
    model = network()
    model.forward(x, True)
    dy = np.ones((5, 3), np.float32)
    model.backward(dy)
    before = copy.deepcopy(model)
    params, grads = dict(model.params), dict(model.grads)
    rng_state = copy.deepcopy(model.rng_state())
    attributes = [dict(layer.__dict__) for layer in model.modules()]

    profile(model, x, **QUICK)

    assert model.state_dict().keys() == before.state_dict().keys()
    for name, value in before.state_dict().items():
        assert np.array_equal(model.state_dict()[name], value), name
    for name, value in before.grads.items():
        assert np.array_equal(model.grads[name], value), name
    assert all(model.params[name] is value for name, value in params.items())
    assert all(model.grads[name] is value for name, value in grads.items())
    assert model.rng_state() == rng_state
    for layer, then in zip(model.modules(), attributes, strict=True):
        assert layer.__dict__.keys() == then.keys()
        for name, value in then.items():
            assert layer.__dict__[name] is value or layer.__dict__[name] == value, name
    model.backward(dy)  # what the last forward left is still there


def test_prediction_only(x):
    result = profile(network(), x, training=False, **QUICK)
    assert result.backward is None
    assert all(row.backward is None for row in result.rows)
    assert "backward" not in str(result)
    folded = cc.Sequential(cc.Conv2d(2, 4, 3), cc.BatchNorm2d(4)).for_inference()
    assert [row.kind for row in profile(folded, x, training=False, **QUICK).rows] == ["Conv2d"]


def test_text_and_json(x):
    result = profile(network(), x, roofline=ROOFLINE, **QUICK)
    lines = str(result).splitlines()
    assert lines[0].startswith("Sequential, input (5, 2, 6, 6), ")
    assert "100.0 GFLOP/s; copying in memory 20.0 GB/s" in lines[1]
    assert lines[-1].split()[:2] == ["whole", "passes"]
    document = json.loads(result.to_json())
    assert [row["name"] for row in document["rows"]] == [row.name for row in result.rows]
    first = document["rows"][0]
    assert first["forward"]["flops"] == result.rows[0].forward_cost.flops
    assert first["forward"]["floor"] == ROOFLINE.floor(*result.rows[0].forward_cost)
    assert Roofline.from_dict(document["roofline"]) == ROOFLINE


def test_one_layer_alone_and_threads(x, threads):
    threads(1)
    for layer in (cc.ReLU(), cc.Conv2d(2, 3, 3)):
        result = profile(layer, x, threads=2, **QUICK)
        assert isinstance(result, Profile)
        assert result.threads == 2
        assert len(result.rows) == 1
        assert result.rows[0].backward is not None
    assert cc.get_num_threads() == 1


def test_layers_before_the_first_weights_have_no_backward(x):
    model = cc.Sequential(cc.ReLU(), cc.Flatten(), cc.Linear(72, 3))
    assert [row.backward is None for row in profile(model, x, **QUICK).rows] == [True, True, False]


def test_measuring_the_machine_on_request(x):
    result = profile(cc.Sequential(cc.ReLU()), x, roofline=True, **QUICK)
    assert result.roofline is not None
    assert result.roofline.threads == result.threads


def test_bad_arguments(x):
    with pytest.raises(TypeError, match="profile: model"):
        profile(lambda x: x, x)
    with pytest.raises(ValueError, match="least_passes"):
        profile(network(), x, least_passes=0)
    with pytest.raises(ValueError, match="profile: seconds"):
        profile(network(), x, seconds=-1)
    with pytest.raises(ValueError, match="threads"):
        profile(network(), x, threads=0)
    with pytest.raises(ValueError, match="expects 2 channels"):
        profile(network(), x[:, :1], **QUICK)
    with pytest.raises(RuntimeError, match="only predicts"):
        profile(network().for_inference(), x, **QUICK)
