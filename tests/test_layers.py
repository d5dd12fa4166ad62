"""Every layer: one row in CASES, and the whole contract of a layer for each row."""

import contextlib
import copy
import inspect
import pickle

import numpy as np
import pytest

from cnn_core import layers
from cnn_core.gradcheck import check_layer, tie_free
from cnn_core.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Identity,
    Layer,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
)

# name: (how to make the layer in a dtype, shape of an input)
CASES = {
    "Conv2d": (lambda dtype: Conv2d(3, 4, 3, 2, 1, rng=0, dtype=dtype), (2, 3, 7, 6)),
    "Conv2d-rectangular": (
        lambda dtype: Conv2d(2, 3, (3, 2), (1, 2), (0, 1), (2, 1), rng=0, dtype=dtype),
        (2, 2, 7, 5),
    ),
    "Conv2d-groups": (lambda dtype: Conv2d(4, 6, 3, groups=2, bias=False, rng=0, dtype=dtype), (2, 4, 5, 5)),
    "Conv2d-same": (lambda dtype: Conv2d(2, 3, (2, 3), padding="same", rng=0, dtype=dtype), (2, 2, 4, 5)),
    "Conv2d-valid": (lambda dtype: Conv2d(2, 3, 3, padding="valid", rng=0, dtype=dtype), (2, 2, 4, 5)),
    "Linear": (lambda dtype: Linear(5, 3, rng=0, dtype=dtype), (4, 5)),
    "Linear-no-bias": (lambda dtype: Linear(5, 3, False, rng=0, dtype=dtype), (4, 5)),
    "Linear-3d": (lambda dtype: Linear(5, 3, rng=0, dtype=dtype), (2, 4, 5)),
    "MaxPool2d": (lambda dtype: MaxPool2d(3, 2, 1), (2, 3, 7, 6)),
    "MaxPool2d-ceil": (lambda dtype: MaxPool2d(2, ceil_mode=True), (2, 3, 7, 5)),
    "MaxPool2d-dilation": (lambda dtype: MaxPool2d((2, 3), 1, dilation=(2, 1)), (2, 3, 7, 5)),
    "AvgPool2d": (lambda dtype: AvgPool2d(3, 2, 1, count_include_pad=False), (2, 3, 7, 6)),
    "AvgPool2d-divisor": (lambda dtype: AvgPool2d(2, ceil_mode=True, divisor_override=3), (2, 3, 7, 5)),
    "AdaptiveAvgPool2d": (lambda dtype: AdaptiveAvgPool2d((3, 2)), (2, 3, 7, 6)),
    "AdaptiveAvgPool2d-keep": (lambda dtype: AdaptiveAvgPool2d((None, 1)), (2, 3, 4, 6)),
    "BatchNorm1d": (lambda dtype: BatchNorm1d(5, dtype=dtype), (6, 5)),
    "BatchNorm1d-3d": (lambda dtype: BatchNorm1d(5, affine=False, dtype=dtype), (6, 5, 3)),
    "BatchNorm2d": (lambda dtype: BatchNorm2d(3, dtype=dtype), (4, 3, 2, 5)),
    "BatchNorm2d-untracked": (
        lambda dtype: BatchNorm2d(3, track_running_stats=False, dtype=dtype),
        (4, 3, 2, 5),
    ),
    "ReLU": (lambda dtype: ReLU(), (3, 4)),
    "LeakyReLU": (lambda dtype: LeakyReLU(0.2), (3, 4)),
    "Sigmoid": (lambda dtype: Sigmoid(), (3, 4)),
    "Tanh": (lambda dtype: Tanh(), (3, 4)),
    "Dropout": (lambda dtype: Dropout(0.3, rng=0), (8, 9)),
    "Flatten": (lambda dtype: Flatten(), (2, 3, 4, 5)),
    "Flatten-inner": (lambda dtype: Flatten(2, 3), (2, 3, 4, 5)),
    "Identity": (lambda dtype: Identity(), (2, 3)),
    "Sequential": (
        lambda dtype: Sequential(Flatten(), Linear(12, 4, rng=0, dtype=dtype), Tanh()),
        (2, 3, 2, 2),
    ),
    "Sequential-empty": (lambda dtype: Sequential(), (2, 3)),
    "Residual": (
        lambda dtype: Residual(
            Sequential(Conv2d(2, 4, 3, 2, 1, rng=0, dtype=dtype), Tanh()),
            Conv2d(2, 4, 1, 2, rng=1, dtype=dtype),
        ),
        (2, 2, 5, 6),
    ),
    "Residual-identity": (lambda dtype: Residual(Conv2d(2, 2, 3, 1, 1, rng=0, dtype=dtype)), (2, 2, 5, 6)),
    "Concat": (
        lambda dtype: Concat(Conv2d(2, 3, 3, padding=1, rng=0, dtype=dtype), Identity(), MaxPool2d(3, 1, 1)),
        (2, 2, 4, 5),
    ),
}

