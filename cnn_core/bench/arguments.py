"""Arguments for each benchmarked function: random numbers of the shapes of a case, by our names."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnn_core import functional as F
from cnn_core import optim

Arguments = dict[str, Any]
Options = Mapping[str, Any]
Shape = tuple[int, ...]


def normal(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def convolution(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    kernel, filters = options["kernel_size"], options["filters"]
    geometry = {key: options[key] for key in ("stride", "padding") if key in options}
    weight = normal(rng, (filters, shape[1], kernel, kernel)) / kernel
    return {"x": normal(rng, shape), "weight": weight, **geometry}


def conv2d(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    arguments = convolution(rng, shape, options)
    bias = normal(rng, (options["filters"],)) if options.get("bias", True) else None
    return arguments | {"bias": bias}


def conv2d_backward(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    arguments = convolution(rng, shape, options)
    return {"dy": normal(rng, F.conv2d(**arguments).shape), **arguments}


def linear(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    outputs = options["outputs"]
    weight = normal(rng, (outputs, shape[1])) / 8
    return {"x": normal(rng, shape), "weight": weight, "bias": normal(rng, (outputs,))}


def linear_backward(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    arguments = linear(rng, shape, options)
    del arguments["bias"]
    return {"dy": normal(rng, (shape[0], options["outputs"])), **arguments}


def x(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    return {"x": normal(rng, shape), **options}


def dy_and(other: str, function: Callable[..., np.ndarray] | None = None) -> Callable[..., Arguments]:
    """Build ``dy`` and what the gradient needs beside it: the input, or the output of ``function``."""

    def build(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
        x = normal(rng, shape)
        return {"dy": normal(rng, shape), other: function(x, **options) if function else x, **options}

    return build


def max_pool_backward(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    x = normal(rng, shape)
    y, indices = F.max_pool2d(x, **options, return_indices=True)
    return {"dy": normal(rng, y.shape), "indices": indices, "x_shape": shape, "x": x, **options}


def avg_pool_backward(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    y = F.avg_pool2d(np.zeros(shape, np.float32), **options)
    return {"dy": normal(rng, y.shape), "x_shape": shape, **options}


def adaptive_backward(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    size = options["output_size"]
    return {"dy": normal(rng, (*shape[:2], size, size)), "x_shape": shape}


def columns(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    col = F.im2col(normal(rng, shape), **options)
    return {"col": col, "x_shape": shape, **options}


def batch_norm(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    c = (shape[1],)
    return {
        "x": normal(rng, shape),
        "running_mean": np.zeros(c, np.float32),
        "running_var": np.ones(c, np.float32),
        "weight": normal(rng, c),
        "bias": normal(rng, c),
    }


def batch_norm_backward(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    arguments = batch_norm(rng, shape, options)
    _, mean, rstd = F.batch_norm(**arguments, training=True, return_stats=True)
    x, weight = arguments["x"], arguments["weight"]
    return {"dy": normal(rng, shape), "x": x, "weight": weight, "mean": mean, "rstd": rstd}


def cross_entropy(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    return {"x": normal(rng, shape), "target": rng.integers(0, shape[1], shape[0])}


def dropout(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    return {"x": normal(rng, shape), "p": 0.5, "rng": rng}


def dropout_backward(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
    return {"dy": normal(rng, shape), "mask": rng.random(shape) < 0.5, "p": 0.5}


OPTIMIZERS: dict[str, Callable[[], optim.Optimizer]] = {
    "sgd": lambda: optim.SGD(lr=1e-4),
    "momentum": lambda: optim.SGD(lr=1e-4, momentum=0.9),
    "nesterov": lambda: optim.SGD(lr=1e-4, momentum=0.9, nesterov=True),
    "adagrad": lambda: optim.AdaGrad(lr=1e-4, eps=1e-10),
    "rmsprop": lambda: optim.RMSprop(lr=1e-4),
    "adam": lambda: optim.Adam(lr=1e-4),
    "adamw": lambda: optim.AdamW(lr=1e-4),
}


def optimizer(name: str) -> Callable[..., Arguments]:
    """Build parameters of the shapes in the options, with gradients, and an optimizer with its state."""

    def build(rng: np.random.Generator, shape: Shape, options: Options) -> Arguments:
        params = {str(i): normal(rng, each) for i, each in enumerate(options["shapes"])}
        grads = {key: normal(rng, p.shape) for key, p in params.items()}
        optimizer = OPTIMIZERS[name]()
        zeros = {key: np.zeros_like(g) for key, g in grads.items()}
        optimizer.update({key: p.copy() for key, p in params.items()}, zeros)  # makes the state
        state = {
            f"{key}.{slot}": value
            for key, slots in optimizer.state.items()
            for slot, value in slots.items()
            if isinstance(value, np.ndarray)
        }
        return {"optimizer": optimizer, "params": params, "grads": grads, "state": state}

    return build
