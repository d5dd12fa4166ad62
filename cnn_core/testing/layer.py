"""The contract of layers: that of functions for their arithmetic, and that of `Layer` for their state."""

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from cnn_core import gradcheck
from cnn_core.testing.cases import Situation
from cnn_core.testing.compare import differences
from cnn_core.testing.function import finish
from cnn_core.testing.report import Finding, Problem, Report
from cnn_core.testing.rules import judge
from cnn_core.testing.subject import Subject


class _Pass:
    """A new layer's forward and backward pass as one function of its input and the output's gradient."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.factory = factory

    def layer(self, dtype: Any) -> Any:
        return self.factory().astype(dtype)

    call = "layer.forward(x, training=True)"

    def reproduce(self, situation: Situation) -> str:
        """Statements that make a call, given the ``layer_factory`` and ``input_shapes`` of the check."""
        dtype = f'.astype("{situation.dtype}")'
        x = f"cnn_core.gradcheck.tie_free(input_shapes[{situation.number}], rng={situation.number}){dtype}"
        if situation.layout != "plain":
            x = f"cnn_core.testing.layouts.{situation.layout}({x})"
        return f"layer, x = layer_factory(){dtype}, {x}; {situation.set_threads}{self.call}"

    def __call__(self, x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, ...]:
        layer = self.layer(x.dtype.newbyteorder("="))
        y = layer.forward(x, training=True)
        dx = layer.backward(dy)
        return y, dx, *(layer.grads[name].copy() for name in layer.params)


class _Inference(_Pass):
    """A new layer's prediction as a function of its input."""

    call = "layer.forward(x)"

    def __call__(self, x: np.ndarray) -> np.ndarray:  # type: ignore[override]
        y: np.ndarray = self.layer(x.dtype.newbyteorder("=")).forward(x)
        return y


class _Reference(_Inference):
    """What the reference makes of the input and of the parameters of a new layer."""

    def __init__(self, factory: Callable[[], Any], reference: Callable[..., Any]) -> None:
        super().__init__(factory)
        self.reference = reference

    def __call__(self, x: np.ndarray) -> Any:  # type: ignore[override]
        return self.reference(x, **self.layer(np.float64).params)


def check_layer(
    layer_factory: Callable[[], Any],
    input_shapes: Sequence[Sequence[int]],
    *,
    reference: Callable[..., Any] | None = None,
    tolerance: float = 128.0,
    gradient_tolerance: float = 1e-6,
    returns_view: bool | None = None,
    thread_counts: Sequence[int] = (2, 3, 8),
    levels: bool = True,
    roofline: bool = True,
    flops: Callable[..., float] | None = None,
) -> Report:
    """Check that a layer keeps the contract of this library's layers, in float32 and float64.

    Its forward and backward pass keep the rules of functions, and backward agrees with differences. Its state
    is what `cnn_core.Layer` says: ``output_shape`` tells the truth, a prediction keeps nothing for backward,
    gradients are overwritten or added to as asked, parameters change in no pass, copies and pickles work.

    Parameters
    ----------
    layer_factory : callable
        Returns a new layer, with the same parameters every time: a class, or a ``functools.partial``.
    input_shapes : sequence of tuple of int
        Batch included; odd ones, and one large enough to be shared among threads.
    reference : callable, optional
        ``reference(x, **layer.params)`` is the output of a prediction. Without it, float32 is compared with
        float64, which the check of gradients has looked at.
    returns_view : bool, optional
        Whether an output may share memory with the input; by default what the layer's attribute says.
    tolerance, gradient_tolerance, thread_counts, levels, roofline, flops
        As in `cnn_core.testing.check_function`; ``flops`` takes ``x``.

    Returns
    -------
    report : Report
        Its rules are named ``"predict values"`` for a prediction, ``"values"`` for both passes.
    """
    shapes = [tuple(shape) for shape in input_shapes]
    if not shapes:
        raise ValueError("check_layer: needs the shape of an input")
    name = str(layer_factory().label)
    xs = [gradcheck.tie_free(shape, rng=number) for number, shape in enumerate(shapes)]
    both = _Pass(layer_factory)
    cases = [(x, _gradient_for(both, x)) for x in xs]
    is_view = bool(layer_factory().returns_view if returns_view is None else returns_view)
    counts = tuple(thread_counts)
    passes = Subject(name, both, cases, None, tolerance, (), is_view, counts)
    expected = _Reference(layer_factory, reference) if reference else None
    predict = Subject(
        name, _Inference(layer_factory), [(x,) for x in xs], expected, tolerance, (), is_view, counts
    )
    findings = judge(passes) + judge(predict, part="predict")
    findings.append(_gradients(layer_factory, xs, gradient_tolerance))
    findings.append(_state(both, cases))
    timed = Subject(name, both.layer(np.float32).forward, predict.cases)  # without making a layer
    subjects = [predict, passes]
    return finish(name, findings, subjects, levels=levels, roofline=roofline, flops=flops, timed=timed)