BASES = {"Layer", "Container"}
INITIAL_VALUES = {"rng", "init"}

all_layers = pytest.mark.parametrize("name", CASES)


def make(name, dtype=np.float64):
    build, shape = CASES[name]
    return build(dtype), distinct(shape, dtype)


def distinct(shape, dtype=np.float64, seed=0):
    """Values without ties and away from zero, so that no kink lies within a finite difference."""
    size = int(np.prod(shape))
    values = np.linspace(-1, 1, 2 * (size + 1))[1::2][:size]
    return np.random.default_rng(seed).permutation(values).reshape(shape).astype(dtype)


def test_every_public_layer_has_a_row():
    public = {name for name in layers.__all__ if issubclass(getattr(layers, name), Layer)} - BASES
    assert public == {name.split("-")[0] for name in CASES}


@all_layers
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [False, True])
def test_output_has_the_promised_shape_and_the_dtype_of_the_input(name, dtype, training):
    layer, x = make(name, dtype)
    y = layer(x, training)
    assert y.shape == layer.output_shape(x.shape)
    assert y.dtype == dtype
    if training:
        dx = layer.backward(distinct(y.shape, dtype))
        assert dx.shape == x.shape
        assert dx.dtype == dtype


@all_layers
def test_gradients_agree_with_finite_differences(name):
    layer, _ = make(name)
    check_layer(layer, tie_free(CASES[name][1])).assert_ok()


