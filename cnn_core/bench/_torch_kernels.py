"""torch's twin of each benchmarked function.

Gradients are computed by the operators that autograd would call, so that nothing else is timed.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F

aten = torch.ops.aten
Tensor: TypeAlias = torch.Tensor


def _pair(value: int) -> list[int]:
    return [value, value]


def _conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1, padding: int = 0) -> Tensor:
    return F.conv2d(x, weight, bias, stride, padding)


def _conv2d_backward(*wanted: bool) -> Callable[..., tuple[Tensor | None, ...]]:
    mask = list(wanted)

    def backward(dy: Tensor, x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0) -> Any:
        geometry = (_pair(stride), _pair(padding), _pair(1), False, _pair(0), 1)
        return aten.convolution_backward(dy, x, weight, [weight.shape[0]], *geometry, mask)

    return backward


def _max_pool2d(x: Tensor, kernel_size: int, stride: int | None = None, padding: int = 0) -> Any:
    return aten.max_pool2d_with_indices(x, _pair(kernel_size), _pair(stride or kernel_size), _pair(padding))


def _max_pool2d_backward(
    dy: Tensor, indices: Tensor, x: Tensor, kernel_size: int, stride: int | None = None, padding: int = 0
) -> Tensor:
    window = (_pair(kernel_size), _pair(stride or kernel_size), _pair(padding))
    return aten.max_pool2d_with_indices_backward(dy, x, *window, _pair(1), False, indices)


def _avg_pool2d_backward(
    dy: Tensor, x: Tensor, kernel_size: int, stride: int | None = None, padding: int = 0
) -> Tensor:
    window = (_pair(kernel_size), _pair(stride or kernel_size), _pair(padding))
    return aten.avg_pool2d_backward(dy, x, *window, False, True, None)


def _adaptive_avg_pool2d_backward(dy: Tensor, x: Tensor) -> Tensor:
    return aten._adaptive_avg_pool2d_backward(dy, x)


def _batch_norm(
    x: Tensor, running_mean: Tensor, running_var: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    return aten.native_batch_norm(x, weight, bias, running_mean, running_var, True, 0.1, 1e-5)


def _batch_norm_backward(dy: Tensor, x: Tensor, weight: Tensor, mean: Tensor, rstd: Tensor) -> Any:
    return aten.native_batch_norm_backward(dy, x, weight, None, None, mean, rstd, True, 1e-5, [True] * 3)


def _cross_entropy(x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    y = aten._log_softmax(x, 1, False)
    loss, total = aten.nll_loss_forward(y, target, None, 1, -100)
    one = torch.ones((), dtype=x.dtype)
    dy = aten.nll_loss_backward(one, y, target, None, 1, -100, total)
    return loss, aten._log_softmax_backward_data(dy, y, 1, x.dtype)


def _linear_dw(dy: Tensor, x: Tensor, weight: Tensor) -> tuple[None, Tensor, Tensor]:
    return None, dy.t() @ x, dy.sum(0)


_TWINS: dict[str, Callable[..., Any]] = {
    "conv2d": _conv2d,
    "conv2d dx": _conv2d_backward(True, False, False),
    "conv2d dW": _conv2d_backward(False, True, True),
    "linear": lambda x, weight, bias: F.linear(x, weight, bias),
    "linear dx": lambda dy, x, weight: dy @ weight,
    "linear dW": _linear_dw,
    "max_pool2d": _max_pool2d,
    "max_pool2d backward": _max_pool2d_backward,
    "avg_pool2d": lambda x, **window: F.avg_pool2d(x, **window),
    "avg_pool2d backward": _avg_pool2d_backward,
    "adaptive_avg_pool2d": lambda x, output_size: F.adaptive_avg_pool2d(x, output_size),
    "adaptive_avg_pool2d backward": _adaptive_avg_pool2d_backward,
    "im2col": lambda x, **window: F.unfold(x, **window),
    "col2im": lambda col, size, **window: F.fold(col, size, **window),
    "batch_norm": _batch_norm,
    "batch_norm backward": _batch_norm_backward,
    "relu": lambda x: torch.relu(x),
    "relu backward": lambda dy, y: aten.threshold_backward(dy, y, 0),
    "leaky_relu": lambda x: F.leaky_relu(x),
    "leaky_relu backward": lambda dy, x: aten.leaky_relu_backward(dy, x, 0.01, False),
    "sigmoid": lambda x: torch.sigmoid(x),
    "sigmoid backward": lambda dy, y: aten.sigmoid_backward(dy, y),
    "tanh": lambda x: torch.tanh(x),
    "tanh backward": lambda dy, y: aten.tanh_backward(dy, y),
    "softmax": lambda x, dim: F.softmax(x, dim),
    "softmax backward": lambda dy, y, dim: aten._softmax_backward_data(dy, y, dim, y.dtype),
    "log_softmax": lambda x, dim: F.log_softmax(x, dim),
    "log_softmax backward": lambda dy, y, dim: aten._log_softmax_backward_data(dy, y, dim, y.dtype),
    "cross_entropy": _cross_entropy,
    "dropout": lambda x, p, rng: aten.native_dropout(x, p, True),
    "dropout backward": lambda dy, mask, p: aten.native_dropout_backward(dy, mask, 1 / (1 - p)),
}


def _with_x(a: dict[str, Any]) -> dict[str, Any]:
    """An input in place of its shape, in the layout of ``dy``."""
    dy, shape = a["dy"], a["x_shape"]
    layout = torch.contiguous_format if dy.is_contiguous() else torch.channels_last
    x = a["x"] if "x" in a else torch.empty(shape, dtype=dy.dtype, memory_format=layout)
    return {key: value for key, value in a.items() if key != "x_shape"} | {"x": x}


def _with_columns(a: dict[str, Any]) -> dict[str, Any]:
    """The columns as `F.fold` has them, (N, C*KH*KW, OH*OW)."""
    n, _, height, width = a["x_shape"]
    col = a["col"].reshape(n, -1, a["col"].shape[1]).transpose(1, 2).contiguous()
    return {key: value for key, value in a.items() if key != "x_shape"} | {
        "col": col,
        "size": (height, width),
    }


_PREPARE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "max_pool2d backward": _with_x,
    "avg_pool2d backward": _with_x,
    "adaptive_avg_pool2d backward": _with_x,
    "col2im": _with_columns,
}


def twin(op: str, arguments: dict[str, Any]) -> Callable[[], Any] | None:
    """The twin's call, ready to be timed; None if there is none. ``arguments`` hold tensors for arrays."""
    if op not in _TWINS:
        return None
    prepare = _PREPARE.get(op)
    return partial(_TWINS[op], **(prepare(arguments) if prepare else arguments))


