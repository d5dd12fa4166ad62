"""Affine, Dropout and BatchNormalization."""

import math
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import functional
from cnn_core._checks import real_number
from cnn_core.book._activation_layers import Relu
from cnn_core.book._arrays import Array, Seed, promote, remembered
from cnn_core.functional.dense import linear_relu

EPS = 1e-6  # the book writes 10e-7


class Affine:
    """``x @ W + b`` with W of shape (inputs, outputs) and b of shape (outputs,) (section 5.6.2).

    An input of more than two dimensions is flattened to (N, inputs); ``backward`` gives its shape back.

    A W in Fortran's order, which the networks of this package have, is used as it lies; one in C's order is
    copied in every forward pass.
    """

    def __init__(self, W: Array, b: Array) -> None:
        self.W, self.b = W, b
        self.x: Array | None = None
        self.original_x_shape: tuple[int, ...] | None = None
        self.dW: Array | None = None
        self.db: Array | None = None

    def forward(self, x: ArrayLike) -> Array:
        """Return ``x @ W + b`` of shape (N, outputs)."""
        return self._forward(x, relu=False)

    def forward_relu(self, x: ArrayLike, relu: Relu) -> Array:
        """Return ``relu.forward(self.forward(x))``, computed in one call."""
        return relu.done(self._forward(x, relu=True))

    def _forward(self, x: ArrayLike, relu: bool) -> Array:
        x, W, b = promote(x, self.W, self.b)
        if W.ndim != 2 or b.shape != W.shape[1:]:
            raise ValueError(
                f"Affine expects W (inputs, outputs) and b (outputs,), got shapes {W.shape} and {b.shape}"
            )
        if x.ndim < 2 or math.prod(x.shape[1:]) != W.shape[0]:
            hint = self._hint(x, W)
            raise ValueError(
                f"Affine expects {W.shape[0]} inputs for each image, got x of shape {x.shape}{hint}"
            )
        self.original_x_shape = x.shape
        self.x = x.reshape(len(x), W.shape[0])
        return linear_relu(self.x, W.T, b, relu=relu)

    def backward(self, dout: Array) -> Array:
        """Return the gradient of x and leave ``x.T @ dout`` on dW and the column sums of dout on db."""
        return cast(Array, self._backward(dout, True)).reshape(self.original_x_shape)

    def backward_params(self, dout: Array) -> None:
        """Leave the gradients on dW and db as `backward` does, without the work for that of x."""
        self._backward(dout, False)

    def _backward(self, dout: Array, need_dx: bool) -> Array | None:
        x = remembered(self.x, self)
        dout, W = dout.astype(x.dtype, copy=False), self.W.astype(x.dtype, copy=False)
        if dout.shape != (len(x), W.shape[1]):
            raise ValueError(
                f"Affine.backward expects the shape of the output {(len(x), W.shape[1])}, got {dout.shape}"
            )
        if W.T.flags.c_contiguous:
            dx, dweight, self.db = functional.linear_backward(dout, x, W.T, need_dx=need_dx)
            self.dW = dweight.T
        else:
            # linear's weight is W the other way round. So x and dout change places in linear_backward, and
            # nothing needs to be transposed.
            _, self.dW, _ = functional.linear_backward(x, dout, W, need_dx=False)
            self.db = dout.sum(axis=0)
            dx = functional.linear(dout, W) if need_dx else None
        return dx

    @staticmethod
    def _hint(x: Array, W: Array) -> str:
        """How many inputs there are, and what to do about it."""
        if x.ndim < 2:
            return "; give a batch: x[np.newaxis]"
        inputs = math.prod(x.shape[1:])
        text = "" if x.ndim == 2 else f", {inputs} = {' * '.join(map(str, x.shape[1:]))}"
        return f"{text}; W lies as (inputs, outputs), so use W.T" if inputs == W.shape[1] else text


