"""What the networks have in common."""

from typing import Any

from cnn_core._checks import integer
from cnn_core.layers import Layer, Sequential


def image_shape(input_shape: Any, network: str) -> tuple[int, int, int]:
    """Return ``input_shape`` as ``(C, H, W)``, or raise ValueError."""
    shape = tuple(input_shape)
    if len(shape) != 3:
        raise ValueError(f"{network}: input_shape must be (C, H, W) without the batch, got {shape}")
    c, h, w = (integer(size, f"{network}: input_shape", at_least=1) for size in shape)
    return c, h, w


def flat_size(layers: list[Layer], input_shape: tuple[int, ...]) -> int:
    """Return the number of features that ``layers``, ending in Flatten, make of one image.

    Raises
    ------
    ValueError
        If the image is too small for the layers, with the layer that it fails at.
    """
    return Sequential(*layers).output_shape((1, *input_shape))[1]
