"""Dropout."""

from typing import Any

import numpy as np

from cnn_core import functional as F
from cnn_core._checks import real_number
from cnn_core.init import Rng
from cnn_core.layers.base import Layer


class Dropout(Layer):
    """In training, zero each value with probability ``p`` and divide the others by ``1 - p``. Any shape.

    Outside training the input is handed on as it is.

    Parameters
    ----------
    p : float
        Probability of dropping a value, 0 to 1.
    rng : numpy.random.Generator, int or None
        Source of the masks, ``generators["rng"]`` afterwards. ``rng_state`` and ``set_rng_state``, of the
        layer or of the network around it, save and restore it.

    Notes
    -----
    Source: Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, 2014, in
    the "inverted" form that needs no scaling at prediction time.
    """

    def __init__(self, p: float = 0.5, *, rng: Rng = None) -> None:
        super().__init__()
        self.p = real_number(p, "Dropout: p", at_least=0, at_most=1)
        self.generators["rng"] = np.random.default_rng(rng)

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        if not training:
            self.remember(False, x)
            return x
        y, mask = F.dropout(x, self.p, True, rng=self.generators["rng"], return_mask=True)
        self.remember(True, y, mask)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> np.ndarray:
        (mask,) = self.recall(dy)
        return F.dropout_backward(dy, mask, self.p)

    def config(self) -> dict[str, Any]:
        return {"p": self.p}