@all_layers
def test_inputs_may_be_read_only_or_strided_and_stay_as_they_are(name):
    layer, x = make(name)
    state = layer.rng_state()
    y = layer(x, True)
    dy = distinct(y.shape)
    dx = layer.backward(dy)
    grads = copy.deepcopy(layer.grads)

    strided = np.repeat(x, 2, axis=-1)[..., ::2]
    strided_dy = np.asfortranarray(dy)
    for array in (strided, strided_dy):
        array.flags.writeable = False
    layer.set_rng_state(state)
    np.testing.assert_allclose(layer(strided, True), y, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(layer.backward(strided_dy), dx, rtol=1e-12, atol=1e-14)
    for key, gradient in grads.items():
        np.testing.assert_allclose(layer.grads[key], gradient, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(strided, x)
    np.testing.assert_array_equal(strided_dy, dy)


@all_layers
def test_a_batch_of_none_and_of_one(name):
    layer, x = make(name)
    one = layer(x[:1])
    assert one.shape[0] == 1
    none = layer(x[:0])
    assert none.shape == layer.output_shape((0, *x.shape[1:])) == (0, *one.shape[1:])


@all_layers
def test_backward_needs_a_training_forward_first(name):
    layer, x = make(name)
    dy = np.zeros(layer.output_shape(x.shape))
    if not (isinstance(layer, Sequential) and not layer.layers):
        with pytest.raises(RuntimeError, match=r"backward needs a forward\(x, training=True\)"):
            layer.backward(dy)
        layer(x, training=True)
        layer(x)  # a prediction in between forgets
        with pytest.raises(RuntimeError, match=type(layer).__name__ if not layer.params else "backward"):
            layer.backward(dy)


@all_layers
def test_backward_refuses_a_wrong_dy(name):
    layer, x = make(name)
    if name == "Sequential-empty":
        return
    y = layer(x, True)
    with pytest.raises(ValueError, match="expects the shape of its output"):
        layer.backward(np.zeros((*y.shape, 1)))
    with pytest.raises(TypeError, match="expects a float64 array like its output"):
        layer.backward(y.astype(np.float32))
    with pytest.raises(TypeError, match="expects a float64 array like its output"):
        layer.backward(y.tolist())


@all_layers
def test_gradients_keep_their_identity_and_are_overwritten_or_added(name):
    layer, x = make(name)
    arrays = dict(layer.grads)
    state = layer.rng_state()
    for _ in range(2):
        layer.set_rng_state(state)
        y = layer(x, True)
        layer.backward(np.ones_like(y))
    once = copy.deepcopy(layer.grads)
    layer.backward(np.ones_like(y), accumulate=True)
    assert layer.params.keys() == layer.grads.keys()
    for key, gradient in layer.grads.items():
        assert gradient is arrays[key]
        assert gradient.shape == layer.params[key].shape
        np.testing.assert_allclose(gradient, 2 * once[key])


@all_layers
def test_without_dx_the_parameter_gradients_are_the_same(name):
    layer, x = make(name)
    state = layer.rng_state()
    y = layer(x, True)
    layer.backward(np.ones_like(y))
    full = copy.deepcopy(layer.grads)
    layer.set_rng_state(state)
    layer(x, True)
    dx = layer.backward(np.ones_like(y), need_dx=False)
    for key, gradient in full.items():
        np.testing.assert_array_equal(layer.grads[key], gradient)
    if isinstance(layer, Conv2d | Linear | Sequential | Residual | Concat):
        assert dx is None


@pytest.mark.parametrize("kernel", [2, 3])  # the direct sum, and Winograd's algorithm
def test_a_convolution_whose_arrays_were_exchanged(kernel):
    """Gradients are written where they are kept, whatever that is; other weights have another geometry."""
    x = np.random.default_rng(0).normal(size=(2, 16, 9, 8)).astype(np.float32)
    conv = Conv2d(16, 16, kernel, rng=1)
    dy = np.ones_like(conv.forward(x, training=True))
    conv.backward(dy)
    expected = conv.grads["weight"].copy()
    for other in (np.zeros((16, 16, kernel, 2 * kernel), np.float32)[..., ::2], np.zeros(expected.shape)):
        conv.grads["weight"] = other
        conv.backward(dy)
        np.testing.assert_array_equal(conv.grads["weight"], expected)
        assert conv.grads["weight"] is other
    conv.params["weight"] = np.zeros((16, 16, 1, 1), np.float32)
    assert conv.forward(x).shape == (2, 16, 9, 8)
    conv.params["weight"] = np.zeros((15, 16, kernel, kernel), np.float32)
    with pytest.raises(ValueError, match="bias"):
        conv.forward(x)


def test_a_linear_layer_whose_gradients_were_exchanged():
    """They are written where they are kept, or copied there, and nowhere else."""
    x = np.random.default_rng(0).normal(size=(5, 30)).astype(np.float32)
    linear = Linear(30, 20, rng=1)
    dy = np.ones_like(linear.forward(x, training=True))
    linear.backward(dy)
    expected = linear.grads["weight"].copy()
    for other in (np.zeros((20, 60), np.float32)[:, ::2], np.zeros((20, 30))):
        linear.grads["weight"] = other
        linear.backward(dy)
        np.testing.assert_array_equal(linear.grads["weight"], expected)
        assert linear.grads["weight"] is other
    linear.grads["weight"] = np.zeros((2, 3), np.float32)
    with pytest.raises(ValueError, match="shape"):
        linear.backward(dy)


WITH_ARRAYS = {
    name: [
        (kind, key)
        for kind in ("params", "grads", "buffers")
        for key, array in getattr(CASES[name][0](np.float32), kind).items()
        if array.ndim
    ]
    for name in ("Conv2d", "Linear", "BatchNorm1d", "BatchNorm2d")
}
exchanged = pytest.mark.parametrize(
    ("name", "kind", "key"), [(name, *place) for name, places in WITH_ARRAYS.items() for place in places]
)


def results_with(name, kind, key, other, *, late):
    """What a layer computes whose array was exchanged for another: before it runs, or after it has run."""
    layer, x = make(name, np.float32)
    arrays = getattr(layer, kind)
    if not late:
        arrays[key] = other(arrays[key])
    y = layer.forward(x, training=True)
    dy = np.ones_like(y)
    layer.backward(dy)
    if late:
        arrays[key] = other(arrays[key])
    return [y, layer.backward(dy), layer.forward(x), *(g.copy() for g in layer.grads.values())]


def strided(array):
    doubled = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    doubled[..., ::2] = array
    return doubled[..., ::2]


def read_only(array):
    other = array.copy()
    other.flags.writeable = False
    return other


@exchanged
@pytest.mark.parametrize("late", [False, True])
def test_arrays_may_be_exchanged_for_others_with_the_same_numbers(name, kind, key, late):
    expected = results_with(name, kind, key, np.copy, late=late)
    for other in (strided, lambda array: array.copy().view(np.memmap), read_only):
        if other is read_only and kind == "grads":
            continue
        if other is read_only and kind == "buffers":
            if not late:
                with pytest.raises(ValueError, match="writable"):
                    results_with(name, kind, key, other, late=late)
            continue
        for got, wanted in zip(results_with(name, kind, key, other, late=late), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


@exchanged
@pytest.mark.parametrize("late", [False, True])
def test_arrays_that_do_not_fit_are_refused_and_not_read_beyond_their_end(name, kind, key, late):
    """By whoever looks first. A weight of other filters is a weight, and what is converted may be a copy."""
    others = [
        lambda array: np.ones(0, array.dtype),
        lambda array: np.ones((), array.dtype),
        lambda array: array[:-1].copy(),
        lambda array: array[None],
        lambda array: np.concatenate([array, array]),
        lambda array: array.astype(np.float64),
        lambda array: array.astype(np.int32),
        lambda array: array.tolist(),
    ]
    for other in others:
        with contextlib.suppress(TypeError, ValueError, AttributeError):
            results_with(name, kind, key, other, late=late)


@pytest.mark.parametrize("name", WITH_ARRAYS)
def test_an_input_that_was_resized_before_backward_is_refused(name):
    layer, x = make(name, np.float32)
    dy = np.ones_like(layer.forward(x, training=True))
    x.resize((1, *x.shape[1:]), refcheck=False)
    with pytest.raises(ValueError, match="shape"):
        layer.backward(dy)


def test_large_parameters_begin_at_a_cache_line_in_copies_too():
    layer = Linear(300, 40)
    model = Sequential(layer, ReLU())
    for one in (layer, model, copy.deepcopy(model), model.astype(np.float64), model.for_inference()):
        weight = next(value for name, value in one.params.items() if name.endswith("weight"))
        assert weight.ctypes.data % 64 == 0, one
    copied = copy.deepcopy(model)
    assert copied.params["0.weight"] is copied.layers[0].params["weight"]
    assert copied.params["0.weight"] is not layer.weight


@all_layers
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))])
def test_copies_and_pickles_compute_the_same_and_are_independent(name, duplicate):
    layer, x = make(name)
    layer(x, True)
    twin = duplicate(layer)
    assert repr(twin) == repr(layer)
    np.testing.assert_array_equal(twin(x, True), layer(x, True))
    assert twin._saved is None or twin._saved is not layer._saved
    for kind in ("params", "grads", "buffers"):
        for key, value in getattr(layer, kind).items():
            assert not np.shares_memory(value, getattr(twin, kind)[key])
    for module in twin.modules():
        for key, value in module.params.items():
            full = f"{module.name}.{key}" if module.name else key
            assert twin.params[full] is value


