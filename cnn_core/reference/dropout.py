"""Inverted dropout."""

import numpy as np
from numpy.typing import NDArray

from cnn_core.reference._common import Array, f64


def dropout(
    x: Array,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: np.random.Generator | int | None = None,
    return_mask: bool = False,
) -> Array | tuple[Array, NDArray[np.bool_]]:
    """``y = mask * x / (1 - p)``, each entry of the mask 1 with probability ``1 - p``.

    The mask of a seed is not the compiled twin's: only its distribution is part of the definition.
    """
    mask = np.random.default_rng(rng).random(x.shape) >= p if training else np.ones(x.shape, bool)
    y = dropout_backward(x, mask, p if training else 0.0)
    return (y, mask) if return_mask else y


def dropout_backward(dy: Array, mask: NDArray[np.bool_] | NDArray[np.uint8], p: float) -> Array:
    """``dx = mask * dy / (1 - p)``, the same scaling as forward."""
    if p == 1:
        return np.zeros_like(dy)
    return np.where(mask, f64(dy) / (1 - p), 0).astype(dy.dtype)
