"""Sequential, Residual and Concat: names, order, state, files, and the rewritten network for prediction."""

import copy
import pickle

import numpy as np
import pytest

from cnn_core.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Identity,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from cnn_core.layers.fused import Fused


def network(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    common = {"rng": rng, "dtype": dtype}
    return Sequential(
        Conv2d(1, 4, 3, padding=1, bias=False, **common),
        BatchNorm2d(4, dtype=dtype),
        ReLU(),
        Residual(
            Sequential(Conv2d(4, 6, 3, 2, 1, **common), BatchNorm2d(6, dtype=dtype), Dropout(0.2, rng=1)),
            Conv2d(4, 6, 1, 2, **common),
        ),
        Concat(Conv2d(6, 2, 1, **common), Sequential(Identity(), MaxPool2d(3, 1, 1), Dropout(0.1, rng=2))),
        Flatten(),
        Linear(8 * 9, 5, **common),
        BatchNorm1d(5, dtype=dtype),
    )


def batch(n=4, dtype=np.float64):
    return np.random.default_rng(9).standard_normal((n, 1, 6, 6)).astype(dtype)


def trained(model):
    """Give the running statistics values of their own."""
    for _ in range(3):
        y = model(batch(), training=True)
        model.backward(y)
    return model


def test_parameters_are_named_by_place_in_the_order_of_definition():
    model = network()
    assert list(model.params) == [
        "0.weight",
        "1.weight",
        "1.bias",
        "3.body.0.weight",
        "3.body.0.bias",
        "3.body.1.weight",
        "3.body.1.bias",
        "3.shortcut.weight",
        "3.shortcut.bias",
        "4.0.weight",
        "4.0.bias",
        "6.weight",
        "6.bias",
        "7.weight",
        "7.bias",
    ]
    assert list(model.grads) == list(model.params)
    assert model.params["3.body.0.weight"] is model[3].body[0].weight
    assert model.grads["3.body.0.weight"] is model[3].body[0].grads["weight"]
    assert [name for name in model.state_dict() if name.startswith("1.")] == [
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
    ]
    assert model.state_dict()["6.weight"] is model.params["6.weight"]
    assert model.num_parameters == sum(value.size for value in model.params.values())


def test_the_dicts_and_their_arrays_stay_the_same_objects():
    model = network()
    dicts = model.params, model.grads, model.buffers
    arrays = [dict(values) for values in dicts]
    trained(model)
    model.load_state_dict(network(seed=5).state_dict())
    for now, before, values in zip((model.params, model.grads, model.buffers), dicts, arrays, strict=True):
        assert now is before
        assert all(now[key] is value for key, value in values.items())


def test_every_layer_knows_its_place():
    model = network()
    assert [layer.name for layer in model[3].modules()] == [
        "3",
        "3.body",
        "3.body.0",
        "3.body.1",
        "3.body.2",
        "3.shortcut",
    ]
    assert model[4].branches[1][2].label == 'Dropout "4.1.2"'


def test_sequential_is_a_sequence():
    model = network()
    assert len(model) == 8
    assert list(model) == list(model.layers)
    assert model[-1] is model.layers[7]
    part = model[:3]
    assert isinstance(part, Sequential)
    assert part.layers == model.layers[:3]
    np.testing.assert_array_equal(part(batch()), model[2](model[1](model[0](batch()))))


def test_repr_is_a_tree():
    model = Sequential(Residual(Sequential(ReLU(), Identity())), Concat(ReLU()), Sequential())
    assert repr(model) == (
        "Sequential(\n"
        "  (0): Residual(\n"
        "    (body): Sequential(\n"
        "      (0): ReLU()\n"
        "      (1): Identity()\n"
        "    )\n"
        "  )\n"
        "  (1): Concat(\n"
        "    (0): ReLU()\n"
        "  )\n"
        "  (2): Sequential()\n"
        ")"
    )


def test_backward_ends_at_the_first_parameters_when_dx_is_not_needed():
    class Watched(ReLU):
        visits = 0

        def backward(self, dy, **options):
            self.visits += 1
            return super().backward(dy, **options)

    first, second = Watched(), Watched()
    model = Sequential(first, Conv2d(1, 2, 3, rng=0, dtype=np.float64), second)
    y = model(batch(), training=True)
    assert model.backward(y, need_dx=False) is None
    assert (first.visits, second.visits) == (0, 1)
    assert model.backward(y).shape == batch().shape
    assert (first.visits, second.visits) == (1, 2)
    without = Sequential(first)
    without(batch(), training=True)
    assert without.backward(batch(), need_dx=False) is None
    assert first.visits == 1


@pytest.mark.parametrize("cut", [0, 3])
def test_gradients_are_the_same_without_dx(cut):
    model = Sequential(*network()[cut:])
    x = network()[:cut](batch())
    state = model.rng_state()
    y = model(x, training=True)
    model.backward(y)
    full = copy.deepcopy(model.grads)
    model.set_rng_state(state)
    model(x, training=True)
    model.backward(y, need_dx=False)
    for key, gradient in full.items():
        np.testing.assert_array_equal(model.grads[key], gradient)


def test_gradients_of_two_batches_add_up():
    model = Sequential(
        Conv2d(1, 2, 3, rng=0, dtype=np.float64), ReLU(), Flatten(), Linear(32, 3, rng=1, dtype=np.float64)
    )
    x = batch()
    model.backward(model(x, training=True))
    whole = copy.deepcopy(model.grads)
    model.backward(model(x[:1], training=True))
    model.backward(model(x[1:], training=True), accumulate=True)
    for key, gradient in whole.items():
        np.testing.assert_allclose(model.grads[key], gradient, rtol=1e-12, atol=1e-14)


def test_residual_and_concat_compute_what_they_say():
    x = batch()
    body, shortcut = (Conv2d(1, 3, 1, rng=seed, dtype=np.float64) for seed in (0, 1))
    np.testing.assert_array_equal(Residual(body, shortcut)(x), body(x) + shortcut(x))
    np.testing.assert_array_equal(Residual(Identity())(x), 2 * x)
    np.testing.assert_array_equal(Concat(body, shortcut)(x), np.concatenate([body(x), shortcut(x)], axis=1))


def test_a_network_does_not_write_into_what_it_is_given():
    for model in (Residual(Identity()), Concat(Identity(), Identity()), Sequential(Identity(), Flatten())):
        x = batch()
        y = model(x, training=True)
        dy = np.ones_like(y)
        model.backward(dy)
        np.testing.assert_array_equal(x, batch())
        np.testing.assert_array_equal(dy, 1)


def test_one_layer_in_two_places_is_refused():
    relu = ReLU()
    with pytest.raises(ValueError, match='"0" and "2" hold the same object'):
        Sequential(relu, Identity(), relu)
    with pytest.raises(ValueError, match="hold the same object"):
        Residual(Sequential(relu), Sequential(relu))
    inner = Sequential(relu)
    with pytest.raises(ValueError, match="hold the same object"):
        Concat(inner, inner)


def test_bad_children_are_refused():
    with pytest.raises(
        TypeError, match='Sequential: "1" must be a layer, got the function <lambda>; put it into a subclass'
    ):
        Sequential(ReLU(), lambda x: x)
    with pytest.raises(TypeError, match="must be a layer, got a list"):
        Sequential([ReLU()])
    with pytest.raises(ValueError, match="at least one branch"):
        Concat()
    with pytest.raises(TypeError, match='"0" has float32 parameters and "2" has float64'):
        Sequential(Linear(2, 2), ReLU(), Linear(2, 2, dtype=np.float64))


def test_state_goes_from_one_network_to_another():
    source, target = trained(network(seed=1)), network(seed=2)
    assert not np.array_equal(source(batch()), target(batch()))
    result = target.load_state_dict(source.state_dict())
    assert result == ([], [])
    np.testing.assert_array_equal(source(batch()), target(batch()))
    target.load_state_dict(target.state_dict())


def test_loading_converts_between_floats():
    source = trained(network())
    half = {
        key: value.astype(np.float16) if value.dtype.kind == "f" else value
        for key, value in source.state_dict().items()
    }
    for state in (half, source.state_dict()):
        target = network(np.float32)
        target.load_state_dict(state)
        assert all(value.dtype == np.float32 for value in target.params.values())
        np.testing.assert_allclose(target(batch(dtype=np.float32)), source(batch()), rtol=0.1, atol=0.1)


def test_loading_takes_lists_and_other_integers():
    target = BatchNorm1d(2)
    target.load_state_dict(
        {
            "weight": [1.0, 2.0],
            "bias": np.array([3, 4], ">f8"),
            "running_mean": np.zeros(2),
            "running_var": np.ones(2),
            "num_batches_tracked": np.int32(7),
        }
    )
    np.testing.assert_array_equal(target.weight, [1, 2])
    np.testing.assert_array_equal(target.bias, [3, 4])
    assert target.num_batches_tracked == 7


def test_every_problem_is_named_and_nothing_is_loaded():
    model = network(np.float32)
    before = copy.deepcopy(model.state_dict())
    state = dict(network(seed=3).state_dict())
    del state["0.weight"]
    state["extra"] = np.zeros(3)
    state["1.weight"] = np.zeros(7)
    state["1.bias"] = np.zeros(4, int)
    state["6.bias"] = np.full(5, 1e300)
    state["7.num_batches_tracked"] = np.zeros((), np.float64)
    state["7.weight"] = "nonsense"
    state["7.bias"] = [[1.0], [2.0, 3.0]]
    with pytest.raises(ValueError, match="nothing was loaded") as caught:
        model.load_state_dict(state)
    for problem in (
        '"0.weight" is missing (shape (4, 1, 3, 3))',
        '"extra" is not a tensor of this network',
        '"1.weight" has shape (7,), expected (4,)',
        '"1.bias" has dtype int64, expected float32',
        '"6.bias" has values too large for float32',
        '"7.num_batches_tracked" has dtype float64, expected int64',
        '"7.weight" has shape (), expected (5,)',
        '"7.bias" cannot be read as an array',
    ):
        assert problem in str(caught.value)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


def test_not_strict_passes_over_names_but_not_over_shapes():
    model, source = network(seed=1), network(seed=2)
    state = dict(source.state_dict())
    del state["0.weight"]
    result = model.load_state_dict({**state, "extra": 1.0}, strict=False)
    assert result.missing == ["0.weight"]
    assert result.unexpected == ["extra"]
    np.testing.assert_array_equal(model.params["6.weight"], source.params["6.weight"])
    with pytest.raises(ValueError, match="has shape"):
        model.load_state_dict({"6.weight": np.zeros(3)}, strict=False)
    with pytest.raises(TypeError, match="must be a mapping"):
        model.load_state_dict([1, 2])


def test_infinite_weights_may_be_loaded():
    model = Linear(1, 1)
    model.load_state_dict({"weight": np.array([[np.inf]]), "bias": np.array([np.nan])})
    assert model.weight[0, 0] == np.inf
    assert np.isnan(model.bias[0])


def test_random_state_is_collected_by_name():
    model = network()
    assert list(model.rng_state()) == ["3.body.2.rng", "4.1.2.rng"]
    state = pickle.loads(pickle.dumps(model.rng_state()))
    first = model(batch(), training=True)
    assert not np.array_equal(model(batch(), training=True), first)
    model.set_rng_state(state)
    np.testing.assert_array_equal(model(batch(), training=True), first)
    with pytest.raises(ValueError, match="expected the names"):
        model.set_rng_state({"3.body.2.rng": state["3.body.2.rng"]})


def test_astype_converts_the_whole_tree():
    model = trained(network(np.float64))
    single = model.astype(np.float32)
    assert all(value.dtype == np.float32 for value in (*single.params.values(), *single.grads.values()))
    assert single.params["3.body.0.weight"] is single[3].body[0].weight
    np.testing.assert_allclose(single(batch(dtype=np.float32)), model(batch()), rtol=1e-3, atol=1e-4)
    assert model.dtype == np.float64


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_weights_go_through_a_file(tmp_path, suffix):
    model, other = trained(network(seed=1)), network(seed=2)
    path = tmp_path / f"weights{suffix}"
    model.save(path, {"note": "a test"})
    other.load(path)
    np.testing.assert_array_equal(model(batch()), other(batch()))
    for key, value in other.state_dict().items():
        np.testing.assert_array_equal(value, model.state_dict()[key])
    with pytest.raises(ValueError, match=r'"0\.weight" has shape'):
        Sequential(Conv2d(1, 4, 5), BatchNorm2d(4)).load(path)


def test_prediction_network_gives_the_same_output_with_fewer_layers():
    model = trained(network())
    fast = model.for_inference()
    np.testing.assert_allclose(fast(batch()), model(batch()), rtol=1e-10, atol=1e-12)
    kinds = [type(layer).__name__ for layer in fast.modules()]
    assert not {"BatchNorm1d", "BatchNorm2d", "Dropout"} & set(kinds)
    assert "Identity" not in kinds
    assert len(fast) == len(model) - 3  # both norms, and the ReLU that the first convolution does
    assert fast[0].layers[0].bias is not None
    x = batch(dtype=np.float32)
    np.testing.assert_allclose(
        trained(network()).astype(np.float32).for_inference()(x), model(batch()), rtol=1e-3, atol=1e-4
    )


def test_prediction_network_is_a_copy():
    model = trained(network())
    before = copy.deepcopy(model.state_dict())
    fast = model.for_inference()
    for value in fast.params.values():
        value += 1
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value, before[key])


