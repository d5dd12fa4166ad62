"""Operations and compulsory bytes against numbers worked out by hand."""

import numpy as np
import pytest

import cnn_core as cc
from cnn_core.bench import costs
from cnn_core.bench.cases import HUGE, IMAGES, LARGE, NETS, Case, kernel_cases
from cnn_core.bench.costs import Cost, layer_backward_cost, layer_cost
from cnn_core.bench.kernels import OPS

F32 = 4


def cost_of(op: str, shape: tuple[int, ...], **options: object) -> Cost:
    arguments = OPS[op].build(np.random.default_rng(0), shape, options)
    return OPS[op].cost(arguments, OPS[op].bind(arguments)())


# 2 images of 3 x 6 x 5, 4 filters of 3 x 3: outputs of 4 x 4 x 3; 27 multiply-adds for each
CONVOLUTION = {"filters": 4, "kernel_size": 3}
X, Y, W = 2 * 3 * 6 * 5, 2 * 4 * 4 * 3, 4 * 3 * 3 * 3


@pytest.mark.parametrize(
    ("op", "shape", "options", "flops", "numbers"),
    [
        ("conv2d", (2, 3, 6, 5), CONVOLUTION, 2 * Y * 27, X + W + 4 + Y),
        ("conv2d", (2, 3, 6, 5), CONVOLUTION | {"bias": False}, 2 * Y * 27, X + W + Y),
        ("conv2d dx", (2, 3, 6, 5), CONVOLUTION, 2 * Y * 27, Y + W + X),
        ("conv2d dW", (2, 3, 6, 5), CONVOLUTION, 2 * Y * 27, Y + X + W + 4),
        ("linear", (2, 5), {"outputs": 3}, 2 * 2 * 5 * 3, 10 + 15 + 3 + 6),
        ("linear dx", (2, 5), {"outputs": 3}, 2 * 2 * 5 * 3, 6 + 15 + 10),
        ("linear dW", (2, 5), {"outputs": 3}, 2 * 2 * 5 * 3, 6 + 10 + 15 + 3),
        ("max_pool2d", (1, 1, 4, 4), {"kernel_size": 2}, 4 * 4, 16 + 4 + 4),  # indices: 4 bytes each
        ("max_pool2d backward", (1, 1, 4, 4), {"kernel_size": 2}, 4, 4 + 4 + 16),
        ("avg_pool2d", (1, 1, 4, 4), {"kernel_size": 2}, 4 * 4, 16 + 4),
        ("avg_pool2d backward", (1, 1, 4, 4), {"kernel_size": 2}, 4 * 4, 4 + 16),
        ("adaptive_avg_pool2d", (1, 2, 4, 4), {"output_size": 1}, 32, 32 + 2),
        ("adaptive_avg_pool2d", (1, 1, 5, 4), {"output_size": 2}, (3 + 3) * (2 + 2), 20 + 4),
        ("adaptive_avg_pool2d backward", (1, 2, 4, 4), {"output_size": 1}, 32, 2 + 32),
        ("im2col", (1, 1, 4, 4), {"kernel_size": 3}, 0, 16 + 4 * 9),
        ("col2im", (1, 1, 4, 4), {"kernel_size": 3}, 4 * 9, 4 * 9 + 16),
        ("batch_norm", (2, 3, 2, 2), {}, 6 * 24, 24 + 3 + 3 + 2 * 6 + 24 + 3 + 3),
        ("batch_norm backward", (2, 3, 2, 2), {}, 8 * 24, 24 + 24 + 3 + 3 + 3 + 24 + 3 + 3),
        ("relu", (3, 5), {}, 15, 30),
        ("relu backward", (3, 5), {}, 15, 45),
        ("sigmoid", (3, 5), {}, 4 * 15, 30),
        ("softmax", (3, 5), {"dim": -1}, 5 * 15, 30),
        ("sgd", (), {"shapes": ((3, 5), (7,))}, 2 * 22, 22 + 2 * 22),
        ("adam", (), {"shapes": ((3, 5), (7,))}, 12 * 22, 22 + 2 * 3 * 22),
    ],
)
def test_functions(op, shape, options, flops, numbers):
    assert cost_of(op, shape, **options) == Cost(flops, numbers * F32)


def test_functions_with_other_types():
    assert cost_of("dropout", (3, 5)) == Cost(2 * 15, 15 * (4 + 4 + 1))  # a mask of bytes
    assert cost_of("dropout backward", (3, 5)) == Cost(2 * 15, 15 * (4 + 4 + 1))
    loss = cost_of("cross_entropy", (3, 5))  # labels of 8 bytes; the loss itself is a number
    assert loss == Cost(6 * 15, 15 * 4 + 3 * 8 + 15 * 4)


def test_every_function_has_a_case_and_every_case_a_function():
    cases = kernel_cases()
    assert {case.op for case in cases} == set(OPS)
    names = [case.name for case in cases]
    assert len(set(names)) == len(names)
    assert {HUGE, LARGE, IMAGES} <= {case.shape for case in cases}
    assert all(case.origin or case.shape for case in cases)


