"""Checks around the methods of layers, losses and optimizers, for as long as they are wanted."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from cnn_core.debugging.statistics import NonFiniteError, Statistics, all_finite, check_examples
from cnn_core.layers import Layer, Sequential
from cnn_core.layers.container import Container


@contextmanager
def watch(
    model: Layer, loss: Any = None, optimizer: Any = None, *, where: Callable[[], str] | None = None
) -> Iterator[None]:
    """Raise `NonFiniteError` at the first NaN or infinity in what the model, the loss and the optimizer do.

    Looked at are the input of the model; of each layer its parameters, output, running statistics, input
    gradient and parameter gradients; the targets, the loss and its gradient; after an update the parameters
    and the optimizer's memory. Layers run one by one, also those that run together otherwise. Children of a
    `Container` are watched; what a layer of your own does inside is one step.

    A backward pass belongs to a forward pass on the same side of the ``with``.

    Parameters
    ----------
    model : Layer
    loss : Loss, optional
    optimizer : Optimizer, optional
    where : callable, optional
        ``where()`` is put into the message: the place in the training. By default, the number of the forward
        pass and the learning rate.

    Raises
    ------
    NonFiniteError
        In the ``with``, from the call that made the number.
    TypeError
        If ``model`` is not a `Layer`.
    """
    if not isinstance(model, Layer):
        raise TypeError(f"watch: expects a Layer, got {type(model).__name__}")
    watcher = _Watcher(model, optimizer, where)
    layers = list(model.modules())
    with ExitStack() as undo:
        for layer in layers:
            layer._saved = None  # of a pass in which layers may have run together
            undo.callback(setattr, layer, "_saved", None)
            if isinstance(layer, Sequential):
                undo.callback(layer._run_as, layer._steps)
                layer._run_as(layer.layers)
            _replace(undo, layer, "forward", watcher.forward)
            _replace(undo, layer, "backward", watcher.backward)
        if loss is not None:
            _replace(undo, loss, "forward", watcher.loss_forward)
            _replace(undo, loss, "backward", watcher.loss_backward)
        if optimizer is not None:
            _replace(undo, optimizer, "update", watcher.update)
        yield


class _Replacement:
    """A method and the check around it, as an attribute of the object, where it hides the class's method.

    Copies and pickles of the object get the method alone.
    """

    def __init__(self, owner: Any, name: str, check: Callable[..., Any]) -> None:
        self.__wrapped__ = getattr(owner, name)  # what inspect.signature looks at
        self._owner, self._name, self._check = owner, name, check

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._check(self._owner, self.__wrapped__, *args, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self._owner, self._name)


def _replace(undo: ExitStack, owner: Any, name: str, check: Callable[..., Any]) -> None:
    attributes = vars(owner)
    if name in attributes:  # a watch around this one
        undo.callback(attributes.__setitem__, name, attributes[name])
    else:
        undo.callback(attributes.__delitem__, name)
    attributes[name] = _Replacement(owner, name, check)


_MADE_HERE = (
    "What it was computed from is finite, so it was made here: a result too large for its type (float32 ends "
    "at 3.4e38), or 0/0.\n"
    "Usual causes: a learning rate that is too high (try a tenth, a warm-up or clip_norm), data that are not "
    "scaled to about -1 ... 1, weights that start too large."
)
_LOSS = (
    "Scores and targets are finite, so it was made here: the logarithm of 0, or a square or exponential that "
    "is too large.\n"
    "A loss takes logits (scores before softmax or sigmoid); they grow when the learning rate is too high."
)
_BEFORE = "It was so before the layer ran: look at what was loaded, or at what your own code wrote there."
_HANDED = "It was so when it was handed over: look at what came between, such as your own code or clipping."


class _Watcher:
    """The checks, in the order in which a step comes to them."""

    def __init__(self, model: Layer, optimizer: Any, where: Callable[[], str] | None) -> None:
        self._model = model
        self._optimizer = optimizer
        self._where = where or self._count
        self._passes = 0
        self._inputs: dict[int, np.ndarray] = {}  # of each layer in the last forward pass

    def forward(self, layer: Layer, run: Callable[..., Any], x: Any, *args: Any, **options: Any) -> Any:
        if layer is self._model:
            self._passes += 1
            if isinstance(x, np.ndarray):
                check_examples(x, "the input")
        own = {**_own(layer, "params"), **_own(layer, "buffers")}
        for name, array in own.items():
            self._check(layer, "forward", name, array, {}, _BEFORE)
        self._inputs[id(layer)] = x
        y = run(x, *args, **options)
        self._check(layer, "forward", "input", x, {}, _HANDED)
        self._check(layer, "forward", "output", y, {"input": x, **own}, _MADE_HERE)
        for name, array in _own(layer, "buffers").items():
            around = {"input": x, "output": y, **_own(layer, "params")}
            self._check(layer, "forward", name, array, around, _MADE_HERE)
        return y

    def backward(self, layer: Layer, run: Callable[..., Any], dy: Any, *args: Any, **options: Any) -> Any:
        self._check(layer, "backward", "output gradient", dy, {}, _HANDED)
        dx = run(dy, *args, **options)
        around = {"output gradient": dy, "input": self._inputs.get(id(layer)), **_own(layer, "params")}
        self._check(layer, "backward", "input gradient", dx, around, _MADE_HERE)
        for name, array in _own(layer, "grads").items():
            self._check(layer, "backward", f"gradient of {name}", array, around, _MADE_HERE)
        return dx

    def loss_forward(
        self, loss: Any, run: Callable[..., Any], y: Any, target: Any, *args: Any, **options: Any
    ) -> Any:
        if isinstance(target, np.ndarray):
            check_examples(target, "the targets")
        self._check(loss, "loss", "input", y, {}, _HANDED)
        value = run(y, target, *args, **options)
        self._check(loss, "loss", "value", np.asarray(value), {"input": y, "targets": target}, _LOSS)
        self._inputs[id(loss)] = y
        return value

    def loss_backward(self, loss: Any, run: Callable[..., Any]) -> Any:
        dy = run()
        self._check(loss, "loss", "gradient", dy, {"input": self._inputs.get(id(loss))}, _LOSS)
        return dy

    def update(
        self, optimizer: Any, run: Callable[..., Any], params: Mapping[str, Any], grads: Mapping[str, Any]
    ) -> Any:
        for name, array in grads.items():
            self._check(optimizer, "update", f'gradient of "{name}"', array, {}, _HANDED)
        result = run(params, grads)
        for name, array in params.items():
            memory = dict(getattr(optimizer, "state", {}).get(name, {}))
            around = {"gradient": grads.get(name), **memory}
            self._check(optimizer, "update", f'"{name}"', array, around, _MADE_HERE)
            for slot, value in memory.items():
                around = {"parameter": array, "gradient": grads.get(name)}
                self._check(optimizer, "update", f'{slot} of "{name}"', value, around, _MADE_HERE)
        return result

    def _check(
        self, owner: Any, direction: str, quantity: str, array: Any, around: Mapping[str, Any], advice: str
    ) -> None:
        """Raise if ``array`` is one of floating-point numbers and not all are finite."""
        if not _is_real(array) or all_finite(array):
            return
        arrays = {quantity: array} | {name: other for name, other in around.items() if _is_real(other)}
        statistics = {name: Statistics.of(other) for name, other in arrays.items()}
        label = getattr(owner, "label", repr(owner))
        first = statistics[quantity]
        what = " and ".join(word for word, n in (("NaN", first.nan), ("inf", first.inf)) if n)
        lines = "".join(f"  {name}: {numbers}\n" for name, numbers in statistics.items())
        raise NonFiniteError(
            f"{label}: {quantity} has {what}, {_DIRECTIONS[direction]} ({self._where()})\n{lines}{advice}",
            layer=owner,
            direction=direction,
            quantity=quantity,
            statistics=statistics,
        )

    def _count(self) -> str:
        rate = getattr(self._optimizer, "lr", None)
        return f"forward pass {self._passes}" + ("" if rate is None else f", learning rate {rate:g}")


_DIRECTIONS = {
    "forward": "first seen in the forward pass",
    "loss": "first seen in the loss",
    "backward": "first seen in the backward pass",
    "update": "first seen in the update",
}


def _is_real(array: Any) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind == "f"


def _own(layer: Layer, kind: str) -> dict[str, np.ndarray]:
    """The params, grads or buffers of a layer that are not those of its children."""
    arrays: dict[str, np.ndarray] = getattr(layer, kind)
    if not isinstance(layer, Container):
        return dict(arrays)
    children = {id(array) for child in layer.children.values() for array in getattr(child, kind).values()}
    return {name: array for name, array in arrays.items() if id(array) not in children}
