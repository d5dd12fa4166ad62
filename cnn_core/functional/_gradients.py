"""Where the gradients of parameters go: into the arrays of a layer, if they fit, instead of being copied."""

from collections.abc import Mapping

import numpy as np

from cnn_core._memory import empty

Gradients = Mapping[str, np.ndarray]  # by the parameter's name
NOWHERE: Gradients = {}


def place_for(name: str, into: Gradients, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """The array of ``into``, if a kernel can write a result of this shape and dtype there, else a new one."""
    array = into.get(name)
    if array is not None and array.shape == shape and array.dtype == dtype and array.flags.carray:
        return array
    return empty(shape, dtype)
