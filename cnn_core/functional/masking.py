"""Dropout."""

from typing import Literal, overload

import numpy as np

from cnn_core._checks import as_real, real_number, same_shape, shown
from cnn_core._kernels import dropout as kernel
from cnn_core._memory import empty
from cnn_core._threads import get_num_threads


@overload
def dropout(
    x: np.ndarray,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: "np.random.Generator | int | None" = None,
    return_mask: Literal[False] = False,
) -> np.ndarray: ...


@overload
def dropout(
    x: np.ndarray,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: "np.random.Generator | int | None" = None,
    return_mask: Literal[True],
) -> tuple[np.ndarray, np.ndarray]: ...


def dropout(
    x: np.ndarray,
    p: float = 0.5,
    training: bool = True,
    *,
    rng: "np.random.Generator | int | None" = None,
    return_mask: bool = False,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Set each value to zero with probability ``p`` and divide the others by ``1 - p``.

    ``y = x * mask / (1 - p)``, where each element of the mask is 1 with probability ``1 - p``.

    Parameters
    ----------
    x : array of float32 or float64, any shape
    p : float
        Probability of dropping a value, 0 to 1.
    training : bool
        If False, every value is kept and ``y = x``.
    rng : numpy.random.Generator, int or None
        Source of the mask; a seed is the same as a new generator, None is a fresh one.
    return_mask : bool
        Return the mask too, which `dropout_backward` takes.

    Returns
    -------
    y : like x
    mask : array of bool, shaped as x
        Only with ``return_mask``.

    Raises
    ------
    TypeError, ValueError
        If ``p`` is not a number between 0 and 1, or ``rng`` is of another kind.

    Notes
    -----
    Source: Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, 2014, in
    the "inverted" form that needs no scaling at prediction time.
    """
    x = as_real(x, "dropout: x")
    p = real_number(p, "dropout: p", at_least=0, at_most=1)
    y = empty(x.shape, x.dtype)
    if not training:
        y[...] = x
        return (y, np.ones(x.shape, bool)) if return_mask else y
    seeds = (np.random.Generator, int, np.integer, type(None))
    if isinstance(rng, bool) or not isinstance(rng, seeds):
        raise TypeError(f"dropout: rng: expects a numpy Generator, an integer seed or None, got {shown(rng)}")
    if isinstance(rng, (int, np.integer)) and rng < 0:
        raise ValueError(f"dropout: rng: expects a seed >= 0, got {rng}")
    uniform = empty((x.size,), np.float32)
    mask = empty(x.shape, np.bool_)
    np.random.default_rng(rng).random(dtype=np.float32, out=uniform)
    if x.size:
        kernel.dropout(
            x.ravel(),
            uniform,
            y.ravel(),
            mask.ravel().view(np.uint8),
            p,
            _scale(p),
            get_num_threads(),
        )
    return (y, mask) if return_mask else y


def dropout_backward(dy: np.ndarray, mask: np.ndarray, p: float) -> np.ndarray:
    """Gradient of `dropout`: ``dx = dy * mask / (1 - p)``.

    Parameters
    ----------
    dy : gradient of the output
    mask : array of bool or uint8 (0 and 1), the mask that `dropout` returned
    p : float
        As given to `dropout`.

    Raises
    ------
    TypeError, ValueError
        If the mask has another shape, another dtype or other values, or ``p`` is not between 0 and 1.
    """
    dy = as_real(dy, "dropout_backward: dy")
    p = real_number(p, "dropout_backward: p", at_least=0, at_most=1)
    if not isinstance(mask, np.ndarray) or mask.dtype not in (np.bool_, np.uint8):
        kind = mask.dtype if isinstance(mask, np.ndarray) else type(mask).__name__
        raise TypeError(f"dropout_backward: mask: expects an array of bool or uint8, got {kind}")
    same_shape(mask, "dropout_backward: mask", dy.shape, "dy")
    dx = empty(dy.shape, dy.dtype)
    if dy.size:
        flat = np.ascontiguousarray(mask).ravel().view(np.uint8)
        kernel.apply_mask(dy.ravel(), flat, dx.ravel(), _scale(p), get_num_threads())
    return dx


def _scale(p: float) -> float:
    return 1 / (1 - p) if p < 1 else 0.0  # with p = 1 nothing is left to scale
