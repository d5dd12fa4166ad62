"""The functions that are benchmarked: for each its arguments, our call, and what it costs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from cnn_core import functional as F
from cnn_core import optim
from cnn_core.bench import arguments as make
from cnn_core.bench.arguments import OPTIMIZERS, Arguments, Options, Shape
from cnn_core.bench.costs import PER_ELEMENT, Cost, adaptive_taps
from cnn_core.functional.convolution import conv2d_backward_input
from cnn_core.functional.dense import linear_backward_input

Result = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Op:
    """A benchmarked function.

    Parameters
    ----------
    build : callable (rng, shape, options) -> arguments
        By the names that ``call`` has for them.
    call : callable
        Ours.
    flops : callable (arguments, outputs) -> int
    reads : tuple of str
        Arguments that the mathematics reads once.
    updates : tuple of str
        Arguments, arrays or dicts of them, that are read and written.
    """

    build: Callable[[np.random.Generator, Shape, Options], Arguments]
    call: Callable[..., Any]
    flops: Callable[[Arguments, Result], int]
    reads: tuple[str, ...]
    updates: tuple[str, ...] = ()

    def bind(self, arguments: Arguments) -> Callable[[], Any]:
        """Our call, ready to be timed."""
        return partial(self.call, **arguments)

    def cost(self, arguments: Arguments, result: Any) -> Cost:
        """Operations and compulsory bytes of a call that returned ``result``."""
        outputs = arrays_of(result)
        read = [array for name in self.reads for array in arrays_of(arguments[name])]
        updated = [array for name in self.updates for array in arrays_of(arguments[name])]
        nbytes = sum(array.nbytes for array in (*read, *updated, *updated, *outputs))
        return Cost(int(self.flops(arguments, outputs)), nbytes)


def arrays_of(value: Any) -> Result:
    """The arrays in a result or an argument, in order."""
    if isinstance(value, np.ndarray):
        return (value,)
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple):
        return tuple(array for part in value for array in arrays_of(part))
    return ()


def _update(optimizer: optim.Optimizer, params: Arguments, grads: Arguments, state: Arguments) -> None:
    optimizer.update(params, grads)


def _of_input(name: str, argument: str = "x") -> Callable[[Arguments, Result], int]:
    return lambda a, out: a[argument].size * PER_ELEMENT[name]


def _conv_macs(a: Arguments, n_outputs: int) -> int:
    return 2 * n_outputs * a["weight"][0].size


def _window(a: Arguments) -> int:
    return int(a["kernel_size"] ** 2)


def _elementwise(name: str, other: str, takes_output: bool = True) -> dict[str, Op]:
    """A function of one array and its gradient."""
    forward, backward = getattr(F, name), getattr(F, f"{name}_backward")
    build = make.dy_and(other, forward if takes_output else None)
    return {
        name: Op(make.x, forward, _of_input(name), ("x",)),
        f"{name} backward": Op(build, backward, _of_input(f"{name}_backward", "dy"), ("dy", other)),
    }


OPS: dict[str, Op] = {
    "conv2d": Op(make.conv2d, F.conv2d, lambda a, out: _conv_macs(a, out[0].size), ("x", "weight", "bias")),
    "conv2d dx": Op(
        make.conv2d_backward,
        conv2d_backward_input,
        lambda a, out: _conv_macs(a, a["dy"].size),
        ("dy", "weight"),
    ),
    "conv2d dW": Op(
        make.conv2d_backward,
        partial(F.conv2d_backward, need_dx=False),
        lambda a, out: _conv_macs(a, a["dy"].size),
        ("dy", "x"),
    ),
    "linear": Op(
        make.linear, F.linear, lambda a, out: 2 * out[0].size * a["x"].shape[1], ("x", "weight", "bias")
    ),
    "linear dx": Op(
        make.linear_backward,
        linear_backward_input,
        lambda a, out: 2 * out[0].size * a["dy"].shape[1],
        ("dy", "weight"),
    ),
    "linear dW": Op(
        make.linear_backward,
        partial(F.linear_backward, need_dx=False),
        lambda a, out: 2 * a["weight"].size * len(a["x"]),
        ("dy", "x"),
    ),
    "max_pool2d": Op(
        make.x, partial(F.max_pool2d, return_indices=True), lambda a, out: out[0].size * _window(a), ("x",)
    ),
    "max_pool2d backward": Op(
        make.max_pool_backward,
        lambda dy, indices, x_shape, **unused: F.max_pool2d_backward(dy, indices, x_shape),
        lambda a, out: a["dy"].size,
        ("dy", "indices"),
    ),
    "avg_pool2d": Op(make.x, F.avg_pool2d, lambda a, out: out[0].size * _window(a), ("x",)),
    "avg_pool2d backward": Op(
        make.avg_pool_backward, F.avg_pool2d_backward, lambda a, out: a["dy"].size * _window(a), ("dy",)
    ),
    "adaptive_avg_pool2d": Op(
        make.x, F.adaptive_avg_pool2d, lambda a, out: adaptive_taps(a["x"].shape, out[0].shape), ("x",)
    ),
    "adaptive_avg_pool2d backward": Op(
        make.adaptive_backward,
        F.adaptive_avg_pool2d_backward,
        lambda a, out: adaptive_taps(a["x_shape"], a["dy"].shape),
        ("dy",),
    ),
    "im2col": Op(make.x, F.im2col, lambda a, out: 0, ("x",)),
    "col2im": Op(make.columns, F.col2im, lambda a, out: a["col"].size, ("col",)),
    "batch_norm": Op(
        make.batch_norm,
        partial(F.batch_norm, training=True, return_stats=True),
        _of_input("batch_norm"),
        ("x", "weight", "bias"),
        ("running_mean", "running_var"),
    ),
    "batch_norm backward": Op(
        make.batch_norm_backward,
        F.batch_norm_backward,
        _of_input("batch_norm_backward"),
        ("dy", "x", "weight", "mean", "rstd"),
    ),
    **_elementwise("relu", "y"),
    **_elementwise("leaky_relu", "x", takes_output=False),
    **_elementwise("sigmoid", "y"),
    **_elementwise("tanh", "y"),
    **_elementwise("softmax", "y"),
    **_elementwise("log_softmax", "y"),
    "cross_entropy": Op(
        make.cross_entropy, F.cross_entropy_with_grad, _of_input("cross_entropy"), ("x", "target")
    ),
    "dropout": Op(make.dropout, partial(F.dropout, return_mask=True), _of_input("dropout"), ("x",)),
    "dropout backward": Op(
        make.dropout_backward, F.dropout_backward, _of_input("dropout_backward", "dy"), ("dy", "mask")
    ),
    **{
        name: Op(
            make.optimizer(name),
            _update,
            lambda a, out, name=name: PER_ELEMENT[name] * sum(p.size for p in a["params"].values()),  # type: ignore[misc]
            ("grads",),
            ("params", "state"),
        )
        for name in OPTIMIZERS
    },
}