class Dropout:
    """Zero a random share of the values in training, and scale by what remains in testing (section 6.4.3).

    Training ``x * mask``, testing ``x * (1 - dropout_ratio)``. This is the book's form;
    ``cnn_core.layers.Dropout`` scales in training instead and leaves the test pass alone.

    Parameters
    ----------
    dropout_ratio : float
        Probability in [0, 1] that a value is zeroed.
    rng : numpy.random.Generator, int or None
        Where the masks come from.
    """

    def __init__(self, dropout_ratio: float = 0.5, *, rng: Seed = None) -> None:
        self.dropout_ratio = real_number(dropout_ratio, "Dropout: dropout_ratio", at_least=0, at_most=1)
        self.mask: Array | None = None
        self._rng = np.random.default_rng(rng)

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return x with a share of its values zeroed or, with ``train_flg=False``, x scaled down."""
        (x,) = promote(x)
        if not train_flg:
            self.mask = None
            return x * (1.0 - self.dropout_ratio)
        self.mask = self._rng.random(x.shape, dtype=x.dtype) > self.dropout_ratio
        return x * self.mask

    def backward(self, dout: Array) -> Array:
        """Return dout where forward let x through, else 0."""
        return dout * remembered(self.mask, self)


class BatchNormalization:
    """Normalise every activation over the batch: ``gamma * (x - mean) / sqrt(var + 1e-6) + beta`` (section
    6.3).

    A 4-D input is taken as (N, C*H*W): statistics are per activation, not per channel as in
    ``cnn_core.layers.BatchNorm2d``. Variances are biased (divided by N), those kept for testing too.

    Parameters
    ----------
    gamma, beta : array (C*H*W,) or number
    momentum : float
        Weight of the **old** value in ``running = momentum * running + (1 - momentum) * batch``; torch's is
        the weight of the new one.
    running_mean, running_var : array (C*H*W,), optional
        Statistics for testing. Without them both start at zero at the first forward pass.
    """

    def __init__(
        self,
        gamma: Array,
        beta: Array,
        momentum: float = 0.9,
        running_mean: Array | None = None,
        running_var: Array | None = None,
    ) -> None:
        if (running_mean is None) != (running_var is None):
            raise ValueError("expects both running_mean and running_var, or neither")
        self.gamma, self.beta = gamma, beta
        self.momentum = real_number(momentum, "BatchNormalization: momentum", at_least=0, at_most=1)
        self.running_mean, self.running_var = running_mean, running_var
        self.input_shape: tuple[int, ...] | None = None
        self.dgamma: Array | None = None
        self.dbeta: Array | None = None
        self._cache: tuple[Array, Array, Array, Array] | None = None

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return x normalised by the batch's statistics or, with ``train_flg=False``, by the running ones."""
        x, gamma, beta = promote(x, self.gamma, self.beta)
        width = math.prod(x.shape[1:])
        if x.ndim < 2 or not len(x) or gamma.size not in (1, width) or beta.size not in (1, width):
            raise ValueError(
                f"BatchNormalization with gamma {gamma.shape} and beta {beta.shape} expects N >= 1 rows of "
                f"{gamma.size}, or (N, C, H, W) with C*H*W = {gamma.size}, got {x.shape}"
            )
        self.input_shape = x.shape
        flat = x.reshape(len(x), width)
        gamma, beta = np.broadcast_to(gamma, width), np.broadcast_to(beta, width)
        if self.running_mean is None or self.running_var is None:
            self.running_mean, self.running_var = np.zeros(width, x.dtype), np.zeros(width, x.dtype)
        if train_flg:
            mean, var = flat.mean(axis=0), flat.var(axis=0)
            self._cache = flat, gamma, mean, 1 / np.sqrt(var + EPS)
            self.running_mean = self.momentum * self.running_mean + (1 - self.momentum) * mean
            self.running_var = self.momentum * self.running_var + (1 - self.momentum) * var
        else:
            self._cache = None
            mean, var = (s.astype(x.dtype, copy=False) for s in (self.running_mean, self.running_var))
        return functional.batch_norm(flat, mean, var, gamma, beta, eps=EPS).reshape(x.shape)

    def backward(self, dout: Array) -> Array:
        """Return the gradient of x and leave those of gamma and beta on dgamma and dbeta."""
        x, gamma, mean, rstd = remembered(self._cache, self)
        dy = dout.astype(x.dtype, copy=False).reshape(x.shape)
        dx, self.dgamma, self.dbeta = functional.batch_norm_backward(dy, x, gamma, mean, rstd)
        return dx.reshape(self.input_shape)