def _gradient_for(both: _Pass, x: np.ndarray) -> np.ndarray:
    y = both.layer(np.float64).forward(x)
    return np.random.default_rng(y.size).uniform(0.5, 1.5, y.shape)


def _gradients(factory: Callable[[], Any], xs: Sequence[np.ndarray], tolerance: float) -> Finding:
    """Compare backward with differences of forward."""
    problems, checked = [], 0
    for x in xs:
        if not x.size:
            continue
        try:
            report = gradcheck.check_layer(factory(), x, tolerance=tolerance, max_coordinates=32)
        except Exception as error:
            problems.append(Problem(f"{type(error).__name__}: {error}", f"input {x.shape}"))
            continue
        checked += report.checked
        problems += [
            Problem(f"{array.name}: {array.problem}", f"input {x.shape}, float64")
            for array in report.arrays
            if array.problem
        ]
    note = f"{checked} coordinates and directions"
    return Finding("gradients", tuple(problems), note, checked > 0 or bool(problems))


def _state(both: _Pass, cases: Sequence[tuple[np.ndarray, np.ndarray]]) -> Finding:
    """Look at what a layer keeps, changes and says."""
    problems = []
    for x, dy in cases:
        try:
            problems += [Problem(text, f"input {x.shape}, float64") for text in _state_problems(both, x, dy)]
        except Exception as error:
            problems.append(Problem(f"raised {type(error).__name__}: {error}", f"input {x.shape}, float64"))
    return Finding("state", tuple(problems))


def _state_problems(both: _Pass, x: np.ndarray, dy: np.ndarray) -> Iterator[str]:
    layer = both.layer(np.float64)
    before = {name: value.copy() for name, value in layer.params.items()}
    y = layer.forward(x, training=True)
    if tuple(layer.output_shape(x.shape)) != y.shape:
        yield f"output_shape says {tuple(layer.output_shape(x.shape))}, the output has {y.shape}"
    owned = dict(layer.grads)
    layer.backward(dy)
    grads = {name: value.copy() for name, value in layer.grads.items()}
    for name, value in before.items():
        if not np.array_equal(value, layer.params[name], equal_nan=True):
            yield f"a pass changed the parameter {name}"
        if layer.grads.get(name) is not owned.get(name):
            yield f"grads[{name!r}] is another array after backward: write into it with store_grads"
    if layer.params:
        yield from _options(layer, x, dy, grads)
    layer.forward(x, training=True)
    layer.forward(x)
    try:
        layer.backward(dy)
        yield "backward works after a prediction: forward(x) must keep nothing; call remember(training, ...)"
    except RuntimeError:
        pass
    yield from _copies(layer, x, dy)


def _options(layer: Any, x: np.ndarray, dy: np.ndarray, grads: dict[str, np.ndarray]) -> Iterator[str]:
    """``accumulate`` and ``need_dx`` of layers with parameters."""
    layer.forward(x, training=True)
    layer.backward(dy, accumulate=True)
    for name, gradient in grads.items():
        if not np.allclose(layer.grads[name], 2 * gradient, rtol=1e-12, atol=1e-300, equal_nan=True):
            yield f"backward(dy, accumulate=True) does not add to grads[{name!r}]"
    layer.forward(x, training=True)
    layer.backward(dy, need_dx=False)
    for name, gradient in grads.items():
        if not np.allclose(layer.grads[name], gradient, rtol=1e-12, atol=1e-300, equal_nan=True):
            yield f"backward(dy, need_dx=False) gives another gradient of {name}"


def _copies(layer: Any, x: np.ndarray, dy: np.ndarray) -> Iterator[str]:
    """Copies and pickles, of a layer that has something to remember, compute the same."""
    layer.forward(x, training=True)
    copies = {"a deep copy": copy.deepcopy(layer), "a pickle": pickle.loads(pickle.dumps(layer))}
    expected = layer.forward(x, training=True), layer.backward(dy)
    for kind, twin in copies.items():
        for text in differences((twin.forward(x, training=True), twin.backward(dy)), expected):
            yield f"{kind} computes something else: results {text}"