def test_weights_of_a_prediction_network_are_read_only_once_they_are_packed():
    fast = network().for_inference()
    fast(batch())
    weight = fast[0].layers[0].weight
    with pytest.raises(ValueError, match="read-only"):
        weight += 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [(12, 12), (13, 11), (7, 34), (4, 5)])
@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("tail", [(ReLU,), (MaxPool2d,), (ReLU, MaxPool2d), (MaxPool2d, ReLU)])
def test_fused_layers_give_what_the_layers_give(dtype, size, channels, tail):
    rng = np.random.default_rng(0)
    made = {ReLU: ReLU, MaxPool2d: lambda: MaxPool2d(2)}
    for geometry in ({"padding": 1}, {"stride": 2, "padding": 1}, {"groups": channels, "padding": 2}):
        model = Sequential(
            Conv2d(channels, 48, 3, **geometry, dtype=dtype, rng=rng),
            *[made[kind]() for kind in tail],
            Flatten(),
        )
        model[0].bias = rng.standard_normal(48)
        fast = model.for_inference()
        fuses_pooling = "stride" not in geometry or MaxPool2d not in tail
        assert (len(fast) == 2) == fuses_pooling
        for n in (1, 3, 0):
            x = rng.standard_normal((n, channels, *size)).astype(dtype)
            x[:1, :, :2, :3] = -np.abs(x[:1, :, :2, :3])
            np.testing.assert_array_equal(fast(x), model(x))


