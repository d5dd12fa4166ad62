"""torch modules with the layers and the weights of networks of this library."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from cnn_core import layers as L
from cnn_core.layers.together import Together

Call = Callable[[], Any]


class NoTwinError(ValueError):
    """A layer that torch does not have."""


class _Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + (x if self.shortcut is None else self.shortcut(x))


class _Concat(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self], 1)


def module_of(layer: L.Layer) -> nn.Module:
    """The torch module that computes the same, with copies of the weights and running statistics.

    Raises
    ------
    NoTwinError
        If a layer is not one of this library.
    """
    if isinstance(layer, Together):
        first, *others = layer.layers
        relu = nn.ReLU(inplace=True)
        return nn.Sequential(
            module_of(first), *(relu if isinstance(other, L.ReLU) else _module(other) for other in others)
        )
    module = _module(layer)
    state = {name: torch.from_numpy(np.array(value)) for name, value in layer.state_dict().items()}
    module.load_state_dict(state)
    return module


def _module(layer: L.Layer) -> nn.Module:
    if isinstance(layer, L.Sequential):
        return nn.Sequential(*_in_order(layer.layers))
    if isinstance(layer, L.Residual):
        return _Residual(_module(layer.body), None if layer.shortcut is None else _module(layer.shortcut))
    if isinstance(layer, L.Concat):
        return _Concat(*map(_module, layer.branches))
    for kind, make in _LEAVES.items():
        if isinstance(layer, kind):
            return make(layer)
    raise NoTwinError(f"torch has no {type(layer).__name__}")


def _in_order(layers: tuple[L.Layer, ...]) -> list[nn.Module]:
    """Modules for layers in a row; ReLU works in place where the layer before does not need its output."""
    modules = []
    for i, layer in enumerate(layers):
        module = _module(layer)
        if i and isinstance(module, nn.ReLU) and isinstance(layers[i - 1], _KEEP_NO_OUTPUT):
            module.inplace = True
        modules.append(module)
    return modules


_KEEP_NO_OUTPUT = (L.Conv2d, L.Linear, L.BatchNorm1d, L.BatchNorm2d, L.Residual)


def _conv2d(layer: Any) -> nn.Module:
    geometry = (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.groups)
    return nn.Conv2d(layer.in_channels, layer.out_channels, *geometry, bias=layer.bias is not None)


def _linear(layer: Any) -> nn.Module:
    return nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)


def _batch_norm(layer: Any) -> nn.Module:
    kind = nn.BatchNorm2d if isinstance(layer, L.BatchNorm2d) else nn.BatchNorm1d
    return kind(layer.num_features, layer.eps, layer.momentum, bool(layer.params), bool(layer.buffers))


def _max_pool(layer: Any) -> nn.Module:
    return nn.MaxPool2d(
        layer.kernel_size, layer.stride, layer.padding, layer.dilation, ceil_mode=layer.ceil_mode
    )


def _avg_pool(layer: Any) -> nn.Module:
    window = (layer.kernel_size, layer.stride, layer.padding)
    return nn.AvgPool2d(*window, layer.ceil_mode, layer.count_include_pad, layer.divisor_override)


_LEAVES: dict[type[L.Layer], Callable[[Any], nn.Module]] = {
    L.Conv2d: _conv2d,
    L.Linear: _linear,
    L.BatchNorm1d: _batch_norm,
    L.BatchNorm2d: _batch_norm,
    L.MaxPool2d: _max_pool,
    L.AvgPool2d: _avg_pool,
    L.AdaptiveAvgPool2d: lambda layer: nn.AdaptiveAvgPool2d(layer.output_size),
    L.ReLU: lambda layer: nn.ReLU(),
    L.LeakyReLU: lambda layer: nn.LeakyReLU(layer.negative_slope),
    L.Sigmoid: lambda layer: nn.Sigmoid(),
    L.Tanh: lambda layer: nn.Tanh(),
    L.Dropout: lambda layer: nn.Dropout(layer.p),
    L.Flatten: lambda layer: nn.Flatten(layer.start_dim, layer.end_dim),
    L.Identity: lambda layer: nn.Identity(),
}


def training_step(module: nn.Module, x: torch.Tensor, target: np.ndarray, lr: float) -> Call:
    """Forward, cross-entropy, backward and fused Adam."""
    module.train()
    labels = torch.from_numpy(target.copy()).long()
    optimizer = torch.optim.Adam(module.parameters(), lr=lr, fused=True)

    def step() -> torch.Tensor:
        with torch.enable_grad():
            optimizer.zero_grad()
            loss = F.cross_entropy(module(x), labels)
            loss.backward()
            optimizer.step()
            return loss

    return step


def layer_calls(
    module: nn.Module, x: torch.Tensor, dy: torch.Tensor, need_dx: bool
) -> tuple[Call, Call | None]:
    """Forward in training, and backward alone, of one layer.

    Backward is None where nothing has a gradient.
    """
    module.train()
    x.requires_grad_(need_dx)
    wanted = [tensor for tensor in (x, *module.parameters()) if tensor.requires_grad]

    def forward() -> torch.Tensor:
        with torch.enable_grad():
            return module(x)

    if not wanted:
        return forward, None
    y = forward()
    dy = dy.contiguous(memory_format=torch.channels_last) if _is_channels_last(y) else dy.contiguous()
    return forward, lambda: torch.autograd.grad(y, wanted, dy, retain_graph=True)


def _is_channels_last(y: torch.Tensor) -> bool:
    return y.ndim == 4 and not y.is_contiguous() and y.is_contiguous(memory_format=torch.channels_last)
