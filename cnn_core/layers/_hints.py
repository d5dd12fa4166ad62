"""The ends of error messages: what to do about an input that does not fit, by its shape and type."""

import math
from typing import Any

import numpy as np

from cnn_core.layers._shapes import Shape


def for_rank(shape: Shape, ranks: list[int], channels: int | None) -> str:
    """How ``shape`` comes to one of the ``ranks``; ``channels`` are those that the layer expects, if any."""
    if len(shape) == min(ranks) - 1:
        return _for_missing_axis(shape, channels) if min(ranks) == 4 else _ADD_BATCH
    if len(shape) == 2 and min(ranks) == 4:
        side = math.isqrt(shape[1] // (channels or 1))
        if side > 1 and side**2 * (channels or 1) == shape[1]:
            return f"; make images of flat rows: x.reshape(-1, {channels or 1}, {side}, {side})"
        return "; one gray image (H, W) becomes a batch with x[np.newaxis, np.newaxis]"
    return "; images are for BatchNorm2d" if len(shape) == 4 and ranks == [2, 3] else ""


_ADD_BATCH = "; add the batch axis: x[np.newaxis]"
_ADD_CHANNEL = "; add the channel axis: x[:, np.newaxis]"


def _for_missing_axis(shape: Shape, channels: int | None) -> str:
    """One image (C, H, W) or (H, W, C), or a batch of gray ones (N, H, W)."""
    if shape[0] == channels or (channels is None and shape[0] in (1, 3)):
        return _ADD_BATCH
    if shape[2] == channels:
        return "; put channels first and add the batch axis: x.transpose(2, 0, 1)[np.newaxis]"
    if channels == 1:
        return _ADD_CHANNEL
    return f"{_ADD_BATCH} if it is one image, or the channel axis if they are gray: x[:, np.newaxis]"


def for_channels(shape: Shape, channels: int) -> str:
    """How images of another number of channels come to ``channels``."""
    if len(shape) == 4 and shape[3] == channels:
        return f" in {shape}; put channels first: x.transpose(0, 3, 1, 2)"
    if len(shape) == 4 and (channels, shape[1]) == (3, 1):
        return f" in {shape}; repeat gray images: x.repeat(3, axis=1), or make the layer for 1 channel"
    return f" in {shape}"


def for_type(x: Any, dtype: np.dtype | None) -> str:
    """How ``x`` comes to be an array of ``dtype``, by default float32."""
    wanted = f"np.{dtype or 'float32'}"
    if not isinstance(x, np.ndarray):
        return f"; convert it: np.asarray(x, {wanted})"
    if x.dtype == np.uint8:
        return f"; convert the input, to 0 ... 1 if it is pixels: x.astype({wanted}) / 255"
    return f"; convert the input: x.astype({wanted})"


def for_no_layer(value: Any) -> str:
    """How ``value``, given in place of a layer, becomes one."""
    if isinstance(value, type):
        return f"the class {value.__name__}; make an object of it: {value.__name__}(...)"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__}; hand over what is in it: Sequential(*layers)"
    if callable(value) and hasattr(value, "__name__"):
        return (
            f"the function {value.__name__}; put it into a subclass of Layer, or use the layer of this name"
        )
    return type(value).__name__
