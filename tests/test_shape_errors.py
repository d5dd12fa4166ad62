"""Shapes that do not fit: the message names the layer, the numbers and who made them."""

import re

import numpy as np
import pytest

from cnn_core.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    ShapeError,
)

# name: (network, shape of the input, the whole message)
CASES = {
    "design": (
        lambda: Sequential(Conv2d(1, 30, 5), ReLU(), MaxPool2d(3, 2), Flatten(), Linear(4320, 10)),
        (8, 1, 28, 28),
        'Linear "4": expects 4320 inputs, got 3630 = (30, 11, 11): '
        'MaxPool2d "2" gave 11 = (24 + 2*0 - 3)//2 + 1',
    ),
    "rectangular": (
        lambda: Sequential(Conv2d(1, 2, 3), MaxPool2d((3, 2), (2, 1), (1, 0)), Flatten(), Linear(9, 2)),
        (1, 1, 9, 8),
        'Linear "3": expects 9 inputs, got 40 = (2, 4, 5): MaxPool2d "1" gave (4, 5) = '
        "((7 + 2*1 - 3)//2 + 1, (6 + 2*0 - 2)//1 + 1)",
    ),
    "dilation": (
        lambda: Sequential(Conv2d(1, 2, 3, dilation=2), Flatten(), Linear(9, 2)),
        (1, 1, 8, 8),
        'Linear "2": expects 9 inputs, got 32 = (2, 4, 4): '
        'Conv2d "0" gave 4 = (8 + 2*0 - 2*(3 - 1) - 1)//1 + 1',
    ),
    "ceil": (
        lambda: Sequential(MaxPool2d(2, ceil_mode=True), Flatten(), Linear(9, 2)),
        (1, 2, 5, 5),
        'Linear "2": expects 9 inputs, got 18 = (2, 3, 3): MaxPool2d "0" gave 3 = ceil((5 + 2*0 - 2)/2) + 1',
    ),
    "ceil with a window left out": (
        lambda: Sequential(AvgPool2d(2, 2, 1, ceil_mode=True), Flatten(), Linear(8, 2)),
        (1, 1, 5, 5),
        'Linear "2": expects 8 inputs, got 9 = (1, 3, 3): '
        'AvgPool2d "0" gave 3 = ceil((5 + 2*1 - 2)/2) + 1 - 1',
    ),
    "same padding keeps the size, so the pooling before it is named": (
        lambda: Sequential(MaxPool2d(2), Conv2d(1, 2, 3, padding="same"), Flatten(), Linear(9, 2)),
        (1, 1, 8, 8),
        'Linear "3": expects 9 inputs, got 32 = (2, 4, 4): MaxPool2d "0" gave 4 = (8 + 2*0 - 2)//2 + 1',
    ),
    "padding that keeps the size does too": (
        lambda: Sequential(MaxPool2d(2), Conv2d(1, 2, 3, padding=1), Flatten(), Linear(9, 2)),
        (1, 1, 8, 8),
        'Linear "3": expects 9 inputs, got 32 = (2, 4, 4): MaxPool2d "0" gave 4 = (8 + 2*0 - 2)//2 + 1',
    ),
    "adaptive": (
        lambda: Sequential(AdaptiveAvgPool2d(2), Flatten(), Linear(9, 2)),
        (1, 3, 8, 8),
        'Linear "2": expects 9 inputs, got 12 = (3, 2, 2): AdaptiveAvgPool2d "0" gave 2 (its output_size)',
    ),
    "linear after linear": (
        lambda: Sequential(Linear(4, 5), ReLU(), Linear(6, 2)),
        (1, 4),
        'Linear "2": expects 6 inputs, got 5: Linear "0" gave 5 outputs',
    ),
    "flatten of flat": (
        lambda: Sequential(Linear(4, 5), Flatten(), Linear(6, 2)),
        (1, 4),
        'Linear "2": expects 6 inputs, got 5: Linear "0" gave 5 outputs',
    ),
    "the input itself": (
        lambda: Sequential(Flatten(), Linear(100, 10)),
        (8, 1, 28, 28),
        'Linear "1": expects 100 inputs, got 784 = (1, 28, 28): '
        "the input of the network has shape (8, 1, 28, 28)",
    ),
    "no flatten": (
        lambda: Sequential(Conv2d(1, 2, 3), Linear(72, 10)),
        (8, 1, 8, 8),
        'Linear "1": expects 72 inputs, got 6 on the last axis of (8, 2, 6, 6); put Flatten() before it',
    ),
    "conv channels": (
        lambda: Sequential(Conv2d(1, 16, 3), ReLU(), MaxPool2d(2), Conv2d(32, 8, 3)),
        (8, 1, 28, 28),
        'Conv2d "3": expects 32 channels, got 16: Conv2d "0" gave 16 channels',
    ),
    "conv channels of the input": (
        lambda: Sequential(Conv2d(3, 16, 3), ReLU()),
        (8, 1, 28, 28),
        'Conv2d "0": expects 3 channels, got 1 in (8, 1, 28, 28); repeat gray images: x.repeat(3, axis=1), '
        "or make the layer for 1 channel",
    ),
    "norm channels": (
        lambda: Sequential(Conv2d(1, 16, 3), BatchNorm2d(8)),
        (8, 1, 28, 28),
        'BatchNorm2d "1": expects 8 channels, got 16: Conv2d "0" gave 16 channels',
    ),
    "norm features": (
        lambda: Sequential(Linear(4, 5), BatchNorm1d(4)),
        (8, 4),
        'BatchNorm1d "1": expects 4 channels, got 5: Linear "0" gave 5 outputs',
    ),
    "kernel too large": (
        lambda: Sequential(MaxPool2d(2), MaxPool2d(2), Conv2d(1, 1, 5, padding=1)),
        (1, 1, 8, 8),
        'Conv2d "2": kernel 5 is larger than the padded input 4 = 2 + 2*1: '
        "use larger images, a smaller kernel or more padding: "
        'MaxPool2d "1" gave 2 = (4 + 2*0 - 2)//2 + 1; on the way: 8 -> 4 -> 2',
    ),
    "nested": (
        lambda: Sequential(
            Conv2d(1, 4, 3), Sequential(ReLU(), Residual(Sequential(ReLU(), Conv2d(5, 4, 3))))
        ),
        (1, 1, 8, 8),
        'Conv2d "1.1.body.1": expects 5 channels, got 4: Conv2d "0" gave 4 channels',
    ),
    "after residual": (
        lambda: Sequential(Residual(Conv2d(2, 4, 3, padding=1), Conv2d(2, 4, 1)), Conv2d(2, 4, 3)),
        (1, 2, 8, 8),
        'Conv2d "1": expects 2 channels, got 4: Conv2d "0.body" gave 4 channels',
    ),
    "shortcut": (
        lambda: Sequential(Conv2d(1, 4, 3), Residual(Conv2d(4, 4, 3, padding=1), Conv2d(3, 4, 1))),
        (1, 1, 8, 8),
        'Conv2d "1.shortcut": expects 3 channels, got 4: Conv2d "0" gave 4 channels',
    ),
    "residual sizes": (
        lambda: Sequential(Conv2d(1, 4, 3), Residual(Conv2d(4, 4, 3))),
        (1, 1, 8, 8),
        'Residual "1": cannot add, the body gives (1, 4, 4, 4) and the input has (1, 4, 6, 6): '
        'Conv2d "1.body" gave 4 = (6 + 2*0 - 3)//1 + 1; on the way: 8 -> 6 -> 4; '
        'keep the size in the body, with padding="same"',
    ),
    "residual with shortcut": (
        lambda: Residual(Conv2d(1, 4, 3, padding=1), Conv2d(1, 8, 1)),
        (1, 1, 8, 8),
        "Residual: cannot add, the body gives (1, 4, 8, 8) and the shortcut gives (1, 8, 8, 8): "
        'Conv2d "body" gave 4 channels; make the shortcut end with the shape of the body',
    ),
    "residual ranks": (
        lambda: Residual(Flatten()),
        (1, 4, 8, 8),
        "Residual: cannot add, the body gives (1, 256) and the input has (1, 4, 8, 8): "
        'Flatten "body" made (1, 256) of (1, 4, 8, 8); keep the number of axes in the body',
    ),
    "concat": (
        lambda: Concat(Conv2d(1, 4, 3), Conv2d(1, 2, 1)),
        (1, 1, 8, 8),
        "Concat: branches must agree on all axes but the channels: "
        '"0" gives (1, 4, 6, 6), "1" gives (1, 2, 8, 8): '
        'Conv2d "0" gave 6 = (8 + 2*0 - 3)//1 + 1; padding="same" keeps the size',
    ),
    "after concat": (
        lambda: Sequential(Concat(Conv2d(1, 4, 1), Conv2d(1, 2, 1)), Conv2d(4, 1, 1)),
        (1, 1, 8, 8),
        'Conv2d "1": expects 4 channels, got 6: Concat "0" gave 6 = 4 + 2 channels',
    ),
    "size after concat": (
        lambda: Sequential(Concat(MaxPool2d(2), AvgPool2d(2)), Flatten(), Linear(9, 1)),
        (1, 1, 8, 8),
        'Linear "2": expects 9 inputs, got 32 = (2, 4, 4): MaxPool2d "0.0" gave 4 = (8 + 2*0 - 2)//2 + 1',
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_message_says_what_does_not_fit_and_who_made_it(name):
    build, shape, message = CASES[name]
    model = build()
    for attempt in (
        lambda: model.output_shape(shape),
        lambda: model(np.zeros(shape, np.float32), training=True),
    ):
        with pytest.raises(ValueError, match=re.escape(message) + "$") as caught:
            attempt()
        assert isinstance(caught.value, ShapeError)


@pytest.mark.parametrize(
    ("layer", "layout"),
    [
        (Conv2d(1, 2, 3), "(N, C, H, W)"),
        (MaxPool2d(2), "(N, C, H, W)"),
        (AvgPool2d(2), "(N, C, H, W)"),
        (AdaptiveAvgPool2d(1), "(N, C, H, W)"),
        (BatchNorm2d(1), "(N, C, H, W)"),
    ],
)
def test_an_image_without_a_batch_is_refused_with_the_way_to_add_one(layer, layout):
    with pytest.raises(
        ValueError, match=re.escape(f"expects a batch {layout}, got shape (1, 8, 8); add the batch axis")
    ):
        layer(np.zeros((1, 8, 8), np.float32))
    with pytest.raises(ValueError, match=re.escape("got shape (1, 1, 1, 8, 8)")) as caught:
        layer(np.zeros((1, 1, 1, 8, 8), np.float32))
    assert "add the batch axis" not in str(caught.value)


def test_a_vector_without_a_batch_is_refused():
    with pytest.raises(
        ValueError, match=r"Linear: expects a batch \(N, in\), got shape \(8,\); add the batch axis"
    ):
        Linear(8, 2)(np.zeros(8, np.float32))
    with pytest.raises(
        ValueError, match=r"expects a batch \(N, C\) or \(N, C, L\), got shape \(8,\); add the batch"
    ):
        BatchNorm1d(8)(np.zeros(8, np.float32))


def test_flatten_needs_the_axes_it_merges():
    with pytest.raises(ValueError, match="cannot merge axes 1 to -1 of 1 axes"):
        Flatten()(np.zeros(3))
    with pytest.raises(ValueError, match="cannot merge axes 2 to 1 of 4 axes"):
        Flatten(2, 1)(np.zeros((1, 2, 3, 4)))


def test_nothing_is_computed_before_the_whole_network_fits():
    model = Sequential(Conv2d(1, 2, 3), BatchNorm2d(2), Flatten(), Linear(5, 2))
    with pytest.raises(ValueError, match="expects 5 inputs"):
        model(np.ones((2, 1, 6, 6), np.float32), training=True)
    assert model[1].num_batches_tracked == 0


def test_a_shape_is_followed_through_the_network_once():
    class Counting(ReLU):
        calls = 0

        def output_shape(self, input_shape):
            self.calls += 1
            return super().output_shape(input_shape)

    counting = Counting()
    model = Sequential(counting)
    model(np.zeros((2, 3)))
    calls = counting.calls
    model(np.ones((2, 3)))
    assert counting.calls == calls
    model(np.ones((3, 3)))
    assert counting.calls > calls
