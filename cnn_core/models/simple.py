"""SimpleConvNet: one convolution."""

from typing import Any

import numpy as np

from cnn_core._checks import Pair
from cnn_core.init import Init, Rng
from cnn_core.layers import Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential
from cnn_core.models._parts import flat_size, image_shape


def SimpleConvNet(
    input_shape: tuple[int, int, int] = (1, 28, 28),
    classes: int = 10,
    *,
    filters: int = 30,
    kernel_size: Pair = 5,
    stride: Pair = 1,
    padding: Pair = 0,
    hidden: int = 100,
    init: Init = None,
    rng: Rng = None,
    dtype: Any = np.float32,
) -> Sequential:
    """Return conv - relu - pool - linear - relu - linear; 433,890 parameters with the defaults.

    Parameters
    ----------
    input_shape : (int, int, int)
        Channels, height and width of an image.
    classes : int
    filters, kernel_size, stride, padding
        Of the convolution; see :class:`cnn_core.layers.Conv2d`.
    hidden : int
        Features between the two linear layers.
    init : None, str, tuple or callable
        Initial weights, He normal by default; the book uses ``("normal", 0.01)``.
    rng : numpy.random.Generator, int or None
        Source of the initial weights.
    dtype : float32 or float64

    Raises
    ------
    ValueError
        If the image is too small, with the layer that it fails at.

    Notes
    -----
    Source: Saito, *Deep Learning from Scratch*, section 7.5.
    """
    channels, *_ = shape = image_shape(input_shape, "SimpleConvNet")
    rng = np.random.default_rng(rng)
    common: dict[str, Any] = {"init": init, "rng": rng, "dtype": dtype}
    layers: list[Layer] = [
        Conv2d(channels, filters, kernel_size, stride, padding, **common),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
    ]
    layers += [Linear(flat_size(layers, shape), hidden, **common), ReLU(), Linear(hidden, classes, **common)]
    return Sequential(*layers)
