"""MLP: linear layers alone."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnn_core._checks import integer
from cnn_core.init import Init, Rng
from cnn_core.layers import Flatten, Layer, Linear, ReLU, Sequential


def MLP(
    input_shape: Sequence[int] = (1, 28, 28),
    classes: int = 10,
    *,
    hidden: Sequence[int] = (100, 100),
    init: Init = None,
    rng: Rng = None,
    dtype: Any = np.float32,
) -> Sequential:
    """Return flatten, then (linear - relu) for each hidden size, then linear.

    Parameters
    ----------
    input_shape : sequence of int
        The shape of one example, flat or an image.
    classes : int
    hidden : sequence of int
        Features after each hidden layer; empty for softmax regression.
    init : None, str, tuple or callable
        Initial weights, He normal by default.
    rng : numpy.random.Generator, int or None
        Source of the initial weights.
    dtype : float32 or float64

    Notes
    -----
    Source: Saito, *Deep Learning from Scratch*, sections 4.5 and 6.5.
    """
    rng = np.random.default_rng(rng)
    common: dict[str, Any] = {"init": init, "rng": rng, "dtype": dtype}
    features = math.prod(integer(size, "MLP: input_shape", at_least=1) for size in input_shape)
    layers: list[Layer] = [Flatten()]
    for size in hidden:
        layers += [Linear(features, size, **common), ReLU()]
        features = size
    return Sequential(*layers, Linear(features, classes, **common))
