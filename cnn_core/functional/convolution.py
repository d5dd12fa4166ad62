"""Convolution, forward and backward."""

from typing import NamedTuple

import numpy as np

from cnn_core._checks import Pair, as_nchw, as_real, as_vector, checked_size, same_shape
from cnn_core._kernels import conv2d as _conv2d
from cnn_core._kernels import conv2d_backward_input as _backward_input
from cnn_core._kernels import conv2d_backward_weight as _backward_weight
from cnn_core._kernels import winograd as _winograd
from cnn_core._kernels import winograd_backward_weight as _winograd_weight
from cnn_core._memory import empty, zeros
from cnn_core._threads import get_num_threads
from cnn_core.functional._calls import Call, run
from cnn_core.functional._convolution import Geometry, Padding, arguments, with_extra
from cnn_core.functional._gradients import NOWHERE, Gradients, place_for
from cnn_core.functional._windows import check_numbering
from cnn_core.functional.activation import relu_backward
from cnn_core.functional.pooling import max_pool2d_relu_backward


def conv2d(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """Slide filters over an image batch.

    ``y[n, f, i, j] = bias[f] + sum over c, kh, kw of
    weight[f, c, kh, kw] * x[n, c, i*sh + kh*dh - ph, j*sw + kw*dw - pw]``, c running over the filter's group.

    Parameters
    ----------
    x : ndarray (N, C, H, W), float32 or float64
    weight : ndarray (F, C/groups, KH, KW), dtype of ``x``
    bias : ndarray (F,), optional
    stride, dilation : int or (rows, columns), in pixels
    padding : int, (rows, columns), "valid" (none) or "same" (output as large as the input; stride 1)
    groups : int
        Channels and filters are cut into this many groups that do not see each other; ``groups=C`` is
        depthwise.

    Returns
    -------
    ndarray (N, F, OH, OW), ``OH = (H + 2*ph - dh*(KH - 1) - 1)//sh + 1``

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, channels do not match the weight and groups, or the kernel does not fit.

    Source: *Deep Learning from Scratch*, 7.2.
    """
    return conv2d_relu(
        *arguments("conv2d", x, weight, stride, padding, dilation, groups), bias=bias, relu=False
    )


# The functions that take a Geometry are for layers, which know it for images like the last ones: x, weight
# and g are what `arguments` returns.


def conv2d_relu(
    x: np.ndarray, weight: np.ndarray, g: Geometry, *, bias: np.ndarray | None, relu: bool
) -> np.ndarray:
    """`conv2d`, then `relu` if asked for, in one pass over memory."""
    bias = _checked_bias(bias, x, weight)
    y = empty(checked_size((x.shape[0], weight.shape[0], *g.out), "conv2d: result"), x.dtype)
    if y.size and x.size:
        run(_call(with_extra(x, g), _packed(weight, g), bias, y, g, relu))
    elif y.size:
        _sum_over_nothing(bias, y, relu)
    return y


def conv2d_pool(
    x: np.ndarray,
    weight: np.ndarray,
    g: Geometry,
    *,
    bias: np.ndarray | None,
    return_indices: bool,
    relu: bool,
) -> tuple[np.ndarray, np.ndarray | None]:
    """`max_pool2d` of 2x2 windows at stride 2 of `conv2d`, and its indices if asked for, in one pass.

    With ``relu``, `relu` follows, and the index of what it sets to zero is minus one. Nothing is empty, and
    the stride is 1.
    """
    bias = _checked_bias(bias, x, weight)
    check_numbering(g.out, "conv2d: result")
    shape = checked_size((x.shape[0], weight.shape[0], g.out[0] // 2, g.out[1] // 2), "conv2d: result")
    y = empty(shape, x.dtype)
    indices = empty(shape, np.int32) if return_indices else None
    run(_call(with_extra(x, g), _packed(weight, g), bias, y, g, relu, pool=True, indices=indices))
    return y, indices


def _checked_bias(bias: np.ndarray | None, x: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
    return None if bias is None else as_vector(bias, "conv2d: bias", weight.shape[0], x)


class _Fit(NamedTuple):
    """What `PackedConv2d` knows of the images that it saw last."""

    image: tuple[int, ...]  # (C, H, W)
    geometry: Geometry
    result: tuple[int, int, int]
    packed: np.ndarray


class PackedConv2d:
    """`conv2d` for prediction: one weight, packed once, and what follows it in the same pass over memory.

    Parameters
    ----------
    weight, bias, stride, padding, dilation, groups
        As of `conv2d`. The arrays are not looked at again once they are packed.
    relu : bool
        Whether `relu` follows.
    pool : bool
        Whether `max_pool2d` of 2x2 windows at stride 2 follows; only where ``stride`` is 1.
    """

    def __init__(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        groups: int,
        *,
        relu: bool,
        pool: bool,
    ) -> None:
        self._weight, self._bias = weight, bias
        self._options = stride, padding, dilation, groups
        self._relu, self._pool = relu, pool
        self._fit: _Fit | None = None
        self._weights: dict[bool, np.ndarray] = {}

    def prepared(self, x: np.ndarray) -> tuple[np.ndarray, Call | None]:
        """The array for the result, and what fills it unless it is filled already."""
        x = as_nchw(x, "conv2d: x")
        fit = self._fit  # looked at once: another thread may predict images of another shape meanwhile
        if fit is None or x.shape[1:] != fit.image:
            fit = self._fit = self._fitted(x)
        y = empty((x.shape[0], *fit.result), x.dtype)
        if y.size and x.size:
            g = fit.geometry
            return y, _call(with_extra(x, g), fit.packed, self._bias, y, g, self._relu, self._pool)
        if y.size:
            _sum_over_nothing(self._bias, y, self._relu)
        return y, None

    def _fitted(self, x: np.ndarray) -> _Fit:
        """Check images of a new shape, choose the algorithm for them and pack the weight for it."""
        x, weight, g = arguments("conv2d", x, self._weight, *self._options)
        packed = self._weights.get(g.by_winograd)
        if packed is None:
            packed = self._weights[g.by_winograd] = _packed(weight, g)
        shrink = 2 if self._pool else 1
        result = weight.shape[0], g.out[0] // shrink, g.out[1] // shrink
        checked_size((x.shape[0], *result), "conv2d: result")
        return _Fit(x.shape[1:], g, result, packed)


def conv2d_backward(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    *,
    need_dx: bool = True,
    need_dbias: bool = True,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    """The gradients of `conv2d` with respect to its input, weight and bias.

    Parameters
    ----------
    dy : ndarray (N, F, OH, OW)
        The gradient of the loss with respect to `conv2d`'s result.
    x, weight, stride, padding, dilation, groups
        As given to `conv2d`.
    need_dx : bool
        False saves the work for ``dx`` (a net's first layer) and gives None in its place.
    need_dbias : bool
        Likewise for ``dbias`` (a convolution without a bias).

    Returns
    -------
    dx (N, C, H, W) or None, dweight (F, C/groups, KH, KW), dbias (F,) or None

    Raises
    ------
    TypeError, ValueError
        As `conv2d`, and if ``dy`` does not have the shape of its result.

    Source: *Deep Learning from Scratch*, 7.4.3 (there through im2col and col2im).
    """
    return conv2d_backward_relu(
        dy, *arguments("conv2d_backward", x, weight, stride, padding, dilation, groups),
        need_dx=need_dx, need_dbias=need_dbias, relu=False,
    )  # fmt: skip


def conv2d_backward_relu(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    g: Geometry,
    *,
    need_dx: bool,
    need_dbias: bool,
    relu: bool,
    into: Gradients = NOWHERE,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    """`conv2d_backward`; with ``relu``, which gave ``x``, ``dx`` is the gradient of relu's input.

    The gradients of weight and bias are written into those arrays of ``into`` that fit.
    """
    dy = as_real(dy, "conv2d_backward: dy", ndim=4, like=x)
    result = x.shape[0], weight.shape[0], *g.out
    if dy.shape != result:
        same_shape(dy, "conv2d_backward: dy", result, "conv2d's result")
    if dy.size == 0 or x.size == 0:
        dx = zeros(x.shape, x.dtype) if need_dx else None
        return dx, zeros(weight.shape, x.dtype), dy.sum(axis=(0, 2, 3)) if need_dbias else None
    return _gradients(dy, None, x, weight, g, need_dx, need_dbias, relu, into)


def conv2d_pool_backward(
    dy: np.ndarray,
    indices: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    g: Geometry,
    *,
    need_dx: bool,
    need_dbias: bool,
    relu: bool,
    into: Gradients,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    """The gradients of `conv2d_pool`, given that of its result; the rest is as of `conv2d_backward_relu`.

    The gradient between pooling and convolution is made in the cache: not for the direct sum's ``dx``, which
    reads it more than once, nor for small images, whose few windows in a row leave vectors half empty.
    """
    dy = as_real(dy, "conv2d_backward: dy", ndim=4, like=x)
    if (need_dx and not g.by_winograd) or g.out[1] < 16:
        between = max_pool2d_relu_backward(dy, indices, (x.shape[0], weight.shape[0], *g.out))
        return _gradients(between, None, x, weight, g, need_dx, need_dbias, relu, into)
    return _gradients(dy, indices, x, weight, g, need_dx, need_dbias, relu, into)


def _gradients(
    dy: np.ndarray,
    indices: np.ndarray | None,
    x: np.ndarray,
    weight: np.ndarray,
    g: Geometry,
    need_dx: bool,
    need_dbias: bool,
    relu: bool,
    into: Gradients,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    """`conv2d_backward_relu` of what is checked, not empty; with ``indices``, as `conv2d_pool_backward`."""
    n_threads = get_num_threads()
    dweight = place_for("weight", into, weight.shape, x.dtype)
    dbias = place_for("bias", into, weight.shape[:1], x.dtype) if need_dbias else None
    padded = with_extra(x, g)
    if g.by_winograd:
        _winograd_weight.winograd_backward_weight(dy, indices, padded, dweight, dbias, *g.padding, n_threads)
    else:
        _backward_weight.conv2d_backward_weight(dy, indices, padded, dweight, dbias, *g.numbers, n_threads)
    dx = _input_gradient(dy, indices, x, weight, g, relu) if need_dx else None
    return dx, dweight, dbias


def conv2d_backward_input(
    dy: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> np.ndarray:
    """The first of the three gradients of `conv2d_backward` alone, for benchmarks: not public.

    Of ``x`` only the shape matters; nothing may be empty.
    """
    x, weight, g = arguments("conv2d_backward_input", x, weight, stride, padding, dilation, groups)
    return _input_gradient(dy, None, x, weight, g, relu=False)


def _input_gradient(
    dy: np.ndarray, indices: np.ndarray | None, x: np.ndarray, weight: np.ndarray, g: Geometry, relu: bool
) -> np.ndarray:
    """dx, for arguments that are checked and not empty; ``indices`` only by Winograd's algorithm."""
    n, c, h, w = shape = x.shape
    n_threads = get_num_threads()
    if g.extra != (0, 0):
        shape = n, c, h + g.extra[0], w + g.extra[1]
    dx = empty(shape, x.dtype)
    if g.by_winograd:  # the convolution of dy with the filters turned round
        packed = _packed(weight, g, turned=True)
        pads = 2 - g.padding[0], 2 - g.padding[1]
        gate = x if relu and shape == x.shape else None
        _winograd.winograd(dy, indices, packed, None, gate, dx, None, *pads, False, False, n_threads)
        relu = relu and gate is None
    else:
        _backward_input.conv2d_backward_input(dy, weight, dx, *g.numbers, n_threads)
    if shape != x.shape:
        dx = np.ascontiguousarray(dx[:, :, :h, :w])
    return relu_backward(dx, x) if relu else dx


def _packed(weight: np.ndarray, g: Geometry, *, turned: bool = False) -> np.ndarray:
    """The weight in the order in which its kernel reads it.

    ``turned`` is for the gradient of the input.
    """
    if not g.by_winograd:
        how = *g.stride, g.groups
        packed = empty((_conv2d.packed_size(weight, *how),), weight.dtype)
        _conv2d.pack_conv2d(weight, packed, *how)
        return packed
    filters, channels = weight.shape[:2]
    size = _winograd.packed_size(channels, filters) if turned else _winograd.packed_size(filters, channels)
    packed = empty((size,), weight.dtype)
    _winograd.pack_winograd(weight, packed, turned, get_num_threads())
    return packed


def _sum_over_nothing(bias: np.ndarray | None, y: np.ndarray, relu: bool) -> None:
    """Fill ``y`` where there are no channels, or windows of nothing but padding."""
    sums = np.zeros(y.shape[1], y.dtype) if bias is None else bias
    y[...] = (np.maximum(sums, 0) if relu else sums)[:, None, None]


def _call(
    x: np.ndarray,
    packed: np.ndarray,
    bias: np.ndarray | None,
    y: np.ndarray,
    g: Geometry,
    relu: bool = False,
    pool: bool = False,
    indices: np.ndarray | None = None,
) -> Call:
    """What fills ``y``, and ``indices`` of pooling unless it is None; nothing is empty."""
    if g.by_winograd:
        return _winograd.winograd, (x, None, packed, bias, None, y, indices, *g.padding, relu, pool)
    return _conv2d.conv2d, (
        x, packed, bias, y, indices, *g.kernel, *g.numbers, relu, pool
    )  # fmt: skip