def test_copies_leave_activations_behind():
    layer, x = make("Sigmoid")
    layer(x, True)
    with pytest.raises(RuntimeError):
        copy.deepcopy(layer).backward(x)
    assert len(pickle.dumps(layer)) < 1000


@all_layers
def test_repr_names_every_argument_but_the_initial_values(name):
    layer, _ = make(name)
    arguments = inspect.signature(type(layer)).parameters
    if isinstance(layer, Sequential | Residual | Concat):
        assert repr(layer).startswith(type(layer).__name__)
        return
    for argument in set(arguments) - INITIAL_VALUES:
        assert f"{argument}=" in repr(layer)


@all_layers
def test_astype_gives_a_copy_in_the_other_precision(name):
    layer, x = make(name, np.float32)
    twin = layer.astype(np.float64)
    state = layer.rng_state()
    y = layer(x, True)
    twin.set_rng_state(state)
    wide = twin(x.astype(np.float64), True)
    assert wide.dtype == np.float64
    np.testing.assert_allclose(wide, y, rtol=1e-4, atol=1e-5)
    twin.backward(wide)
    for values in (twin.params, twin.grads):
        assert all(value.dtype == np.float64 for value in values.values())
    assert all(value.dtype in (np.float64, np.int64) for value in twin.buffers.values())
    assert layer.dtype in (None, np.float32)


