"""Arguments to try the functions with, and their gradient checks.

A builder takes a generator and options and returns the arguments of one call; float64 arrays are rounded to
the wanted dtype later. A ``..._derivative`` takes a namespace of functions and such arguments, and returns
``(forward, backward, inputs)`` as `cnn_core.gradcheck.check_function` wants them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from cnn_core import reference
from cnn_core.gradcheck import tie_free

Arguments = dict[str, Any]
Build = Callable[..., Arguments]


# ---------------------------------------------------------------------------------------------- convolution


def conv2d(rng, x=(2, 3, 7, 6), w=(4, 3, 3, 3), bias=True, **geometry) -> Arguments:
    return {
        "x": rng.normal(size=x),
        "weight": rng.normal(size=w),
        "bias": rng.normal(size=w[0]) if bias else None,
        **geometry,
    }


def conv2d_backward(rng, **options) -> Arguments:
    wanted = {name: options.pop(name, True) for name in ("need_dx", "need_dbias")}
    arguments = conv2d(rng, **options)
    dy = rng.normal(size=reference.conv2d(**arguments).shape)
    del arguments["bias"]
    return {"dy": dy, **arguments, **wanted}


def conv2d_derivative(functions, a):
    geometry = {k: a[k] for k in ("stride", "padding", "dilation", "groups") if k in a}
    bias = np.linspace(-1, 1, len(a["weight"]))
    return (
        lambda x, w, b: functions.conv2d(x, w, b, **geometry),
        lambda dy, x, w, b: functions.conv2d_backward(dy, x, w, **geometry),
        [a["x"], a["weight"], bias],
    )


def im2col(rng, x=(2, 3, 7, 6), **geometry) -> Arguments:
    return {"x": rng.normal(size=x), **geometry}


def col2im(rng, x=(2, 3, 7, 6), **geometry) -> Arguments:
    shape = reference.im2col(np.zeros(x), **geometry).shape
    return {"col": rng.normal(size=shape), "x_shape": x, **geometry}


# -------------------------------------------------------------------------------------------------- pooling


def max_pool2d(rng, x=(2, 3, 7, 8), values="tie free", **geometry) -> Arguments:
    if values == "ties":
        images = rng.integers(0, 3, x).astype(float)
    elif values == "nan":
        images = tie_free(x, rng)
        images[..., :: x[2], :: x[3]] = np.nan  # one in each plane, so that no window has two
    elif values == "-inf":
        images = np.full(x, -np.inf)
    else:
        images = tie_free(x, rng)
    return {"x": images, **geometry}


def max_pool2d_backward(rng, **options) -> Arguments:
    dtype = options.pop("index_dtype", "int32")
    arguments = max_pool2d(rng, **options)
    y, indices = reference.max_pool2d(**{**arguments, "return_indices": True})
    return {
        "dy": rng.normal(size=y.shape),
        "indices": indices.astype(dtype),
        "x_shape": arguments["x"].shape,
    }


def max_pool2d_derivative(functions, a):
    x = tie_free(a["x_shape"])

    def forward(x):
        return functions.max_pool2d(x, 3, 2, 1)

    def backward(dy, x):
        _, indices = functions.max_pool2d(x, 3, 2, 1, return_indices=True)
        return functions.max_pool2d_backward(dy, indices, x.shape)

    return forward, backward, [x]


def pool(rng, x=(2, 3, 7, 8), **geometry) -> Arguments:
    return {"x": rng.normal(size=x), **geometry}


def avg_pool2d_backward(rng, x=(2, 3, 7, 8), **geometry) -> Arguments:
    shape = reference.avg_pool2d(np.zeros(x), **geometry).shape
    return {"dy": rng.normal(size=shape), "x_shape": x, **geometry}


def avg_pool2d_derivative(functions, a):
    geometry = {k: v for k, v in a.items() if k not in ("dy", "x_shape")}
    return (
        lambda x: functions.avg_pool2d(x, **geometry),
        lambda dy, x: functions.avg_pool2d_backward(dy, x.shape, **geometry),
        [tie_free(a["x_shape"])],
    )


def adaptive_avg_pool2d_backward(rng, x=(2, 3, 7, 8), output_size=1) -> Arguments:
    shape = reference.adaptive_avg_pool2d(np.zeros(x), output_size).shape
    return {"dy": rng.normal(size=shape), "x_shape": x}


def adaptive_avg_pool2d_derivative(functions, a):
    size = a["dy"].shape[2:]
    return (
        lambda x: functions.adaptive_avg_pool2d(x, size),
        lambda dy, x: functions.adaptive_avg_pool2d_backward(dy, x.shape),
        [tie_free(a["x_shape"])],
    )


# -------------------------------------------------------------------------------------------- normalisation


def batch_norm(rng, x=(4, 3, 5, 6), shift=0.5, affine=True, running=True, **options) -> Arguments:
    channels = x[1]
    return {
        "x": rng.normal(shift, 2.0, x),
        "running_mean": rng.normal(size=channels) if running else None,
        "running_var": rng.uniform(0.5, 2, channels) if running else None,
        "weight": rng.normal(size=channels) if affine else None,
        "bias": rng.normal(size=channels) if affine else None,
        **options,
    }


def batch_norm_backward(rng, x=(4, 3, 5, 6), shift=0.5, affine=True, training=True) -> Arguments:
    images = rng.normal(shift, 2.0, x)
    channels = x[1]
    _, mean, rstd = reference.batch_norm(
        images, np.zeros(channels), np.ones(channels), training=training, return_stats=True
    )
    weight = rng.normal(size=channels) if affine else None
    dy = rng.normal(size=x)
    return {"dy": dy, "x": images, "weight": weight, "mean": mean, "rstd": rstd, "training": training}


def batch_norm_derivative(functions, a):
    channels, training = a["x"].shape[1], a["training"]
    running = np.linspace(-1, 1, channels), np.linspace(0.5, 2, channels)

    def forward(x, weight, bias):
        mean, var = (r.copy() for r in running)
        return functions.batch_norm(x, mean, var, weight, bias, training)

    def backward(dy, x, weight, bias):
        copies = [r.copy() for r in running]
        _, mean, rstd = functions.batch_norm(x, *copies, weight, bias, training, return_stats=True)
        return functions.batch_norm_backward(dy, x, weight, mean, rstd, training)

    return forward, backward, [a["x"], np.linspace(0.5, 2, channels), np.linspace(-1, 1, channels)]


# --------------------------------------------------------------------------------------------------- linear


def linear(rng, x=(4, 5), out=3, bias=True) -> Arguments:
    weight = rng.normal(size=(out, x[-1]))
    return {"x": rng.normal(size=x), "weight": weight, "bias": rng.normal(size=out) if bias else None}


def linear_backward(rng, x=(4, 5), out=3, **options) -> Arguments:
    arguments = linear(rng, x, out, False)
    del arguments["bias"]
    return {"dy": rng.normal(size=(*x[:-1], out)), **arguments, **options}


def linear_derivative(functions, a):
    return (
        functions.linear,
        lambda dy, x, w, b: functions.linear_backward(dy, x, w),
        [a["x"], a["weight"], np.linspace(-1, 1, len(a["weight"]))],
    )


# ----------------------------------------------------------------------------------------------- activation


def elementwise(rng, x=(4, 5), low=-4.0, high=4.0, **options) -> Arguments:
    return {"x": np.asarray(rng.uniform(low, high, x)), **options}


def extremes(rng, **options) -> Arguments:
    """Numbers where a careless formula overflows, underflows or loses digits."""
    large = np.array([1e-30, 1e-6, 1e-3, 0.4, 20, 88, 90, 1e4, np.inf])
    return {"x": np.concatenate([large, -large, [0.0, -0.0, np.nan]]), **options}


def activation(rng, kind="elementwise", **options) -> Arguments:
    return extremes(rng, **options) if kind == "extremes" else elementwise(rng, **options)


def from_output(function: Callable[..., np.ndarray]) -> Build:
    """Build ``(dy, y)`` for a backward function that takes the output of ``function``."""

    def build(rng, x=(4, 5), **options) -> Arguments:
        y = np.asarray(function(rng.uniform(-4, 4, x), **options))
        return {"dy": np.asarray(rng.normal(size=x)), "y": y, **options}

    return build


def leaky_relu_backward(rng, x=(4, 5), **options) -> Arguments:
    return {"dy": np.asarray(rng.normal(size=x)), "x": np.asarray(rng.uniform(-4, 4, x)), **options}


def activation_derivative(name: str, saved: str = "y") -> Callable:
    """Make the gradient check of ``name``, whose backward takes the output ("y") or the input ("x")."""

    def derivative(functions, a):
        forward, backward = getattr(functions, name), getattr(functions, f"{name}_backward")
        options = {k: v for k, v in a.items() if k not in ("dy", "x", "y")}

        def pull(dy, x):
            return backward(dy, forward(x, **options) if saved == "y" else x, **options)

        x = tie_free(a[saved].shape)
        return lambda x: forward(x, **options), pull, [x]

    return derivative


# -------------------------------------------------------------------------------------------------- dropout


def dropout(rng, x=(40, 50), seed=0, **options) -> Arguments:
    return {"x": rng.normal(size=x), **options, "rng": seed}


def dropout_backward(rng, x=(4, 5), p=0.5, mask_dtype=bool) -> Arguments:
    return {"dy": rng.normal(size=x), "mask": (rng.random(x) >= p).astype(mask_dtype), "p": p}


def dropout_derivative(functions, a):
    def mask_of(x):
        return functions.dropout(x, a["p"], rng=3, return_mask=True)[1]

    return (
        lambda x: functions.dropout(x, a["p"], rng=3),
        lambda dy, x: functions.dropout_backward(dy, mask_of(x), a["p"]),
        [a["dy"]],
    )


# --------------------------------------------------------------------------------------------------- losses


def cross_entropy(
    rng, x=(6, 5), target="labels", weighted=False, ignore=0, scale=1.0, **options
) -> Arguments:
    sample_shape = (x[0], *x[2:])
    if target == "probabilities":
        t = np.moveaxis(rng.dirichlet(np.ones(x[1]), sample_shape), -1, 1)
    elif target == "one_hot":
        t = np.moveaxis(np.eye(x[1])[rng.integers(0, x[1], sample_shape)], -1, 1)
    else:
        t = rng.integers(0, x[1], sample_shape)
        t.ravel()[:ignore] = options.get("ignore_index", -100)
        t = t.astype(target if target != "labels" else np.int64)
    return {
        "x": rng.normal(scale=scale, size=x),
        "target": t,
        "weight": rng.uniform(0.2, 3, x[1]) if weighted else None,
        **options,
    }


def cross_entropy_backward(rng, dloss=1.0, **options) -> Arguments:
    arguments = cross_entropy(rng, **options)
    if dloss == "each":
        dloss = rng.normal(size=(arguments["x"].shape[0], *arguments["x"].shape[2:]))
    return {**arguments, "dloss": dloss}


def cross_entropy_derivative(functions, a):
    options = {k: v for k, v in a.items() if k not in ("x", "dloss")}

    def backward(dy, x):
        dloss = dy if np.ndim(dy) else float(dy)
        return functions.cross_entropy_backward(x, **options, dloss=dloss)

    return lambda x: functions.cross_entropy(x, **options), backward, [a["x"]]


def mse(rng, x=(4, 5), **options) -> Arguments:
    return {"x": rng.normal(size=x), "target": rng.normal(size=x), **options}


def bce(rng, x=(4, 5), low=-4, high=4, weighted=False, positive=False, **options) -> Arguments:
    return {
        "x": rng.uniform(low, high, x),
        "target": rng.random(x),
        "weight": rng.uniform(0.2, 3, x) if weighted else None,
        **options,
        "pos_weight": rng.uniform(0.2, 3, x[-1:]) if positive else None,
    }


def loss_derivative(name: str) -> Callable:
    """Make the gradient check of a loss whose backward gives the gradient of the mean or of the sum."""

    def derivative(functions, a):
        options = {k: v for k, v in a.items() if k != "x"}
        forward, backward = getattr(functions, name), getattr(functions, f"{name}_backward")
        return (
            lambda x: np.sum(forward(x, **options)),
            lambda dy, x: float(dy) * backward(x, **options),
            [a["x"]],
        )

    return derivative
