"""The truth, slow and obvious: what the tests compare with."""

import numpy as np


def my_kernel(x: np.ndarray) -> np.ndarray:
    """``y = x * sigmoid(x)``."""
    return x / (1 + np.exp(-x))
