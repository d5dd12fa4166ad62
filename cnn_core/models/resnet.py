"""ResNet-20."""

from typing import Any

import numpy as np

from cnn_core.init import Init, Rng
from cnn_core.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    ReLU,
    Residual,
    Sequential,
)
from cnn_core.models._parts import image_shape


def ResNet20(
    input_shape: tuple[int, int, int] = (3, 32, 32),
    classes: int = 10,
    *,
    width: int = 16,
    blocks: int = 3,
    init: Init = None,
    rng: Rng = None,
    dtype: Any = np.float32,
) -> Sequential:
    """Return the 20-layer residual network for small images; 0.27 million parameters with the defaults.

    A 3x3 convolution, three stages of ``blocks`` residual blocks with ``width``, ``2*width`` and ``4*width``
    channels, global average pooling and a linear layer. The second and third stage halve height and width.

    Parameters
    ----------
    input_shape : (int, int, int)
        Channels, height and width of an image; any height and width.
    classes : int
    width : int
        Channels of the first stage.
    blocks : int
        Residual blocks in each stage: the network has ``6*blocks + 2`` layers with weights.
    init : None, str, tuple or callable
        Initial weights, He normal by default.
    rng : numpy.random.Generator, int or None
        Source of the initial weights.
    dtype : float32 or float64

    Notes
    -----
    Source: He et al., *Deep residual learning for image recognition*, 2015, section 4.2. Where the shape
    changes, the shortcut is a 1x1 convolution with batch normalization (the paper's option B; its CIFAR
    networks use option A, zero padding).
    """
    channels, *_ = image_shape(input_shape, "ResNet20")
    common: dict[str, Any] = {"init": init, "rng": np.random.default_rng(rng), "dtype": dtype}
    layers: list[Layer] = [*_conv_norm(channels, width, 3, 1, common), ReLU()]
    channels = width
    for filters, first_stride in ((width, 1), (2 * width, 2), (4 * width, 2)):
        for i in range(blocks):
            layers += [_block(channels, filters, first_stride if i == 0 else 1, common), ReLU()]
            channels = filters
    return Sequential(*layers, AdaptiveAvgPool2d(1), Flatten(), Linear(channels, classes, **common))


def _block(channels: int, filters: int, stride: int, common: dict[str, Any]) -> Residual:
    """Two 3x3 convolutions beside a shortcut."""
    body = Sequential(
        *_conv_norm(channels, filters, 3, stride, common), ReLU(), *_conv_norm(filters, filters, 3, 1, common)
    )
    if stride == 1 and channels == filters:
        return Residual(body)
    return Residual(body, Sequential(*_conv_norm(channels, filters, 1, stride, common)))


def _conv_norm(channels: int, filters: int, kernel: int, stride: int, common: dict[str, Any]) -> list[Layer]:
    """A convolution that keeps the size, up to its stride, and its batch normalization in place of a bias."""
    return [
        Conv2d(channels, filters, kernel, stride, padding=kernel // 2, bias=False, **common),
        BatchNorm2d(filters, dtype=common["dtype"]),
    ]