@all_layers
@pytest.mark.parametrize("dtype", [np.int64, np.float16, np.complex128, object, bool])
def test_other_dtypes_are_refused(name, dtype):
    layer, x = make(name)
    with pytest.raises(TypeError, match=r"expects float32 or float64, got .*astype"):
        layer(np.zeros(x.shape, dtype))


@all_layers
def test_what_is_not_an_array_is_refused(name):
    layer, x = make(name)
    with pytest.raises(TypeError, match="expects a numpy array, got list"):
        layer(x.tolist())


@pytest.mark.parametrize("name", [name for name in CASES if make(name)[0].dtype is not None])
def test_the_input_must_have_the_dtype_of_the_parameters(name):
    layer, x = make(name, np.float32)
    with pytest.raises(TypeError, match=r"x\.astype\(np\.float32\).*model\.astype\(np\.float64\)"):
        layer(x.astype(np.float64))


def test_astype_refuses_other_dtypes():
    for dtype in (np.float16, np.int32, "complex64"):
        with pytest.raises(TypeError, match="must be float32 or float64"):
            ReLU().astype(dtype)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Conv2d(0, 1, 3),
        lambda: Conv2d(1, -1, 3),
        lambda: Conv2d(1, 1, 0),
        lambda: Conv2d(1, 1, 3, stride=0),
        lambda: Conv2d(1, 1, 3, stride=-1),
        lambda: Conv2d(1, 1, 3, padding=-1),
        lambda: Conv2d(1, 1, 3, padding="full"),
        lambda: Conv2d(1, 1, 3, stride=2, padding="same"),
        lambda: Conv2d(1, 1, 3, dilation=0),
        lambda: Conv2d(1, 1, (3, 3, 3)),
        lambda: Conv2d(3, 4, 3, groups=2),
        lambda: Conv2d(4, 3, 3, groups=2),
        lambda: Conv2d(4, 4, 3, groups=0),
        lambda: Conv2d(1, 1, 3, init="hee"),
        lambda: Conv2d(1, 1, 3, init=lambda shape, rng, dtype: np.zeros(3)),
        lambda: Linear(0, 1),
        lambda: Linear(1, 0),
        lambda: MaxPool2d(0),
        lambda: MaxPool2d(2, 0),
        lambda: MaxPool2d(2, padding=-1),
        lambda: AvgPool2d(2, divisor_override=0),
        lambda: AdaptiveAvgPool2d(0),
        lambda: AdaptiveAvgPool2d((1, 2, 3)),
        lambda: BatchNorm2d(0),
        lambda: BatchNorm2d(3, eps=-1),
        lambda: BatchNorm2d(3, eps=float("nan")),
        lambda: BatchNorm2d(3, momentum=2),
        lambda: LeakyReLU(float("inf")),
        lambda: Dropout(1.5),
        lambda: Dropout(-0.1),
        lambda: Dropout(float("nan")),
    ],
)
def test_bad_arguments_are_refused_in_the_constructor(build):
    with pytest.raises(ValueError, match=r"."):
        build()


