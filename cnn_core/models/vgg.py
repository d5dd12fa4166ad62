"""A small VGG with batch normalization."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnn_core.init import Init, Rng
from cnn_core.layers import BatchNorm2d, Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential
from cnn_core.models._parts import flat_size, image_shape


def VGG(
    input_shape: tuple[int, int, int] = (3, 32, 32),
    classes: int = 10,
    *,
    widths: Sequence[Sequence[int]] = ((64, 64), (128, 128), (256, 256)),
    init: Init = None,
    rng: Rng = None,
    dtype: Any = np.float32,
) -> Sequential:
    """Return stages of (conv 3x3 - batch norm - relu) with a 2x2 pool after each, then one linear layer.

    Parameters
    ----------
    input_shape : (int, int, int)
        Channels, height and width of an image; each stage halves height and width.
    classes : int
    widths : sequence of sequences of int
        For each stage, the filters of its convolutions.
    init : None, str, tuple or callable
        Initial weights, He normal by default.
    rng : numpy.random.Generator, int or None
        Source of the initial weights.
    dtype : float32 or float64

    Raises
    ------
    ValueError
        If the image is too small, with the layer that it fails at.

    Notes
    -----
    The convolutions have no bias, because batch normalization subtracts it.

    Source: Simonyan and Zisserman, *Very deep convolutional networks for large-scale image recognition*,
    2014; Ioffe and Szegedy, *Batch normalization*, 2015.
    """
    channels, *_ = shape = image_shape(input_shape, "VGG")
    rng = np.random.default_rng(rng)
    common: dict[str, Any] = {"init": init, "rng": rng, "dtype": dtype}
    layers: list[Layer] = []
    for stage in widths:
        for filters in stage:
            layers += [
                Conv2d(channels, filters, 3, padding=1, bias=False, **common),
                BatchNorm2d(filters, dtype=dtype),
                ReLU(),
            ]
            channels = filters
        layers.append(MaxPool2d(2))
    layers.append(Flatten())
    return Sequential(*layers, Linear(flat_size(layers, shape), classes, **common))
