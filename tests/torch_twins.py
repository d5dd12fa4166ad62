"""How torch computes each function of the table: a second, independent oracle, where torch is installed."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Arguments = dict[str, Any]
Result = torch.Tensor | tuple[torch.Tensor, ...]

aten = torch.ops.aten


def compute(name: str, arguments: Arguments) -> tuple[np.ndarray, ...]:
    """Call torch's twin of ``name`` with the same arguments; return its outputs as numpy arrays."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same' with even kernel lengths", UserWarning)
        result = TWINS[name]({key: _tensor(value) for key, value in arguments.items()})
    results = result if isinstance(result, tuple) else (result,)
    return tuple(tensor.detach().numpy() for tensor in results)


def _tensor(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    tensor = torch.from_numpy(value.copy())
    return tensor if tensor.is_floating_point() else tensor.long()


def same_arguments(function: Callable) -> Callable[[Arguments], Result]:
    """Call a function of torch with our arguments: arrays by position in our order, the rest by name."""

    def call(a: Arguments) -> Result:
        arrays = [value for key, value in a.items() if key in _ARRAYS]
        return function(*arrays, **{key: value for key, value in a.items() if key not in _ARRAYS})

    return call


_ARRAYS = ("x", "running_mean", "running_var", "target", "weight", "bias")


def gradients(
    function: Callable, inputs: Sequence[torch.Tensor], dy: torch.Tensor | float = 1.0
) -> tuple[torch.Tensor, ...]:
    """Differentiate ``sum(dy * function(*inputs))`` by autograd."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    y = function(*leaves)
    y.backward(torch.as_tensor(dy, dtype=y.dtype).expand(y.shape))
    return tuple(leaf.grad for leaf in leaves)


def without(a: Arguments, *names: str) -> Arguments:
    return {key: value for key, value in a.items() if key not in names}


def conv2d_backward(a: Arguments) -> Result:
    geometry = without(a, "dy", "x", "weight", "need_dx", "need_dbias")
    bias = a["weight"].new_zeros(len(a["weight"]))
    grads = gradients(lambda x, w, b: F.conv2d(x, w, b, **geometry), [a["x"], a["weight"], bias], a["dy"])
    return grads[0 if a.get("need_dx", True) else 1 : 3 if a.get("need_dbias", True) else 2]


def im2col(a: Arguments) -> Result:
    col = F.unfold(**{"input": a["x"], **without(a, "x")})
    return col.transpose(1, 2).reshape(-1, col.shape[1])


def col2im(a: Arguments) -> Result:
    n, _, h, w = a["x_shape"]
    if n == 0:  # the one empty batch that torch refuses
        return a["col"].new_zeros(a["x_shape"])
    col = a["col"].reshape(n, -1, a["col"].shape[1]).transpose(1, 2)
    return F.fold(**{"input": col, "output_size": (h, w), **without(a, "col", "x_shape")})


def max_pool2d(a: Arguments) -> Result:
    result = same_arguments(F.max_pool2d)(a)
    return (result[0], result[1].int()) if a["return_indices"] else result


def max_pool2d_backward(a: Arguments) -> Result:
    n, c, h, w = a["x_shape"]
    dx = a["dy"].new_zeros(n, c, h * w)
    return dx.scatter_add_(2, a["indices"].flatten(2), a["dy"].flatten(2)).reshape(n, c, h, w)


def pool_backward(function: Callable, **options_of: Any) -> Callable[[Arguments], Result]:
    """Differentiate an average, which does not depend on the pixels, at x = 0."""

    def backward(a: Arguments) -> Result:
        options = without(a, "dy", "x_shape") or {"output_size": a["dy"].shape[2:]}
        x = a["dy"].new_zeros(a["x_shape"])
        return gradients(lambda x: function(x, **options), [x], a["dy"])

    return backward


def batch_norm(a: Arguments) -> Result:
    y = same_arguments(F.batch_norm)(without(a, "return_stats"))
    running = tuple(a[key] for key in ("running_mean", "running_var") if a[key] is not None)
    if not a.get("return_stats"):
        return y, *running
    axes = (0, *range(2, a["x"].ndim))
    mean, var = running
    if a["training"]:
        mean, var = a["x"].mean(axes), a["x"].var(axes, correction=0)
    return y, mean, (var + 1e-5).rsqrt(), *running


def batch_norm_backward(a: Arguments) -> Result:
    weight = a["x"].new_ones(a["x"].shape[1]) if a["weight"] is None else a["weight"]

    def normalise(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if a["training"]:
            return F.batch_norm(x, None, None, w, b, training=True)
        return F.batch_norm(x, a["mean"], a["rstd"] ** -2, w, b, eps=0.0)

    return gradients(normalise, [a["x"], weight, torch.zeros_like(weight)], a["dy"])


def linear_backward(a: Arguments) -> Result:
    bias = a["weight"].new_zeros(len(a["weight"]))
    grads = gradients(F.linear, [a["x"], a["weight"], bias], a["dy"])
    return grads if a.get("need_dx", True) else grads[1:]


def leaky_relu_backward(a: Arguments) -> Result:
    return aten.leaky_relu_backward(a["dy"], a["x"], a.get("negative_slope", 0.01), False)


def softmax_backward(function: Callable) -> Callable[[Arguments], Result]:
    return lambda a: function(a["dy"], a["y"], a.get("dim", -1), a["y"].dtype)


def cross_entropy_backward(a: Arguments) -> Result:
    options = without(a, "x", "dloss")
    loss = same_arguments(F.cross_entropy)
    return gradients(lambda x: loss({"x": x, **options}), [a["x"]], a.get("dloss", 1.0))


def cross_entropy_with_grad(a: Arguments) -> Result:
    return same_arguments(F.cross_entropy)(a), *cross_entropy_backward(a)


def loss_backward(function: Callable) -> Callable[[Arguments], Result]:
    return lambda a: gradients(lambda x: same_arguments(function)({**a, "x": x}), [a["x"]])


TWINS: dict[str, Callable[[Arguments], Result]] = {
    "adaptive_avg_pool2d": same_arguments(F.adaptive_avg_pool2d),
    "adaptive_avg_pool2d_backward": pool_backward(F.adaptive_avg_pool2d),
    "avg_pool2d": same_arguments(F.avg_pool2d),
    "avg_pool2d_backward": pool_backward(F.avg_pool2d),
    "batch_norm": batch_norm,
    "batch_norm_backward": batch_norm_backward,
    "bce_with_logits": same_arguments(F.binary_cross_entropy_with_logits),
    "bce_with_logits_backward": loss_backward(F.binary_cross_entropy_with_logits),
    "col2im": col2im,
    "conv2d": same_arguments(F.conv2d),
    "conv2d_backward": conv2d_backward,
    "cross_entropy": same_arguments(F.cross_entropy),
    "cross_entropy_backward": cross_entropy_backward,
    "cross_entropy_with_grad": cross_entropy_with_grad,
    "dropout_backward": lambda a: a["dy"] * a["mask"] * (0 if a["p"] == 1 else 1 / (1 - a["p"])),
    "im2col": im2col,
    "leaky_relu": same_arguments(F.leaky_relu),
    "leaky_relu_backward": leaky_relu_backward,
    "linear": same_arguments(F.linear),
    "linear_backward": linear_backward,
    "log_softmax": lambda a: F.log_softmax(a["x"], a.get("dim", -1)),
    "log_softmax_backward": softmax_backward(aten._log_softmax_backward_data),
    "max_pool2d": max_pool2d,
    "max_pool2d_backward": max_pool2d_backward,
    "mse_loss": same_arguments(F.mse_loss),
    "mse_loss_backward": loss_backward(F.mse_loss),
    "relu": same_arguments(F.relu),
    "relu_backward": lambda a: aten.threshold_backward(a["dy"], a["y"], 0),
    "sigmoid": same_arguments(torch.sigmoid),
    "sigmoid_backward": lambda a: aten.sigmoid_backward(a["dy"], a["y"]),
    "softmax": lambda a: F.softmax(a["x"], a.get("dim", -1)),
    "softmax_backward": softmax_backward(aten._softmax_backward_data),
    "tanh": same_arguments(torch.tanh),
    "tanh_backward": lambda a: aten.tanh_backward(a["dy"], a["y"]),
}