@pytest.mark.parametrize(
    "build",
    [
        lambda: Conv2d(1.5, 1, 3),
        lambda: Conv2d(1, 1, "3"),
        lambda: Conv2d(1, 1, 3, dtype=np.float16),
        lambda: Linear(2, 2, dtype=int),
        lambda: Linear(2, 2, init=3),
        lambda: Linear(2, 2, rng="seed"),
        lambda: BatchNorm1d(2, dtype=complex),
        lambda: Dropout("half"),
        lambda: MaxPool2d(2.0),
        lambda: Flatten(1.0),
    ],
)
def test_arguments_of_the_wrong_type_are_refused_in_the_constructor(build):
    with pytest.raises(TypeError):
        build()


def test_attributes_are_the_arrays_and_assigning_copies():
    layer = Linear(2, 3, rng=0)
    weight = layer.params["weight"]
    assert layer.weight is weight
    layer.weight = np.ones((3, 2))
    assert layer.weight is weight
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight, 1)
    layer.weight *= 2
    np.testing.assert_array_equal(layer.params["weight"], 2)
    with pytest.raises(ValueError, match=r"weight has shape \(3, 2\), got \(2, 3\)"):
        layer.weight = np.ones((2, 3))
    with pytest.raises(TypeError):
        layer.weight = np.ones((3, 2), complex)
    without = Linear(2, 3, bias=False)
    assert without.bias is None
    with pytest.raises(AttributeError, match="made without bias"):
        without.bias = np.zeros(3)


def test_the_seed_decides_the_initial_weights():
    first, second, other = Linear(4, 4, rng=1), Linear(4, 4, rng=1), Linear(4, 4, rng=2)
    np.testing.assert_array_equal(first.weight, second.weight)
    assert not np.array_equal(first.weight, other.weight)
    np.testing.assert_array_equal(first.bias, 0)
    np.testing.assert_array_equal(
        first.weight, Linear(4, 4, rng=1, dtype=np.float64).weight.astype(np.float32)
    )


