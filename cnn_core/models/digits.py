"""DigitsNet: two convolutions for 8x8 images."""

from typing import Any

import numpy as np

from cnn_core.init import Init, Rng
from cnn_core.layers import Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential
from cnn_core.models._parts import flat_size, image_shape


def DigitsNet(
    input_shape: tuple[int, int, int] = (1, 8, 8),
    classes: int = 10,
    *,
    filters: int = 32,
    hidden: int = 64,
    dropout: float = 0.5,
    init: Init = None,
    rng: Rng = None,
    dtype: Any = np.float32,
) -> Sequential:
    """Return conv - relu - conv - relu - pool - linear - relu - dropout - linear.

    The convolutions are 3x3 with padding 1. Small enough to train in seconds on the digits that come with the
    library: 85,066 parameters with the defaults.

    Parameters
    ----------
    input_shape : (int, int, int)
        Channels, height and width of an image.
    classes : int
    filters : int
        Of the first convolution; the second has twice as many.
    hidden : int
        Features between the two linear layers.
    dropout : float
        Probability of dropping a hidden feature in training.
    init : None, str, tuple or callable
        Initial weights, He normal by default.
    rng : numpy.random.Generator, int or None
        Source of the initial weights, and of the seed of the dropout masks.
    dtype : float32 or float64

    Raises
    ------
    ValueError
        If the image is too small, with the layer that it fails at.
    """
    channels, *_ = shape = image_shape(input_shape, "DigitsNet")
    rng = np.random.default_rng(rng)
    common: dict[str, Any] = {"init": init, "rng": rng, "dtype": dtype}
    layers: list[Layer] = [
        Conv2d(channels, filters, 3, padding=1, **common),
        ReLU(),
        Conv2d(filters, 2 * filters, 3, padding=1, **common),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
    ]
    layers += [Linear(flat_size(layers, shape), hidden, **common), ReLU()]
    layers += [Dropout(dropout, rng=rng.spawn(1)[0]), Linear(hidden, classes, **common)]
    return Sequential(*layers)
