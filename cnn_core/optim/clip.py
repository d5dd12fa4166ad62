"""Gradient clipping."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

_BLOCK = 1 << 15  # numbers squared at a time: 256 kB of float64, which stays in cache


def clip_grad_norm(
    grads: Mapping[str, np.ndarray] | Iterable[np.ndarray],
    max_norm: float,
    *,
    error_if_nonfinite: bool = False,
) -> float:
    r"""Scale all gradients together, in place, so that their common Euclidean norm is at most ``max_norm``.

    .. math:: g \leftarrow g \cdot \min\left(1, \frac{\text{max\_norm}}{\lVert g \rVert_2 + 10^{-6}}\right)

    where :math:`\lVert g \rVert_2` runs over all numbers of all arrays. It is summed in float64, in an order
    that depends on shapes alone; the result does not depend on the number of threads.

    Parameters
    ----------
    grads : mapping of str to ndarray, or iterable of ndarray
        float32 or float64 arrays, such as ``model.grads``.
    max_norm : float
        The largest norm to let pass; infinity only measures.
    error_if_nonfinite : bool
        Refuse a norm that is infinite or not a number. Otherwise such a norm makes all gradients 0 or NaN, as
        it does in torch.

    Returns
    -------
    float
        The norm before clipping.

    Raises
    ------
    ValueError
        ``max_norm`` is negative or not a number, or a gradient is read-only. Nothing is changed.
    TypeError
        A gradient is not a floating-point array. Nothing is changed.
    FloatingPointError
        The norm is not finite and ``error_if_nonfinite`` is set. Nothing is changed.

    Notes
    -----
    The same as ``torch.nn.utils.clip_grad_norm_``. Pascanu, Mikolov and Bengio (2013), "On the difficulty of
    training recurrent neural networks", algorithm 1.
    """
    if not max_norm >= 0:
        raise ValueError(f"max_norm: expects a number >= 0, got {max_norm!r}")
    named = dict(grads) if isinstance(grads, Mapping) else dict(enumerate(grads))
    for name, grad in named.items():
        if not isinstance(grad, np.ndarray) or grad.dtype.kind != "f":
            got = getattr(grad, "dtype", type(grad).__name__)
            raise TypeError(f"gradient {name!r}: expects a floating-point array, got {got}")
        if not grad.flags.writeable:
            raise ValueError(f"gradient {name!r}: is read-only and cannot be clipped in place")
    with np.errstate(over="ignore", invalid="ignore"):
        return _clip(named, max_norm, error_if_nonfinite)


def _clip(grads: Mapping[Any, np.ndarray], max_norm: float, error_if_nonfinite: bool) -> float:
    squares = {name: _sum_of_squares(grad) for name, grad in grads.items()}
    norm = math.sqrt(sum(squares.values()))
    if error_if_nonfinite and not math.isfinite(norm):
        culprit = next(name for name, square in squares.items() if not math.isfinite(square))
        raise FloatingPointError(f"the gradients have norm {norm}: see the gradient of {culprit!r}")
    scale = max_norm / (norm + 1e-6) if math.isfinite(max_norm) else 1.0
    if not scale >= 1:
        for grad in grads.values():
            grad *= grad.dtype.type(scale)
    return norm


def _sum_of_squares(grad: np.ndarray) -> float:
    """The sum of squares in float64, without a BLAS, whose order of summation depends on its threads."""
    flat = grad.reshape(-1)
    blocks = (flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK))
    return sum(float(np.square(block, dtype=np.float64).sum()) for block in blocks)