def test_fused_layers_on_images_of_padding_alone():
    model = Sequential(Conv2d(3, 48, 3, padding=2, rng=0), ReLU(), MaxPool2d(2))
    model[0].bias = np.linspace(-1, 1, 48)
    for size in ((0, 5), (5, 0), (0, 0)):
        x = np.zeros((2, 3, *size), np.float32)
        y = model(x)
        assert y.size
        np.testing.assert_array_equal(model.for_inference()(x), y)


def test_fused_linear_and_nan():
    model = Sequential(Linear(7, 30, rng=0), ReLU(), Linear(30, 30, bias=False, rng=1), ReLU())
    x = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    np.testing.assert_array_equal(model.for_inference()(x), model(x))
    model = Sequential(Conv2d(1, 3, 3, rng=0), ReLU(), MaxPool2d(2))
    x = np.random.default_rng(0).standard_normal((1, 1, 20, 40)).astype(np.float32)
    x[0, 0, 7, 7] = np.nan
    y = model(x)
    assert np.isnan(y).any()
    np.testing.assert_array_equal(model.for_inference()(x), y)


def test_prediction_network_refuses_to_train():
    fast = network().for_inference()
    with pytest.raises(RuntimeError, match=r"for_inference\(\) and only predicts"):
        fast(batch(), training=True)
    y = fast(batch())
    with pytest.raises(RuntimeError, match=r"backward: .*only predicts; train the original"):
        fast.backward(y)
    again = pickle.loads(pickle.dumps(fast))
    np.testing.assert_array_equal(again(batch()), y)


