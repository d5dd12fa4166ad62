"""What happens in the layers of a network while it runs: who is called, with what, for how long."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnn_core.layers import Layer, Sequential
from cnn_core.layers.container import backward_through
from cnn_core.layers.fused import Fused
from cnn_core.layers.together import Together

Shape = tuple[int, ...]


@dataclass
class Call:
    """What happened to one layer in the passes of a network.

    The layer is the copy's. ``x`` and ``dy`` are those of the last pass, kept if the recorder was asked to.
    """

    layer: Layer
    x_shape: Shape
    y_shape: Shape
    itemsize: int
    need_dx: bool
    forward_seconds: list[float]
    backward_seconds: list[float]
    x: np.ndarray | None = None
    dy: np.ndarray | None = None


class Recorder:
    """A copy of a network whose layers write down when they were called.

    Parameters
    ----------
    model : Layer
    training : bool
        Whether to run backward passes, too.
    keep_arrays : bool
        Whether each `Call` keeps its arrays.

    Attributes
    ----------
    calls : list of Call
        One per layer, containers included, in the order in which they finish.
    forward_seconds, backward_seconds : list of float
        Of the whole passes.
    """

    def __init__(self, model: Layer, training: bool, keep_arrays: bool = False) -> None:
        self._training = training
        self._keep_arrays = keep_arrays
        self._model = copy.deepcopy(model)
        self._by_layer: dict[int, Call] = {}
        self._inner: list[float] = []  # of each layer being timed, the seconds spent in layers inside it
        self.calls: list[Call] = []
        self.forward_seconds: list[float] = []
        self.backward_seconds: list[float] = []
        self._watched = _what_runs(self._model)
        for layer in self._watched:
            self._watch(layer)

    def run(self, x: np.ndarray) -> None:
        """One pass, forward and (in training) backward."""
        start = time.perf_counter()
        if not self._training:
            self._model.forward(x)
            self.forward_seconds.append(time.perf_counter() - start)
            return
        y = self._model.forward(x, True)
        self.forward_seconds.append(time.perf_counter() - start)
        dy = np.random.default_rng(0).standard_normal(y.shape).astype(y.dtype)
        start = time.perf_counter()
        backward_through(self._model, dy, False, not self._model.params)
        self.backward_seconds.append(time.perf_counter() - start)

    def forget_times(self) -> None:
        """Begin anew; what the layers are is kept."""
        self.forward_seconds.clear()
        self.backward_seconds.clear()
        for call in self.calls:
            call.forward_seconds.clear()
            call.backward_seconds.clear()

    def unwatched(self) -> Layer:
        """The copy, with its layers as they were."""
        for layer in self._watched:
            del layer.forward, layer.backward
        return self._model

    def _watch(self, layer: Layer) -> None:
        """Put timers into the copy's own attributes, which Python finds before the class's methods."""
        forward, backward = layer.forward, layer.backward

        def timed_forward(x: np.ndarray, training: bool = False) -> np.ndarray:
            y, spent = self._timed(lambda: forward(x, training))
            call = self._by_layer.get(id(layer))
            if call is None:
                call = Call(layer, x.shape, y.shape, x.dtype.itemsize, True, [], [])
                self._by_layer[id(layer)] = call
                self.calls.append(call)
            call.forward_seconds.append(spent)
            if self._keep_arrays:
                call.x = x
            return y

        def timed_backward(dy: np.ndarray, **options: Any) -> Any:
            dx, spent = self._timed(lambda: backward(dy, **options))
            call = self._by_layer[id(layer)]
            call.need_dx = options.get("need_dx", True)
            call.backward_seconds.append(spent)
            if self._keep_arrays:
                call.dy = dy
            return dx

        layer.forward, layer.backward = timed_forward, timed_backward  # type: ignore[method-assign]

    def _timed(self, compute: Callable[[], Any]) -> tuple[Any, float]:
        """The result, and the seconds spent outside of layers inside this one."""
        self._inner.append(0.0)
        start = time.perf_counter()
        try:
            result = compute()
        finally:
            elapsed = time.perf_counter() - start
            inner = self._inner.pop()
            if self._inner:
                self._inner[-1] += elapsed
        return result, elapsed - inner


def _what_runs(model: Layer) -> list[Layer]:
    """The layers of a network; where some of them run together, what they run as."""
    layers = list(model.modules())
    together = [
        step for layer in layers if isinstance(layer, Sequential) for step in layer._steps
        if isinstance(step, Together)
    ]  # fmt: skip
    inside = {id(layer) for step in together for layer in step.layers}
    return [layer for layer in layers if id(layer) not in inside] + together


def kind_of(layer: Layer) -> str:
    """The layer's class; of layers that run as one, theirs."""
    if isinstance(layer, (Fused, Together)):
        return "+".join(map(kind_of, layer.layers))
    return type(layer).__name__
