"""DeepConvNet: six convolutions."""

from typing import Any

import numpy as np

from cnn_core.init import Init, Rng
from cnn_core.layers import Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential
from cnn_core.models._parts import flat_size, image_shape

# Filters and padding of the two convolutions before each pooling. The 2 makes 28x28 images divide evenly
# (28, 14, 16, 8, 4).
_STAGES = (((16, 1), (16, 1)), ((32, 1), (32, 2)), ((64, 1), (64, 1)))


def DeepConvNet(
    input_shape: tuple[int, int, int] = (1, 28, 28),
    classes: int = 10,
    *,
    hidden: int = 50,
    dropout: float = 0.5,
    dropout_logits: bool = False,
    init: Init = None,
    rng: Rng = None,
    dtype: Any = np.float32,
) -> Sequential:
    """Return three times (conv - relu - conv - relu - pool), then linear - relu - dropout - linear.

    The convolutions are 3x3 with 16, 16, 32, 32, 64 and 64 filters; 123,552 parameters with the defaults.

    Parameters
    ----------
    input_shape : (int, int, int)
        Channels, height and width of an image.
    classes : int
    hidden : int
        Features between the two linear layers.
    dropout : float
        Probability of dropping a hidden feature in training.
    dropout_logits : bool
        The book has a second dropout after the last layer, which sets logits to zero in training. It is left
        out unless asked for here.
    init : None, str, tuple or callable
        Initial weights, He normal by default as in the book.
    rng : numpy.random.Generator, int or None
        Source of the initial weights, and of the seed of the dropout masks.
    dtype : float32 or float64

    Raises
    ------
    ValueError
        If the image is too small, with the layer that it fails at.

    Notes
    -----
    Source: Saito, *Deep Learning from Scratch*, section 8.1.
    """
    channels, *_ = shape = image_shape(input_shape, "DeepConvNet")
    rng = np.random.default_rng(rng)
    common: dict[str, Any] = {"init": init, "rng": rng, "dtype": dtype}
    layers: list[Layer] = []
    for stage in _STAGES:
        for filters, padding in stage:
            layers += [Conv2d(channels, filters, 3, padding=padding, **common), ReLU()]
            channels = filters
        layers.append(MaxPool2d(2))
    layers.append(Flatten())
    layers += [Linear(flat_size(layers, shape), hidden, **common), ReLU()]
    layers += [Dropout(dropout, rng=rng.spawn(1)[0]), Linear(hidden, classes, **common)]
    if dropout_logits:
        layers.append(Dropout(dropout, rng=rng.spawn(1)[0]))
    return Sequential(*layers)