def test_prediction_network_keeps_what_cannot_be_folded():
    class Doubled(Linear):
        def forward(self, x, training=False):
            return 2 * super().forward(x, training)

    model = Sequential(
        BatchNorm2d(1, dtype=np.float64),
        Residual(Sequential(Dropout(0.5)), Identity()),
        Conv2d(1, 2, 3, rng=0, dtype=np.float64),
        BatchNorm2d(2, track_running_stats=False, dtype=np.float64),
        Sequential(Flatten(), Doubled(32, 3, rng=0, dtype=np.float64)),
        BatchNorm1d(3, dtype=np.float64),
        Linear(3, 3, False, rng=0, dtype=np.float64),
        BatchNorm1d(3, affine=False, dtype=np.float64),
        BatchNorm1d(3, dtype=np.float64),
    )
    trained(model)
    fast = model.for_inference()
    np.testing.assert_allclose(fast(batch()), model(batch()), rtol=1e-10, atol=1e-12)
    kinds = [type(layer).__name__ for layer in fast.modules() if not isinstance(layer, Fused)]
    assert kinds == [
        "InferenceSequential",
        "BatchNorm2d",
        "Residual",
        "Identity",
        "Conv2d",
        "BatchNorm2d",
        "Flatten",
        "Doubled",
        "BatchNorm1d",
        "FoldedLinear",
    ]
    assert fast[1].shortcut is None
    assert Sequential(Dropout()).for_inference()(batch()).shape == batch().shape


