"""Layers that run together give the same bits as one by one: outputs, gradients, signs of zeros."""

import copy

import numpy as np
import pytest

import cnn_core
from cnn_core.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential
from cnn_core.layers.together import AfterReLU, ConvPool, WithReLU

THREADS = (1, 2, 3)


def one_by_one(model):
    """A copy whose layers run one after the other."""
    copied = copy.deepcopy(model)
    copied._run_as(copied.layers)
    return copied


def same_bits(one, other):
    """NaN may differ in its payload."""
    return np.array_equal(np.isnan(one), np.isnan(other)) and (
        one[~np.isnan(one)].tobytes() == other[~np.isnan(other)].tobytes()
    )


def assert_same(model, x):
    """Forward in training and not, backward, gradients, for several numbers of threads."""
    plain = one_by_one(model)
    expected = plain.forward(x, training=True)
    dy = np.random.default_rng(0).standard_normal(expected.shape).astype(x.dtype)
    expected_dx = plain.backward(dy)
    for threads in THREADS:
        cnn_core.set_num_threads(threads)
        assert same_bits(model.forward(x), expected)
        assert same_bits(model.forward(x, training=True), expected)
        assert same_bits(model.backward(dy), expected_dx)
        for name, gradient in model.grads.items():
            assert same_bits(gradient, plain.grads[name])
        model.backward(dy, need_dx=False)
        assert all(same_bits(model.grads[name], plain.grads[name]) for name in model.grads)


def images(shape, dtype, kind):
    rng = np.random.default_rng(1)
    if kind == "few values":  # many windows with equal maxima, many zeros
        return rng.integers(-2, 3, shape).astype(dtype)
    x = rng.standard_normal(shape).astype(dtype)
    if kind == "with NaN":
        x[rng.random(shape) < 0.01] = np.nan
    return x


CONVOLUTIONS = [
    # channels, filters, kernel, padding
    (1, 30, 5, 0),
    (2, 3, 1, 0),
    (3, 16, 3, 1),
    (4, 5, 3, (0, 2)),
    (16, 16, 3, 1),  # by Winograd's algorithm, as what follows
    (13, 17, 3, 2),
    (20, 64, 3, 0),
]
SIZES = [(5, 4), (8, 8), (9, 7), (13, 30), (4, 70), (28, 28)]


@pytest.mark.parametrize("order", ["conv relu pool", "conv pool relu", "conv pool"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("convolution", CONVOLUTIONS, ids=str)
def test_a_convolution_and_the_pooling_after_it(convolution, dtype, order):
    channels, filters, kernel, padding = convolution
    for number, size in enumerate(SIZES):
        if kernel > min(size):
            continue
        conv = Conv2d(channels, filters, kernel, padding=padding, bias=number % 3 != 0, dtype=dtype, rng=1)
        if conv.bias is not None:
            conv.bias[...] = np.random.default_rng(2).integers(-1, 2, filters) / 2
        parts = {"conv": conv, "relu": ReLU(), "pool": MaxPool2d(2)}
        model = Sequential(*(parts[name] for name in order.split()))
        assert len(model._steps) == 1
        for kind in ("numbers", "few values", "with NaN"):
            assert_same(model, images((3, channels, *size), dtype, kind))


@pytest.mark.parametrize("then", ["", "relu", "pool relu", "relu conv", "relu pool flatten"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("channels", "kernel", "padding"),
    [(16, 3, 1), (17, 3, 0), (12, 3, 2), (5, 3, 1), (3, 2, "same"), (16, 4, "same"), (2, 5, 2)],
)
def test_the_relu_between_two_convolutions(channels, kernel, padding, dtype, then):
    """Its backward pass is done while the second convolution's gradient is written."""

    def conv(seed):
        return Conv2d(channels, channels, kernel, padding=padding, dtype=dtype, rng=seed)

    parts = {"conv": conv(2), "relu": ReLU(), "pool": MaxPool2d(2), "flatten": Flatten()}
    layers = [conv(0), ReLU(), conv(1), *(copy.deepcopy(parts[name]) for name in then.split())]
    model = Sequential(*layers)
    assert type(model._steps[1]) is AfterReLU
    for size in ((9, 7), (13, 30), (28, 28)):
        for kind in ("numbers", "few values", "with NaN"):
            assert_same(model, images((3, channels, *size), dtype, kind))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1), (2, 3, 0), (3, 3, 0)]
)
def test_a_pooling_and_the_relu_after_it(kernel, stride, padding, dtype):
    model = Sequential(ReLU(), MaxPool2d(kernel, stride, padding))
    assert [type(step) for step in model._steps] == [WithReLU]
    for size in SIZES:
        for kind in ("numbers", "few values", "with NaN"):
            assert_same(model, images((2, 6, *size), dtype, kind))


