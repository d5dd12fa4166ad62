"""LeNet-5."""

from typing import Any

import numpy as np

from cnn_core.init import Init, Rng
from cnn_core.layers import AvgPool2d, Conv2d, Flatten, Layer, Linear, Sequential, Tanh
from cnn_core.models._parts import flat_size, image_shape


def LeNet(
    input_shape: tuple[int, int, int] = (1, 28, 28),
    classes: int = 10,
    *,
    init: Init = "xavier_uniform",
    rng: Rng = None,
    dtype: Any = np.float32,
) -> Sequential:
    """Return LeNet-5: two (conv 5x5 - tanh - average pool), then linear layers of 120, 84 and ``classes``.

    61,706 parameters with the defaults. The first convolution pads by 2, as the paper's 32x32 images do.

    Parameters
    ----------
    input_shape : (int, int, int)
        Channels, height and width of an image, at least 12x12.
    classes : int
    init : None, str, tuple or callable
        Initial weights, Xavier uniform by default.
    rng : numpy.random.Generator, int or None
        Source of the initial weights.
    dtype : float32 or float64

    Raises
    ------
    ValueError
        If the image is too small, with the layer that it fails at.

    Notes
    -----
    Source: LeCun et al., *Gradient-based learning applied to document recognition*, 1998, section II.B; with
    plain average pooling, all feature maps connected, and logits in place of the radial basis functions.
    """
    channels, *_ = shape = image_shape(input_shape, "LeNet")
    rng = np.random.default_rng(rng)
    common: dict[str, Any] = {"init": init, "rng": rng, "dtype": dtype}
    layers: list[Layer] = [
        Conv2d(channels, 6, 5, padding=2, **common),
        Tanh(),
        AvgPool2d(2),
        Conv2d(6, 16, 5, **common),
        Tanh(),
        AvgPool2d(2),
        Flatten(),
    ]
    layers += [Linear(flat_size(layers, shape), 120, **common), Tanh()]
    layers += [Linear(120, 84, **common), Tanh(), Linear(84, classes, **common)]
    return Sequential(*layers)