def test_batch_norm_counts_batches_and_moves_its_statistics():
    x = distinct((4, 2, 3, 3))
    layer = BatchNorm2d(2, momentum=0.5, dtype=np.float64)
    arrays = dict(layer.buffers)
    layer(x, True)
    np.testing.assert_allclose(layer.running_mean, 0.5 * x.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(layer.running_var, 0.5 + 0.5 * x.var(axis=(0, 2, 3), ddof=1))
    assert layer.num_batches_tracked == 1
    assert layer.num_batches_tracked.shape == ()
    assert layer.num_batches_tracked.dtype == np.int64
    before = copy.deepcopy(layer.buffers)
    layer(x)
    for key, value in layer.buffers.items():
        assert value is arrays[key]
        np.testing.assert_array_equal(value, before[key])


def test_batch_norm_without_momentum_averages_all_batches():
    layer = BatchNorm1d(2, momentum=None, dtype=np.float64)
    batches = [distinct((5, 2), seed=seed) + seed for seed in range(3)]
    for batch in batches:
        layer(batch, True)
    np.testing.assert_allclose(layer.running_mean, np.mean([batch.mean(axis=0) for batch in batches], axis=0))


def test_batch_norm_without_statistics_uses_those_of_the_batch():
    x = distinct((6, 3, 2, 2))
    layer = BatchNorm2d(3, track_running_stats=False, dtype=np.float64)
    assert layer.state_dict().keys() == {"weight", "bias"}
    np.testing.assert_array_equal(layer(x), layer(x, True))


def test_batch_norm_needs_more_than_one_value_to_train():
    layer = BatchNorm1d(3)
    with pytest.raises(ValueError, match="more than one value per channel"):
        layer(np.zeros((1, 3), np.float32), True)
    assert layer.num_batches_tracked == 0
    layer(np.zeros((1, 3), np.float32))


def test_dropout_scales_in_training_and_hands_on_otherwise():
    x = np.ones((100, 100))
    layer = Dropout(0.25, rng=0)
    assert layer(x) is x
    y = layer(x, True)
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert abs(np.mean(y == 0) - 0.25) < 0.02
    np.testing.assert_array_equal(layer.backward(x), y)
    np.testing.assert_array_equal(Dropout(0.0)(x, True), x)
    np.testing.assert_array_equal(Dropout(1.0)(x, True), 0)


def test_random_state_is_saved_and_restored():
    x = np.ones((10, 10))
    layer = Dropout(rng=3)
    state = layer.rng_state()
    first = layer(x, True)
    assert not np.array_equal(layer(x, True), first)
    layer.set_rng_state(state)
    np.testing.assert_array_equal(layer(x, True), first)
    after = layer.rng_state()
    for wrong in (
        {},
        {"rng": {}},
        {"rng": 3},
        {"other": state["rng"]},
        {"rng": {**state["rng"], "bit_generator": "MT19937"}},
    ):
        with pytest.raises(ValueError, match="random state"):
            layer.set_rng_state(wrong)
    assert layer.rng_state() == after
    assert ReLU().rng_state() == {}


def test_macs_count_convolutions_and_matrix_products():
    assert Conv2d(4, 6, 3, padding=1, groups=2).macs((10, 4, 5, 7)) == 10 * 6 * 5 * 7 * 2 * 3 * 3
    assert Linear(5, 3).macs((4, 5)) == 4 * 5 * 3
    assert Linear(5, 3).macs((4, 2, 5)) == 4 * 2 * 5 * 3
    assert MaxPool2d(2).macs((1, 1, 4, 4)) == 0
    assert Residual(Conv2d(2, 2, 1), Conv2d(2, 2, 1)).macs((1, 2, 3, 3)) == 2 * 9 * 4


def test_a_layer_of_ones_own_needs_only_forward_and_backward():
    class Square(Layer):
        def forward(self, x, training=False):
            self.check_input(x)
            y = x * x
            self.remember(training, y, x)
            return y

        def backward(self, dy):
            (x,) = self.recall(dy)
            return 2 * x * dy

    linear = Linear(3, 2, rng=0, dtype=np.float64)
    model = Sequential(
        Square(), Residual(Square()), Concat(Square()), linear, Square(), Residual(Square(), Square())
    )
    x = distinct((4, 3))
    y = model(x, True)
    assert model.backward(np.ones_like(y)).shape == x.shape
    check_layer(model, x).assert_ok()
    assert repr(model[0]) == "Square()"
    with pytest.raises(NotImplementedError, match="Layer must define forward"):
        Layer().forward(x)
    with pytest.raises(NotImplementedError, match="Layer must define backward"):
        Layer().backward(x)
