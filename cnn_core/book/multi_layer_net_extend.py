"""The network of chapter 6 with batch normalisation and dropout (``common/multi_layer_net_extend.py``)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnn_core.book._arrays import Seed
from cnn_core.book.layers import BatchNormalization, Dropout
from cnn_core.book.multi_layer_net import MultiLayerNet

__all__ = ["MultiLayerNetExtend"]


class MultiLayerNetExtend(MultiLayerNet):
    """Affine, batch normalisation, activation, dropout, once per hidden layer; then affine and softmax with
    loss.

    ``predict`` and ``loss`` take ``train_flg``; ``gradient`` and ``numerical_gradient`` use training mode
    (sections 6.3 and 6.4.3).

    Parameters
    ----------
    input_size, hidden_size_list, output_size, activation, weight_init_std, weight_decay_lambda
        As in :class:`~cnn_core.book.multi_layer_net.MultiLayerNet`.
    use_dropout : bool
    dropout_ration : float
        Probability that a value is zeroed; the spelling is the book's.
    use_batchnorm : bool
    rng : numpy.random.Generator, int or None
        Source of the initial weights, then of the dropout masks.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size_list: Sequence[int],
        output_size: int,
        activation: str = "relu",
        weight_init_std: float | str = "relu",
        weight_decay_lambda: float = 0,
        use_dropout: bool = False,
        dropout_ration: float = 0.5,
        use_batchnorm: bool = False,
        *,
        rng: Seed = None,
    ) -> None:
        self.use_dropout = use_dropout
        self.dropout_ration = dropout_ration
        self.use_batchnorm = use_batchnorm
        self._rng = np.random.default_rng(rng)
        super().__init__(
            input_size,
            hidden_size_list,
            output_size,
            activation,
            weight_init_std,
            weight_decay_lambda,
            rng=self._rng,
        )

    def _hidden_block(self, n: int) -> dict[str, Any]:
        block: dict[str, Any] = {f"Affine{n}": self._affine(n)}
        if self.use_batchnorm:
            size = self.params[f"b{n}"].size
            gamma = self.params[f"gamma{n}"] = np.ones(size)
            beta = self.params[f"beta{n}"] = np.zeros(size)
            block[f"BatchNorm{n}"] = BatchNormalization(gamma, beta)
        block[f"Activation_function{n}"] = self._activation()
        if self.use_dropout:
            block[f"Dropout{n}"] = Dropout(self.dropout_ration, rng=self._rng)
        return block
