"""Derivatives by differences that know when they are wrong.

The derivative of ``sum(dy * f(p))`` along ``u`` is, by central differences,

    D(h) = sum(dy * (f(p + h u) - f(p - h u))) / 2h.

ReLU and max-pool have points where the slope jumps, and a difference taken across one is no derivative. Four
evaluations tell. Let ``S(h) = (f(p + h u) - 2 f(p) + f(p - h u)) / h``, the slope after p less that before.
Where f is smooth, ``D(h) - D(h/2) = O(h^2)`` and ``S(h) - 2 S(h/2) = O(h^3)``. A kink where the slope jumps
by J, at distance s < h/2, makes the first ``J s / 2h``, the second ``J |1 - 3 s/h|``, and ``D(h/2)`` wrong by
``J (1/2 - s/h)``: at most 1.5 times the larger of the two, wherever the kink is. So the larger of the two,
added up over the outputs in absolute values (two kinks must not cancel), bounds the error of ``D(h/2)``.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEPS = (1e-4, 1e-5, 1e-6)
EPS = float(np.finfo(np.float64).eps)
# Roundings to allow for: of an output (some are inside f, out of sight), relative to the size of the outputs;
# and of p + h u or numbers as large, as when f subtracts a mean, relative to what |p| does to an output.
OF_OUTPUTS, OF_INPUTS = 32 * EPS, 8 * EPS


class Derivative(NamedTuple):
    """A derivative, and how far rounding alone may have moved it."""

    value: float
    noise: float


def derivative_along(
    f: Callable[[Array], Array], p: Array, y: Array, u: Array, dy: Array, tolerance: float
) -> Derivative | None:
    """Return the derivative of ``sum(dy * f(p))`` along ``u``, or None where a kink is too close to tell.

    ``y`` is ``f(p)``; ``tolerance`` bounds what kinks and curvature may add, relative to the derivative.
    """

    def at(t: float) -> Array:
        return f(np.asarray(p + t * u))

    size = np.abs(dy) * (np.abs(y) + np.abs(y).sum() / max(y.size, 1))
    for h in STEPS:
        before, before_half, after_half, after = at(-h), at(-h / 2), at(h / 2), at(h)
        slope, slope_half = (after - before) / (2 * h), (after_half - before_half) / h
        jump, jump_half = (after - 2 * y + before) / h, (after_half - 2 * y + before_half) / (h / 2)
        unlike = np.maximum(np.abs(slope - slope_half), np.abs(jump - 2 * jump_half))
        reach = np.sqrt((p**2).sum()) * np.sqrt((slope_half**2).sum() / max(y.size, 1))
        noise = (OF_OUTPUTS * size + OF_INPUTS * reach * np.abs(dy)) / h
        doubt = 1.5 * np.maximum(np.abs(dy) * unlike - noise, 0).sum()
        value = Derivative(float((dy * slope_half).sum()), float(np.sqrt((noise**2).sum())))
        if doubt <= tolerance * abs(value.value) + value.noise:
            return value
    return None


def numerical_gradient(f: Callable[[Array], float], x: Array, h: float = 1e-5) -> Array:
    """Return the gradient of a scalar function by differences: ``(f(x + h e_i) - f(x - h e_i)) / 2h``.

    Parameters
    ----------
    f : callable
        Takes ``x`` and returns a number. It may ignore its argument and read the same array elsewhere, say
        in a network: the entries of ``x`` are changed in place, one by one, and restored.
    x : ndarray of float64
    h : float
        Step. The error is about ``h^2`` for a smooth function, plus rounding of about ``1e-16 f / h``.

    Raises
    ------
    TypeError
        If ``x`` is not a float64 array: float32 rounds a step of h away.
    ValueError
        If ``h`` is not positive and finite, or ``x`` is read-only.
    """
    if not isinstance(x, np.ndarray) or x.dtype != np.float64:
        got = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
        raise TypeError(f"numerical_gradient: x must be a float64 array, got {got}")
    if not (np.isfinite(h) and h > 0):
        raise ValueError(f"numerical_gradient: h must be positive and finite, got {h}")
    if not x.flags.writeable:
        raise ValueError("numerical_gradient: x is read-only, but its entries must be changed; pass a copy")
    gradient = np.zeros_like(x)
    for where in np.ndindex(x.shape):
        before = x[where]
        try:
            x[where] = before + h
            above = float(f(x))
            x[where] = before - h
            below = float(f(x))
        finally:
            x[where] = before
        gradient[where] = (above - below) / (2 * h)
    return gradient