def test_what_runs_together():
    def steps(*layers):
        return [type(step) for step in Sequential(*layers)._steps]

    class Louder(Conv2d):
        def forward(self, x, training=False):
            return 2 * super().forward(x, training)

    class Noted(Conv2d):
        """The same forward."""

    class Halved(Conv2d):
        def backward(self, dy, *, accumulate=False, need_dx=True):
            return super().backward(dy / 2, accumulate=accumulate, need_dx=need_dx)

    assert steps(Conv2d(1, 2, 3), MaxPool2d(2)) == [ConvPool]
    assert steps(Noted(1, 2, 3), MaxPool2d(2), ReLU()) == [WithReLU]
    assert steps(Conv2d(1, 2, 3), MaxPool2d(2), MaxPool2d(2)) == [ConvPool, MaxPool2d]
    for other in (Louder, Halved):
        assert steps(other(1, 2, 3), MaxPool2d(2)) == [other, MaxPool2d]
        assert steps(other(1, 2, 3), ReLU(), Conv2d(2, 2, 3)) == [other, ReLU, Conv2d]
        assert steps(Conv2d(1, 2, 3), ReLU(), other(2, 2, 3)) == [WithReLU, other]
    assert steps(Conv2d(1, 2, 3, stride=2), MaxPool2d(2)) == [Conv2d, MaxPool2d]
    for other in (MaxPool2d(3), MaxPool2d(2, 1), MaxPool2d(2, ceil_mode=True), MaxPool2d(2, dilation=2)):
        assert steps(Conv2d(1, 2, 3), other) == [Conv2d, MaxPool2d]
        assert steps(Conv2d(1, 2, 3), ReLU(), other) == [Conv2d, WithReLU]
    convs = [Conv2d(2, 2, 3) for _ in range(3)]
    assert steps(convs[0], ReLU(), convs[1], ReLU(), convs[2]) == [WithReLU, AfterReLU, AfterReLU]
    # The indices of pooling know what ReLU did.
    assert steps(convs[0], ReLU(), MaxPool2d(2), convs[1]) == [WithReLU, Conv2d]
    assert steps(ReLU(), convs[0], convs[1], MaxPool2d(2)) == [ReLU, Conv2d, ConvPool]


def test_layers_keep_what_is_theirs():
    """Each layer's own backward works after a pass in which it ran with others, and so does accumulation."""
    conv, pool, relu = Conv2d(2, 3, 3, rng=0), MaxPool2d(2), ReLU()
    model = Sequential(conv, relu, pool, Flatten(), Linear(27, 2, rng=1))
    x = images((4, 2, 8, 8), "float32", "numbers")
    y = model.forward(x, training=True)
    model.backward(np.ones_like(y))
    first = {name: gradient.copy() for name, gradient in model.grads.items()}
    model.backward(np.ones_like(y), accumulate=True)
    for name, gradient in model.grads.items():
        np.testing.assert_array_equal(gradient, 2 * first[name])
    with pytest.raises(ValueError, match=r'^MaxPool2d "2": backward expects .* \(4, 3, 3, 3\), got \(1, 1\)'):
        model._steps[0].backward(np.ones((1, 1), np.float32))
    model.forward(x)
    with pytest.raises(RuntimeError, match="backward needs a forward"):
        model.backward(np.ones_like(y))


def test_wrong_shapes_name_the_layer_as_ever():
    model = Sequential(Conv2d(2, 3, 3), ReLU(), MaxPool2d(2))
    with pytest.raises(ValueError, match=r'^Conv2d "0": expects 2 channels, got 1'):
        model.forward(np.zeros((1, 1, 8, 8), np.float32))
    with pytest.raises(ValueError, match=r'^MaxPool2d "2": '):
        model.forward(np.zeros((1, 2, 3, 3), np.float32))
    step = model._steps[0]  # which is also right without the network's own check
    with pytest.raises(ValueError, match=r'^MaxPool2d "2": '):
        step.forward(np.zeros((1, 2, 3, 3), np.float32))


@pytest.mark.parametrize("shape", [(0, 2, 6, 6), (2, 2, 0, 6)])
def test_nothing_in_the_batch_or_in_the_image(shape):
    model = Sequential(Conv2d(2, 3, 3, padding=2, rng=0), MaxPool2d(2), ReLU())
    model[0].bias[...] = [1, -1, 0]
    assert_same(model, np.zeros(shape, np.float32))
