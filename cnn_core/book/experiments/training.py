"""The training loop that the experiments on small networks share."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from cnn_core.book.network import Network

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def train(
    network: Network,
    optimizer: Any,
    x: np.ndarray,
    t: np.ndarray,
    steps: Iterable[int],
    batch_size: int,
    rng: np.random.Generator,
    after: Callable[[int], None] | None = None,
    rate: Callable[[int], float] | None = None,
) -> list[float]:
    """Train on batches that are drawn with replacement, as the scripts of the book do.

    Parameters
    ----------
    network, optimizer
        Of `cnn_core.book`.
    x : array (N, ...)
    t : array (N,)
    steps : iterable of int
        One update for each; they number the calls of ``after``.
    batch_size : int
    rng : numpy.random.Generator
        Draws the batches.
    after : function of the step's number, optional
        Called after each update.
    rate : function of the step's number, optional
        The learning rate; otherwise that of the optimizer, for all steps.

    Returns
    -------
    list of float
        The cross-entropy error of each batch, before the update that it causes.
    """
    losses = []
    for step in steps:
        if rate is not None:
            optimizer.lr = rate(step)
        batch = rng.integers(len(x), size=batch_size)
        gradient = network.gradient(x[batch], t[batch])
        losses.append(network.last_layer.loss or 0.0)
        optimizer.update(network.params, gradient)
        if after is not None:
            after(step)
    return losses


def in_single_precision(network: AnyNetwork) -> AnyNetwork:
    """The network with float32 parameters: half the time of the book's float64, the same curves."""
    network.astype(np.float32)
    return network
