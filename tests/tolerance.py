"""How far a correct kernel may be from the exact result.

Rounding a sum of K products moves it by about ``eps * sqrt(K) * sum |a| |b|``: each of the K roundings is up
to eps/2 of the partial sum, in a direction that is as good as random. `growth` allows three times that, which
is more than five standard deviations and still far below what a wrong or a missing term does. The magnitude
``sum |a| |b|`` comes from the reference function itself, called with absolute values. Functions that add
nothing up are allowed a few roundings of their result; functions that move data, none.

A bound takes the arguments of a case (in float64) and returns, for each output, its bound in units of eps.
"""

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import numpy as np

from cnn_core import reference

Arguments = dict[str, Any]
Bound = tuple[Any, ...]

FEW = 8.0  # roundings of a short formula with an exp or a division in it


def growth(terms: float) -> float:
    """Bound the error of a sum of ``terms`` products, relative to the sum of their absolute values."""
    return 3 * (sqrt(terms) + 1)


def allowed(name: str, arguments: Arguments, dtype: Any) -> tuple[np.ndarray, ...]:
    """Return the largest permitted ``|result - exact|`` of each output, in ``dtype``'s precision."""
    info = np.finfo(dtype)
    exact = {k: _f64(v) for k, v in arguments.items()}
    bounds = BOUNDS[name](exact)
    if name.startswith("conv2d") and dtype == np.float32 and _by_winograd(exact["weight"]):
        bounds = tuple(_over_the_plane(bound) if np.ndim(bound) == 4 else bound for bound in bounds)
    # Below the smallest normal number precision is absolute, and kernels may flush to zero.
    return tuple(info.eps * np.asarray(bound) + info.tiny for bound in bounds)


def _by_winograd(weight: np.ndarray) -> bool:
    """Whether a convolution in float32 may take Winograd's algorithm (some options rule it out)."""
    return weight.shape[2:] == (3, 3) and min(weight.shape[:2]) >= 12


def _over_the_plane(bound: np.ndarray) -> np.ndarray:
    """Winograd's F(4x4, 3x3) adds up whole tiles, so a pixel's error follows the largest sum near it.

    Its transforms multiply numbers by up to 5 and 8 and add them up again: 3 times the bound of the direct
    sum, where 1.1 times was seen over random layers of 12 to 128 channels.
    """
    return 3 * np.broadcast_to(bound.max(axis=(2, 3), keepdims=True, initial=0), bound.shape)