_Optimizer: TypeAlias = torch.optim.Optimizer

_OPTIMIZERS: dict[str, Callable[..., _Optimizer]] = {
    "sgd": partial(torch.optim.SGD, lr=1e-4),
    "momentum": partial(torch.optim.SGD, lr=1e-4, momentum=0.9),
    "nesterov": partial(torch.optim.SGD, lr=1e-4, momentum=0.9, nesterov=True),
    "adagrad": partial(torch.optim.Adagrad, lr=1e-4),
    "rmsprop": partial(torch.optim.RMSprop, lr=1e-4),
    "adam": partial(torch.optim.Adam, lr=1e-4),
    "adamw": partial(torch.optim.AdamW, lr=1e-4),
}


def optimizers(name: str, params: dict[str, Any], grads: dict[str, Any]) -> dict[str, _Optimizer]:
    """torch's optimizers of that name over copies of the parameters, fused and foreach, where it has them.

    Not Nesterov's foreach, which adds to the gradients that it is given: again and again, they would explode.
    """
    result = {}
    for variant in ("fused",) if name == "nesterov" else ("fused", "foreach"):
        tensors = [torch.from_numpy(p.copy()).requires_grad_() for p in params.values()]
        for tensor, gradient in zip(tensors, grads.values(), strict=True):
            tensor.grad = torch.from_numpy(gradient.copy())
        try:
            result[variant] = _OPTIMIZERS[name](tensors, **{variant: True})
        except (TypeError, RuntimeError):  # RMSprop is not fused
            continue
    return result
