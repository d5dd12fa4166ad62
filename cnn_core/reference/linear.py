"""The fully connected layer's arithmetic."""

import numpy as np

from cnn_core.reference._common import Array, f64


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """``y[..., o] = b[o] + sum_i x[..., i] * w[o, i]``."""
    y = np.einsum("...i,oi->...o", f64(x), f64(weight))
    if bias is not None:
        y = y + f64(bias)
    return y.astype(x.dtype)


def linear_backward(
    dy: Array, x: Array, weight: Array, *, need_dx: bool = True
) -> tuple[Array | None, Array, Array]:
    """``dx = dy w``, ``dw = sum dy^T x`` and ``db = sum dy`` over all leading axes."""
    rows = int(np.prod(x.shape[:-1]))
    dy2, x2 = f64(dy).reshape(rows, weight.shape[0]), f64(x).reshape(rows, weight.shape[1])
    dx = np.einsum("ro,oi->ri", dy2, f64(weight)).reshape(x.shape).astype(x.dtype) if need_dx else None
    dw = np.einsum("ro,ri->oi", dy2, x2)
    return dx, dw.astype(x.dtype), dy2.sum(axis=0).astype(x.dtype)
