"""PyTorch: each function called by itself, and the same networks, in both memory layouts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch

from cnn_core.bench import _torch_kernels, kernels
from cnn_core.bench import _torch_networks as networks
from cnn_core.bench.cases import LEARNING_RATE
from cnn_core.bench.costs import Cost
from cnn_core.bench.measure import Contender
from cnn_core.bench.peers import Peer
from cnn_core.layers import Layer, Sequential

_LAYOUTS = {"torch NCHW": torch.contiguous_format, "torch NHWC": torch.channels_last}


class Torch(Peer):
    """Eager PyTorch on the CPU."""

    name = "torch"
    package = "torch"

    @contextmanager
    def session(self, threads: int) -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            with torch.no_grad():
                yield
        finally:
            torch.set_num_threads(before)

    def kernel(self, op: str, arguments: dict[str, Any], cost: Cost) -> list[Contender]:
        if op in kernels.OPTIMIZERS:
            optimizers = _torch_kernels.optimizers(op, arguments["params"], arguments["grads"])
            return [Contender(f"torch {variant}", each.step) for variant, each in optimizers.items()]
        has_images = any(isinstance(value, np.ndarray) and value.ndim == 4 for value in arguments.values())
        contenders = []
        for name, layout in self._layouts(has_images).items():
            call = _torch_kernels.twin(op, _tensors(arguments, layout))
            if call is not None:
                contenders.append(Contender(name, call))
        return contenders

    def training_step(self, model: Sequential, x: np.ndarray, target: np.ndarray) -> list[Contender]:
        return self._networks(
            model, x, lambda module, x: networks.training_step(module, x, target, LEARNING_RATE)
        )

    def inference(self, model: Sequential, x: np.ndarray) -> list[Contender]:
        return self._networks(model, x, lambda module, x: partial(module.eval(), x))

    def layer(
        self, layer: Layer, x: np.ndarray, dy: np.ndarray, need_dx: bool
    ) -> tuple[list[Contender], list[Contender]]:
        forward, backward = [], []
        for name, layout in self._layouts(x.ndim == 4).items():
            try:
                module = _module(layer, layout)
            except networks.NoTwinError:
                return [], []
            calls = networks.layer_calls(module, _tensor(x, layout), _tensor(dy, layout), need_dx)
            forward.append(Contender(name, calls[0]))
            if calls[1] is not None:
                backward.append(Contender(name, calls[1]))
        return forward, backward

    def _networks(
        self, model: Sequential, x: np.ndarray, call: Callable[[Any, torch.Tensor], Callable[[], Any]]
    ) -> list[Contender]:
        try:
            return [
                Contender(name, call(_module(model, layout), _tensor(x, layout)))
                for name, layout in self._layouts(x.ndim == 4).items()
            ]
        except networks.NoTwinError:
            return []

    def _layouts(self, has_images: bool) -> dict[str, Any]:
        return _LAYOUTS if has_images else {"torch": torch.contiguous_format}


def _module(layer: Layer, layout: Any) -> Any:
    module: Any = networks.module_of(layer)
    return module.to(memory_format=layout)


def _tensors(arguments: dict[str, Any], layout: Any) -> dict[str, Any]:
    return {
        key: _tensor(value, layout) if isinstance(value, np.ndarray) else value
        for key, value in arguments.items()
    }


def _tensor(array: np.ndarray, layout: Any) -> torch.Tensor:
    """A copy of an array in torch's memory; images in the given layout, indices as torch has them."""
    tensor = torch.from_numpy(array)
    if not tensor.is_floating_point() and tensor.dtype != torch.bool:
        tensor = tensor.long()
    return tensor.clone(memory_format=layout if tensor.ndim == 4 else torch.contiguous_format)