def test_a_folded_linear_takes_vectors_only():
    model = Sequential(Linear(4, 3, rng=0), BatchNorm1d(3))
    x = np.ones((2, 3, 4), np.float32)
    assert model(x).shape == (2, 3, 3)
    with pytest.raises(ValueError, match=r"expects a batch \(N, in\)"):
        model.for_inference()(x)


def test_summary_counts_what_each_layer_costs():
    model = network(np.float32)
    summary = model.summary((4, 1, 6, 6))
    assert [row.name for row in summary.rows] == [
        *("0", "1", "2", "3.body.0", "3.body.1", "3.body.2", "3.shortcut", "3"),
        *("4.0", "4.1.0", "4.1.1", "4.1.2", "4", "5", "6", "7"),
    ]
    rows = {row.name: row for row in summary.rows}
    assert rows["3"].kind == "Residual"
    assert rows["3"].output_shape == (4, 6, 3, 3)
    assert rows["3"].parameters == 0
    assert rows["0"].macs == 4 * 4 * 36 * 9
    assert rows["0"].activation_bytes == 4 * 4 * 36 * 4
    assert rows["5"].activation_bytes == 0
    assert summary.parameters == model.num_parameters
    assert summary.macs == model.macs((4, 1, 6, 6))
    text = str(summary)
    lines = text.splitlines()
    assert lines[0] == "Sequential, input (4, 1, 6, 6)"
    assert f"{model.num_parameters:,}" in lines[-1]
    assert len(lines) == len(summary.rows) + 6
    assert max(map(len, lines)) < 100
    assert str(model.astype(np.float64).summary((10**6, 1, 6, 6))).count("GB") > 1
    with pytest.raises(ValueError, match=r'Conv2d "0": expects 1 channels, got 3'):
        model.summary((4, 3, 6, 6))
    with pytest.raises(ValueError, match="summary: input_shape"):
        model.summary((-1, 1, 6, 6))


@pytest.mark.parametrize("pool", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}])
def test_relu_and_max_pooling_trade_places_without_a_trace(pool):
    def layers():
        return Conv2d(2, 5, 3, padding=1, rng=0), ReLU(), MaxPool2d(**pool), Flatten()

    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 2, 9, 12)).astype(np.float32)
    x[0, :, 4:] = 0  # windows of equal numbers, at and below zero
    x[1, 0, 5, 5] = np.nan
    x[2] -= 3
    model, chain = Sequential(*layers()), layers()
    y, expected = model(x, training=True), x
    for layer in chain:
        expected = layer(expected, training=True)
    np.testing.assert_array_equal(y, expected)
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx, gradient = model.backward(dy), dy
    for layer in reversed(chain):
        gradient = layer.backward(gradient)
    assert dx.tobytes() == gradient.tobytes()
    for name, value in chain[0].grads.items():
        assert model.grads[f"0.{name}"].tobytes() == value.tobytes()
    assert [type(layer) for layer in model] == [type(layer) for layer in chain]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [(6, 5), (1, 1), (40, 33)])
@pytest.mark.parametrize("scale", [1, 1e4])
def test_batch_norm_and_relu_in_one_pass_are_the_two_layers(dtype, size, scale):
    def layers():
        return BatchNorm2d(5, dtype=dtype), ReLU()

    rng = np.random.default_rng(0)
    x = (rng.standard_normal((6, 5, *size)) + scale).astype(dtype)
    x[0, 2] = scale * 1000
    model, (norm, relu) = Sequential(*layers()), layers()
    for layer in (model[0], norm):
        layer.weight, layer.bias = [1, -2, 0.5, 1, 0], [0, 0.1, -0.2, 5, 0]
    dy = rng.standard_normal(x.shape).astype(dtype)
    for _ in range(2):
        y, expected = model(x, training=True), relu(norm(x, training=True), training=True)
        assert y.tobytes() == expected.tobytes()
        dx, gradient = model.backward(dy), norm.backward(relu.backward(dy))
        assert dx.tobytes() == gradient.tobytes()
        for name, value in norm.grads.items():
            assert model.grads[f"0.{name}"].tobytes() == value.tobytes()
    for name, value in norm.buffers.items():
        np.testing.assert_array_equal(model.buffers[f"0.{name}"], value)
    np.testing.assert_array_equal(model(x), relu(norm(x)))