def test_convolutions_of_all_networks_are_measured():
    cases = {(case.op, case.shape) for case in kernel_cases()}
    for net in NETS:
        steps: list = []
        net.build().trace(net.input_shape, None, steps)
        shapes = [step.input_shape for step in steps if isinstance(step.layer, cc.Conv2d)]
        assert {("conv2d", shape) for shape in shapes} <= cases
        assert {("conv2d dW", shape) for shape in shapes} <= cases
        assert {("conv2d dx", shape) for shape in shapes[1:]} <= cases
        assert ("conv2d dx", net.input_shape) not in cases


def test_names_of_cases():
    options = {"filters": 16, "kernel_size": 3, "stride": 2, "padding": 1}
    case = Case("conv2d", (100, 1, 28, 28), tuple(options.items()), ("deep",))
    assert case.name == "conv2d 100x1x28x28 to 16 3x3 stride 2 pad 1 (deep)"
    pool = Case("max_pool2d", (1, 2, 4, 4), (("kernel_size", 2), ("stride", 2)))
    assert pool.name == "max_pool2d 1x2x4x4 2x2"


# Layers, as the profile counts them


@pytest.mark.parametrize(
    ("layer", "x", "y", "forward", "backward"),
    [
        (cc.Conv2d(3, 4, 3), (2, 3, 6, 5), (2, 4, 4, 3),
         (2 * Y * 27, X + W + 4 + Y), (4 * Y * 27, Y + X + X + 2 * (W + 4))),
        (cc.Linear(5, 3), (2, 5), (2, 3), (60, 10 + 18 + 6), (120, 6 + 10 + 10 + 36)),
        (cc.MaxPool2d(2), (1, 1, 4, 4), (1, 1, 2, 2), (16, 16 + 4 + 4), (4, 4 + 4 + 16)),
        (cc.AvgPool2d(2), (1, 1, 4, 4), (1, 1, 2, 2), (16, 16 + 4), (16, 4 + 16)),
        (cc.AdaptiveAvgPool2d(1), (1, 2, 4, 4), (1, 2, 1, 1), (32, 34), (32, 34)),
        (cc.BatchNorm2d(3), (2, 3, 2, 2), (2, 3, 2, 2), (6 * 24, 48 + 6), (8 * 24, 72 + 12)),
        (cc.ReLU(), (3, 5), (3, 5), (15, 30), (15, 45)),
        (cc.Tanh(), (3, 5), (3, 5), (15, 30), (45, 45)),
        (cc.Flatten(), (1, 2, 3, 4), (1, 24), (0, 0), (0, 0)),
        (cc.Residual(cc.Identity()), (3, 5), (3, 5), (15, 45), (15, 45)),
        (cc.Concat(cc.Identity(), cc.Identity()), (3, 5), (3, 10), (0, 60), (15, 45)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, cc.Layer) else "",
)  # fmt: skip
def test_layers(layer, x, y, forward, backward):
    assert layer_cost(layer, x, y, F32) == Cost(forward[0], forward[1] * F32)
    assert layer_backward_cost(layer, x, y, F32) == Cost(backward[0], backward[1] * F32)


def test_layers_without_gradient_for_the_input():
    conv = cc.Conv2d(3, 4, 3)
    cost = layer_backward_cost(conv, (2, 3, 6, 5), (2, 4, 4, 3), F32, need_dx=False)
    assert cost == Cost(2 * Y * 27, (Y + X + W + 4) * F32)


def test_layers_in_prediction_and_in_double_precision():
    assert layer_cost(cc.Dropout(), (3, 5), (3, 5), F32, training=False) == Cost(0, 0)
    assert layer_cost(cc.Dropout(), (3, 5), (3, 5), F32) == Cost(30, 15 * 9)
    assert layer_cost(cc.BatchNorm1d(5), (3, 5), (3, 5), F32, training=False).flops == 30
    assert layer_cost(cc.ReLU(), (3, 5), (3, 5), 8).nbytes == 30 * 8


def test_an_unknown_layer_counts_its_macs():
    class Own(cc.Layer):
        def macs(self, input_shape):
            return 7

    own = Own()
    own.add_param("weight", np.zeros(11, np.float32))
    assert layer_cost(own, (3, 5), (3, 2), F32) == Cost(14, (15 + 6 + 11) * F32)
    assert layer_backward_cost(own, (3, 5), (3, 2), F32) == Cost(28, (6 + 15 + 15 + 22) * F32)


def test_whole_networks():
    model = cc.Sequential(cc.Flatten(), cc.Linear(4, 3, bias=False), cc.ReLU(), cc.Linear(3, 2, bias=False))
    shape = (5, 1, 2, 2)
    forward = 2 * 5 * 4 * 3 + 15 + 2 * 5 * 3 * 2
    assert costs.inference_cost(model, shape).flops == forward
    # backward: dW of both, dx of the second, ReLU's
    assert costs.training_cost(model, shape).flops == forward + 2 * 5 * 12 + 15 + 2 * 2 * 5 * 6
