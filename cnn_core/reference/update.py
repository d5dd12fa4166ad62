"""One step of each optimizer, in place on the parameter ``p`` and on its running state.

Ruder, "An overview of gradient descent optimization algorithms" (2016); *Deep Learning from Scratch*, ch. 6.
"""

from typing import Literal

import numpy as np

from cnn_core.reference._common import Array, f64


def sgd_update(
    p: Array,
    g: Array,
    v: Array | None,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None:
    """``v = momentum * v + g``, then ``p -= lr * v``, or with Nesterov ``p -= lr * (g + momentum * v)``.

    ``v`` may be None without momentum.
    """
    step = f64(g) + weight_decay * f64(p)
    if v is not None:
        new_v = momentum * f64(v) + step
        v[...] = new_v
        step = step + momentum * new_v if nesterov else new_v
    p[...] = f64(p) - lr * step


def velocity_update(
    p: Array,
    g: Array,
    v: Array,
    lr: float,
    momentum: float,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None:
    """``p += v`` with the new ``v = momentum * v - lr * g``; with Nesterov ``p += momentum * v - lr * g``.

    The book's form. While the rate stays the same, this ``v`` is ``-lr`` times that of :func:`sgd_update` and
    the steps are equal; a new rate acts here on the new gradients only.
    """
    step = lr * (f64(g) + weight_decay * f64(p))
    new_v = momentum * f64(v) - step
    v[...] = new_v
    p[...] = f64(p) + (momentum * new_v - step if nesterov else new_v)


def adagrad_update(p: Array, g: Array, h: Array, lr: float, eps: float, weight_decay: float = 0.0) -> None:
    """``h += g^2``; ``p -= lr * g / (sqrt(h) + eps)``. Duchi, Hazan and Singer (2011)."""
    g64 = f64(g) + weight_decay * f64(p)
    new_h = f64(h) + g64**2
    h[...] = new_h
    p[...] = f64(p) - lr * g64 / (np.sqrt(new_h) + eps)


def rmsprop_update(
    p: Array, g: Array, h: Array, lr: float, alpha: float, eps: float, weight_decay: float = 0.0
) -> None:
    """``h = alpha * h + (1 - alpha) * g^2``; ``p -= lr * g / (sqrt(h) + eps)``. Tieleman, Hinton (2012)."""
    g64 = f64(g) + weight_decay * f64(p)
    new_h = alpha * f64(h) + (1 - alpha) * g64**2
    h[...] = new_h
    p[...] = f64(p) - lr * g64 / (np.sqrt(new_h) + eps)


def adam_update(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    eps_mode: Literal["torch", "book"] = "torch",
) -> None:
    """``m, v`` = running means of ``g`` and ``g^2``; ``p -= lr * mhat / (sqrt(vhat) + eps)``.

    ``mhat = m / (1 - beta1^step)`` and ``vhat = v / (1 - beta2^step)`` undo the start at zero; ``step``
    counts from 1. ``eps_mode="book"`` adds eps to the root of the *uncorrected* ``v``: the "epsilon hat" of
    Kingma and Ba (2015), section 2. ``decoupled`` shrinks the parameter by ``lr * weight_decay`` beside the
    step (Loshchilov and Hutter 2019) where it otherwise adds ``weight_decay * p`` to the gradient.
    """
    p64, g64 = f64(p), f64(g)
    if decoupled:
        p64 = p64 * (1 - lr * weight_decay)
    else:
        g64 = g64 + weight_decay * p64
    new_m = beta1 * f64(m) + (1 - beta1) * g64
    new_v = beta2 * f64(v) + (1 - beta2) * g64**2
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    if eps_mode == "torch":
        change = lr * (new_m / correction1) / (np.sqrt(new_v / correction2) + eps)
    else:
        change = lr * np.sqrt(correction2) / correction1 * new_m / (np.sqrt(new_v) + eps)
    m[...], v[...], p[...] = new_m, new_v, p64 - change