def _f64(value: Any) -> Any:
    return (
        np.asarray(value, np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
    )


def _absolute(a: Arguments, *names: str) -> Arguments:
    return {k: np.abs(v) if k in names and v is not None else v for k, v in a.items()}


def exact(a: Arguments) -> Bound:
    return 0.0, 0.0


def conv2d(a: Arguments) -> Bound:
    magnitude = reference.conv2d(**_absolute(a, "x", "weight", "bias"))
    return (growth(prod(a["weight"].shape[1:]) + 1) * magnitude,)


def conv2d_backward(a: Arguments) -> Bound:
    all_of_them = {"need_dx": True, "need_dbias": True}
    dx, dw, db = reference.conv2d_backward(**{**_absolute(a, "dy", "x", "weight"), **all_of_them})
    n, filters, oh, ow = a["dy"].shape
    pixels = n * oh * ow
    taps = filters // a.get("groups", 1) * prod(a["weight"].shape[2:])
    bounds = {"need_dx": growth(taps) * dx, "": growth(pixels) * dw, "need_dbias": growth(pixels) * db}
    return tuple(bound for name, bound in bounds.items() if a.get(name, True))


def col2im(a: Arguments) -> Bound:
    return (growth(prod(np.broadcast_to(a["kernel_size"], 2))) * reference.col2im(**_absolute(a, "col")),)


def max_pool2d_backward(a: Arguments) -> Bound:
    ones = reference.max_pool2d_backward(np.ones_like(a["dy"]), a["indices"], a["x_shape"])
    return (growth(ones.max(initial=1)) * reference.max_pool2d_backward(**_absolute(a, "dy")),)


def averages(name: str, argument: str) -> Callable[[Arguments], Bound]:
    """Bound a function that sums ``argument`` over windows no larger than the input plane."""

    def bound(a: Arguments) -> Bound:
        plane = a["x_shape"][2:] if "x_shape" in a else a["x"].shape[2:]
        return (growth(prod(plane)) * getattr(reference, name)(**_absolute(a, argument)),)

    return bound


def linear(a: Arguments) -> Bound:
    return (growth(a["x"].shape[-1] + 1) * reference.linear(**_absolute(a, "x", "weight", "bias")),)


def linear_backward(a: Arguments) -> Bound:
    dx, dw, db = reference.linear_backward(**{**_absolute(a, "dy", "x", "weight"), "need_dx": True})
    rows = prod(a["x"].shape[:-1])
    sums = growth(rows) * dw, growth(rows) * db
    return (growth(len(a["weight"])) * dx, *sums) if a.get("need_dx", True) else sums


def _per_channel(v: Any, x: np.ndarray) -> np.ndarray:
    return np.broadcast_to(v, x.shape[1]).reshape(1, -1, *[1] * (x.ndim - 2))


def batch_norm(a: Arguments) -> Bound:
    """The mean of K numbers is off by growth(K) times their mean size; that, times rstd, shifts every y."""
    x, training = a["x"], a.get("training", False)
    axes, count = (0, *range(2, x.ndim)), prod((x.shape[0], *x.shape[2:]))
    copies = {k: None if a[k] is None else a[k].copy() for k in ("running_mean", "running_var")}
    _, mean, rstd = reference.batch_norm(**{**a, **copies, "return_stats": True})
    sums = growth(count) if training else FEW
    size = np.abs(x).mean(axis=axes) if training and count else np.abs(mean)
    weight = 1.0 if a["weight"] is None else np.abs(a["weight"])
    bias = 0.0 if a["bias"] is None else np.abs(a["bias"])
    y = _per_channel(rstd * weight, x) * (np.abs(x) + _per_channel(size, x)) + _per_channel(bias, x)
    statistics = (size, rstd) if a.get("return_stats") else ()
    running = [
        np.abs(copy) + extra
        for copy, extra in zip(copies.values(), (size, 2 / rstd**2), strict=True)
        if copy is not None
    ]
    return tuple(sums * bound for bound in (y, *statistics, *running))


def batch_norm_backward(a: Arguments) -> Bound:
    x, dy = a["x"], np.abs(a["dy"])
    axes, count = (0, *range(2, x.ndim)), max(prod((x.shape[0], *x.shape[2:])), 1)
    xhat = (np.abs(x) + np.abs(_per_channel(a["mean"], x))) * _per_channel(a["rstd"], x)
    dweight, dbias = (dy * xhat).sum(axis=axes), dy.sum(axis=axes)
    weight = 1.0 if a["weight"] is None else np.abs(a["weight"])
    dx = dy + _per_channel(dbias, x) / count + xhat * _per_channel(dweight, x) / count
    scaled = dx * _per_channel(weight * a["rstd"], x)
    return tuple(growth(count) * bound for bound in (scaled, dweight, dbias))


def few_roundings(name: str) -> Callable[[Arguments], Bound]:
    """Bound a formula of one variable that is accurate relative to its own value."""
    return lambda a: (FEW * np.abs(getattr(reference, name)(**a)),)


def tanh_backward(a: Arguments) -> Bound:
    """``1 - y^2`` loses what y^2 was rounded by."""
    return (FEW * np.abs(a["dy"]),)


def _below_largest(x: np.ndarray, axis: int) -> np.ndarray:
    return x.max(axis=axis, keepdims=True) - x if x.size else x


def softmax(a: Arguments) -> Bound:
    """Rounding ``x - max`` by eps of itself multiplies the exponential by as much."""
    dim = a.get("dim", -1)
    terms = growth(a["x"].shape[dim]) + FEW + _below_largest(a["x"], dim)
    return (terms * reference.softmax(a["x"], dim),)


def softmax_backward(a: Arguments) -> Bound:
    dim, dy, y = a.get("dim", -1), np.abs(a["dy"]), np.abs(a["y"])
    return (growth(dy.shape[dim]) * y * (dy + (dy * y).sum(axis=dim, keepdims=True)),)


def log_softmax(a: Arguments) -> Bound:
    dim = a.get("dim", -1)
    classes = a["x"].shape[dim]
    return (FEW * (_below_largest(a["x"], dim) + np.log(max(classes, 1))) + growth(classes),)


def log_softmax_backward(a: Arguments) -> Bound:
    dim, dy, y = a.get("dim", -1), np.abs(a["dy"]), np.abs(a["y"])
    return (growth(dy.shape[dim]) * (dy + np.exp(-y) * (1 + y) * dy.sum(axis=dim, keepdims=True)),)


def cross_entropy(a: Arguments) -> Bound:
    """The log probabilities are each off by their `log_softmax` bound, and are weighted and added."""
    logs = np.nan_to_num(log_softmax({"x": a["x"], "dim": 1})[0])
    each = _weighed(a, logs)
    reduction = a.get("reduction", "mean")
    if reduction == "none":
        return (each,)
    total = growth(each.size) * each.sum()
    return (total / _norm(a) if reduction == "mean" else total,)


def cross_entropy_backward(a: Arguments) -> Bound:
    x, dloss = a["x"], np.abs(a.get("dloss", 1.0))
    mass = _weighed(a, np.ones_like(x))[:, None]
    dx = (softmax({"x": x, "dim": 1})[0] + FEW) * mass
    dx = dx * (dloss[:, None] if np.ndim(dloss) else dloss)
    return (growth(mass.size) * dx / _norm(a) if a.get("reduction", "mean") == "mean" else dx,)


def _weighed(a: Arguments, values: np.ndarray) -> np.ndarray:
    """``sum_c |q_ic| values_ic`` for the target distribution q that `reference.loss` describes."""
    q, _ = reference.loss._targets(
        a["x"], a["target"], a["weight"], a.get("ignore_index", -100), a.get("label_smoothing", 0.0)
    )
    return (np.abs(q) * values).sum(axis=1)


def _norm(a: Arguments) -> float:
    _, norm = reference.loss._targets(a["x"], a["target"], a["weight"], a.get("ignore_index", -100), 0.0)
    return norm or 1.0


def _reduced(each: np.ndarray, reduction: str) -> Bound:
    if reduction == "none":
        return (each,)
    total = growth(each.size) * each.sum()
    return (total / max(each.size, 1) if reduction == "mean" else total,)


def mse_loss(a: Arguments) -> Bound:
    return _reduced(FEW * (a["x"] - a["target"]) ** 2, a.get("reduction", "mean"))


def _bce_weights(a: Arguments) -> tuple[Any, Any]:
    return (1.0 if a[k] is None else a[k] for k in ("weight", "pos_weight"))


def bce_with_logits(a: Arguments) -> Bound:
    weight, positive = _bce_weights(a)
    each = weight * (1 + positive) * (1 + np.abs(a["x"]))
    return _reduced(FEW * each, a.get("reduction", "mean"))


def bce_with_logits_backward(a: Arguments) -> Bound:
    weight, positive = _bce_weights(a)
    dx = FEW * weight * (1 + positive) * np.ones_like(a["x"])
    return (dx / max(dx.size, 1) if a.get("reduction", "mean") == "mean" else dx,)


BOUNDS: dict[str, Callable[[Arguments], Bound]] = {
    "adaptive_avg_pool2d": averages("adaptive_avg_pool2d", "x"),
    "adaptive_avg_pool2d_backward": averages("adaptive_avg_pool2d_backward", "dy"),
    "avg_pool2d": averages("avg_pool2d", "x"),
    "avg_pool2d_backward": averages("avg_pool2d_backward", "dy"),
    "batch_norm": batch_norm,
    "batch_norm_backward": batch_norm_backward,
    "bce_with_logits": bce_with_logits,
    "bce_with_logits_backward": bce_with_logits_backward,
    "col2im": col2im,
    "conv2d": conv2d,
    "conv2d_backward": conv2d_backward,
    "cross_entropy": cross_entropy,
    "cross_entropy_backward": cross_entropy_backward,
    "cross_entropy_with_grad": lambda a: cross_entropy(a) + cross_entropy_backward(a),
    "dropout_backward": few_roundings("dropout_backward"),
    "im2col": exact,
    "leaky_relu": few_roundings("leaky_relu"),
    "leaky_relu_backward": few_roundings("leaky_relu_backward"),
    "linear": linear,
    "linear_backward": linear_backward,
    "log_softmax": log_softmax,
    "log_softmax_backward": log_softmax_backward,
    "max_pool2d": exact,
    "max_pool2d_backward": max_pool2d_backward,
    "mse_loss": mse_loss,
    "mse_loss_backward": few_roundings("mse_loss_backward"),
    "relu": exact,
    "relu_backward": exact,
    "sigmoid": few_roundings("sigmoid"),
    "sigmoid_backward": few_roundings("sigmoid_backward"),
    "softmax": softmax,
    "softmax_backward": softmax_backward,
    "tanh": few_roundings("tanh"),
    "tanh_backward": tanh_backward,
}
