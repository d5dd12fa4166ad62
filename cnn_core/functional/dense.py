"""The fully connected layer (the book's Affine)."""

import math

import numpy as np

from cnn_core._checks import as_real, as_vector, checked_size, same_shape
from cnn_core._kernels import linear as _linear
from cnn_core._memory import empty, zeros
from cnn_core._threads import get_num_threads
from cnn_core.functional._calls import Call, run
from cnn_core.functional._gradients import NOWHERE, Gradients, place_for

# The kernel adds a batch's products up one after the other: in float32 that loses digits if there are more.
_ROWS = 1 << 13


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """Weighted sums of the inputs: ``y = x weight^T + bias``.

    Parameters
    ----------
    x : ndarray (..., inputs), float32 or float64
    weight : ndarray (outputs, inputs), dtype of ``x``
    bias : ndarray (outputs,), optional

    Returns
    -------
    ndarray (..., outputs)

    Raises
    ------
    TypeError, ValueError
        If dtypes differ or the inputs do not match the weight.

    Source: *Deep Learning from Scratch*, 5.6.
    """
    return linear_relu(x, weight, bias, relu=False)


def linear_relu(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None, *, relu: bool = True
) -> np.ndarray:
    """`relu` of `linear` in one pass, for prediction."""
    y, call = prepared_linear(x, weight, bias, relu=relu)
    run(call)
    return y


def prepared_linear(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, *, relu: bool
) -> tuple[np.ndarray, Call | None]:
    """The array for the result of `linear_relu`, and what fills it unless it is filled already."""
    x, weight, rows = _arguments("linear", x, weight)
    outputs = weight.shape[0]
    if bias is not None:
        bias = as_vector(bias, "linear: bias", outputs, x)
    y = empty(checked_size((*x.shape[:-1], outputs), "linear: result"), x.dtype)
    if y.size and rows.size:
        y_rows = y if y.ndim == 2 else y.reshape(-1, outputs)
        return y, (_linear.linear, (rows, weight, bias, y_rows, relu))
    if y.size:
        y[...] = 0 if bias is None else np.maximum(bias, 0) if relu else bias
    return y, None


def linear_backward(
    dy: np.ndarray, x: np.ndarray, weight: np.ndarray, *, need_dx: bool = True
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """The gradients of `linear`: ``dx = dy weight``, ``dweight = dy^T x``, ``dbias = sum of dy``.

    Parameters
    ----------
    dy : ndarray (..., outputs)
        The gradient of the loss with respect to `linear`'s result.
    x, weight
        As given to `linear`.
    need_dx : bool
        False saves the work for ``dx`` and gives None in its place.

    Returns
    -------
    dx (..., inputs) or None, dweight (outputs, inputs), dbias (outputs,)

    Raises
    ------
    TypeError, ValueError
        As `linear`, and if ``dy`` does not have the shape of its result.

    Source: *Deep Learning from Scratch*, 5.6.
    """
    dx, dweight, dbias = linear_backward_into(NOWHERE, dy, x, weight, need_dx=need_dx, need_dbias=True)
    assert dbias is not None
    return dx, dweight, dbias


def linear_backward_into(
    into: Gradients, dy: np.ndarray, x: np.ndarray, weight: np.ndarray, *, need_dx: bool, need_dbias: bool
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    """`linear_backward`, those of weight and bias written into arrays of ``into`` that fit; not public."""
    x, weight, rows = _arguments("linear_backward", x, weight)
    outputs = weight.shape[0]
    dy = as_real(dy, "linear_backward: dy", like=x)
    same_shape(dy, "linear_backward: dy", (*x.shape[:-1], outputs), "linear's result")
    if dy.ndim != 2:
        dy = dy.reshape(rows.shape[0], outputs)
    dweight = place_for("weight", into, weight.shape, x.dtype)
    dbias = place_for("bias", into, weight.shape[:1], x.dtype) if need_dbias else None
    return _backward(dy, x, weight, rows, dweight, dbias, need_dx), dweight, dbias


def _backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    rows: np.ndarray,
    dweight: np.ndarray,
    dbias: np.ndarray | None,
    need_dx: bool,
) -> np.ndarray | None:
    """Fill ``dweight`` and ``dbias``, return dx; the arguments are checked."""
    if dy.size == 0 or x.size == 0:
        dweight[...] = 0
        if dbias is not None:
            dbias[...] = dy.sum(axis=0)
        return zeros(x.shape, x.dtype) if need_dx else None
    n_threads = get_num_threads()
    if len(rows) <= _ROWS:
        _linear.linear_backward_weight(dy, rows, dweight, n_threads)
    else:
        _sum_by_parts(dy, rows, dweight, n_threads)
    if dbias is not None:
        _linear.linear_backward_bias(dy, dbias)
    return linear_backward_input(dy, x, weight) if need_dx else None


def _sum_by_parts(dy: np.ndarray, rows: np.ndarray, dweight: np.ndarray, n_threads: int) -> None:
    """Fill ``dweight`` with what each ``_ROWS`` rows contribute, added up in double precision."""
    total = np.zeros(dweight.shape)
    for start in range(0, len(rows), _ROWS):
        end = start + _ROWS
        _linear.linear_backward_weight(dy[start:end], rows[start:end], dweight, n_threads)
        total += dweight
    dweight[...] = total


def linear_backward_input(dy: np.ndarray, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The first of the three gradients of `linear_backward` alone: not public.

    The arguments are checked and not empty, ``dy`` (rows, outputs); of ``x`` only the shape matters.
    """
    dx = empty(x.shape, x.dtype)
    rows = dx if dx.ndim == 2 else dx.reshape(-1, weight.shape[1])
    _linear.linear_backward_input(dy, weight, rows, get_num_threads())
    return dx


def _arguments(name: str, x: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = as_real(x, f"{name}: x")
    weight = as_real(weight, f"{name}: weight", ndim=2, like=x)
    if x.ndim == 0 or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"{name}: x: expects {weight.shape[1]} inputs in its last dimension like weight {weight.shape}, "
            f"got shape {x.shape}"
        )
    return x, weight, x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
