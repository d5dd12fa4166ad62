"""What can be checked: functions, layers, and models with a loss."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnn_core.gradcheck.compare import Rng, compare, random_weights
from cnn_core.gradcheck.differences import Array
from cnn_core.gradcheck.report import GradientReport


def check_function(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Sequence[np.ndarray],
    *,
    tolerance: float = 1e-6,
    max_coordinates: int = 128,
    rng: Rng = 0,
) -> GradientReport:
    """Check ``backward(dy, *inputs)`` against differences of ``forward(*inputs)``.

    Parameters
    ----------
    forward : callable
        Returns an array or a number, the same one for the same inputs.
    backward : callable
        Returns the gradient of ``sum(dy * forward(*inputs))`` for each input: an array for one input, a tuple
        for several. ``None`` instead of a gradient leaves it unchecked.
    inputs : sequence of ndarray
        Converted to float64. Use `tie_free` where the function has kinks.
    tolerance : float
        Largest relative error.
    max_coordinates : int
        Arrays with at most this many entries are checked along every coordinate, others along directions.
    rng : numpy.random.Generator or int
        Source of ``dy`` and of the directions.

    Raises
    ------
    ValueError
        If ``forward`` gives NaN or infinity, or another value when called again, if a gradient has the wrong
        shape, or if ``tolerance`` is not positive.
    """
    generator = np.random.default_rng(rng)
    values = {f"input {i}": np.array(x, np.float64) for i, x in enumerate(inputs)}

    def evaluate(values: dict[str, Array]) -> Any:
        return forward(*values.values())

    dy = random_weights(np.shape(evaluate(values)), generator)
    result = backward(dy.copy(), *values.values())
    gradients = result if isinstance(result, tuple | list) else (result,)
    if len(gradients) != len(values):
        raise ValueError(f"backward returned {len(gradients)} gradients for {len(values)} inputs")
    subject = getattr(forward, "__name__", type(forward).__name__)
    named = dict(zip(values, gradients, strict=True))
    return compare(subject, values, evaluate, named, dy, tolerance, max_coordinates, generator)


def check_layer(
    layer: Any,
    x: np.ndarray,
    *,
    tolerance: float = 1e-6,
    max_coordinates: int = 128,
    rng: Rng = 0,
) -> GradientReport:
    """Check the gradients that ``layer.backward`` gives for its input and for each of its parameters.

    Every evaluation runs on a fresh copy of the layer in float64: dropout draws the same mask each time, the
    layer's own gradients and running statistics stay as they are, and a float32 layer can be checked too.

    Parameters
    ----------
    layer : Layer
        A layer or a network: anything with ``forward(x, training=True)``, ``backward(dy)``, ``params`` and
        ``grads``.
    x : ndarray
        An input; converted to float64. Use `tie_free` where the layer has kinks.
    tolerance, max_coordinates, rng
        As in `check_function`, whose errors are raised here too.

    Raises
    ------
    TypeError
        If the layer has parameters that are not float64, and no method ``astype``.
    """
    generator = np.random.default_rng(rng)
    original, values = _prepare(layer, x)

    def evaluate(values: dict[str, Array]) -> Any:
        return _load(original, values).forward(values["x"], training=True)

    copied = _load(original, values)
    dy = random_weights(copied.forward(values["x"].copy(), training=True).shape, generator)
    gradients = {"x": copied.backward(dy.copy()), **copied.grads}
    return compare(_title(layer), values, evaluate, gradients, dy, tolerance, max_coordinates, generator)


def check_model(
    model: Any,
    loss: Any,
    x: np.ndarray,
    t: np.ndarray,
    *,
    tolerance: float = 1e-6,
    max_coordinates: int = 128,
    rng: Rng = 0,
) -> GradientReport:
    """Check the gradients of ``loss(model(x), t)`` for the input and for each parameter of the model.

    Parameters
    ----------
    model : Layer
    loss : object with ``forward(y, t) -> float`` and ``backward() -> dy``
    x, t : ndarray
        A batch and its targets; ``x`` is converted to float64, and so are targets that are not integers.
    tolerance, max_coordinates, rng
        As in `check_function`. Model and loss are copied as in `check_layer`, and raise the same errors.
    """
    generator = np.random.default_rng(rng)
    original, values = _prepare(model, x)
    target = np.asarray(t)
    target = target.astype(np.float64) if target.dtype.kind == "f" else target

    def evaluate(values: dict[str, Array]) -> Any:
        y = _load(original, values).forward(values["x"], training=True)
        return copy.deepcopy(loss).forward(y, target)

    copied, own_loss = _load(original, values), copy.deepcopy(loss)
    own_loss.forward(copied.forward(values["x"].copy(), training=True), target)
    gradients = {"x": copied.backward(own_loss.backward()), **copied.grads}
    return compare(
        _title(model), values, evaluate, gradients, np.ones(()), tolerance, max_coordinates, generator
    )


def _title(layer: Any) -> str:
    return str(getattr(layer, "label", type(layer).__name__))


def _prepare(layer: Any, x: np.ndarray) -> tuple[Any, dict[str, Array]]:
    """Return a float64 copy of the layer, and its input and parameters by name."""
    original = layer.astype(np.float64) if hasattr(layer, "astype") else copy.deepcopy(layer)
    for name, value in original.params.items():
        if value.dtype != np.float64:
            raise TypeError(
                f"{_title(layer)}: {name} is {value.dtype}, and gradients are checked in float64: make the "
                f"layer with float64 parameters, or give it a method astype(dtype) that returns a copy"
            )
    return original, {"x": np.array(x, np.float64), **{k: v.copy() for k, v in original.params.items()}}


def _load(original: Any, values: dict[str, Array]) -> Any:
    """Return a copy of the layer with other values of its parameters."""
    copied = copy.deepcopy(original)
    for name, value in copied.params.items():
        value[...] = values[name]
    return copied
