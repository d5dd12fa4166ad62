"""What a prediction of a small batch consists of, kept: kernels with their arguments, checked and bound.

Checks, arrays for results and the way through the layers take some microseconds around each kernel: for one
image half as long as the arithmetic. All of that depends on the input's shape alone. So a network for
prediction that sees a small shape again makes a plan for it, with arrays of the plan's own in between:

    copy the input, kernel(*arguments), kernel(*arguments), ..., copy the output

Threads may predict at once: a thread takes a plan out of the list of those that are free, and puts it back.
One that finds none goes the ordinary way, through the layers, as do the first input of a shape, networks with
layers that this module does not know, and networks that somebody looks into.
"""

from collections.abc import Callable, Iterable
from itertools import repeat
from operator import contains
from typing import Any

import numpy as np

from cnn_core._memory import empty
from cnn_core._threads import get_num_threads
from cnn_core.functional._calls import Call
from cnn_core.functional.activation import prepared_add
from cnn_core.layers._shapes import Shape
from cnn_core.layers.base import Layer
from cnn_core.layers.container import Residual
from cnn_core.layers.fused import Fused
from cnn_core.layers.sequential import Sequential
from cnn_core.layers.together import Together, WithReLU

# Bytes of the input and all results of layers: where there are more, checks take no time beside the kernels.
LARGEST = 1 << 21
# What is kept: so many shapes, those that came last, and of each as many plans as threads use at once, if
# they are no more than these.
SHAPES = 4
PLANS_OF_A_SHAPE = 4

# An attribute of the object that hides its class's method: somebody wants to see the layer run.
_WATCHED = "forward"


class Plans:
    """The plans of one network; copies and pickles of it begin without any.

    Parameters
    ----------
    steps : tuple of Layer
        What the network runs, one after the other.
    """

    def __init__(self, steps: tuple[Layer, ...]) -> None:
        self._steps = steps
        self._kept: dict[Shape, _Kept] = {}

    def predict(self, x: np.ndarray, ordinary: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Return ``ordinary(x)``, by a plan if there is one: the same bits, in a new array."""
        if type(x) is not np.ndarray:
            return ordinary(x)
        kept = self._kept.get(x.shape)
        plan = kept.taken() if kept else None
        if kept is None or plan is None:
            y = ordinary(x)  # if it cannot take x, it says so
            self._prepare_for_more(kept, x)
            return y
        try:
            return plan(x) if plan.takes(x) else ordinary(x)
        finally:
            kept.free.append(plan)

    def _prepare_for_more(self, kept: "_Kept | None", x: np.ndarray) -> None:
        """Note a new shape; make a plan for one that was seen before."""
        if kept is None:
            if x.nbytes <= LARGEST:
                self._kept.setdefault(x.shape, _Kept())
                for shape in list(self._kept)[:-SHAPES]:
                    self._kept.pop(shape, None)
        elif kept.may_make > 0:
            kept.may_make -= 1
            try:
                kept.free.append(Plan(self._steps, x.shape, x.dtype))
            except _WatchedError:
                self._kept.pop(x.shape, None)  # for another time
            except _UnplannableError:
                kept.may_make = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return Plans, (self._steps,)


class _Kept:
    """The plans of one shape. There is no lock, which a fork might leave closed: lists are safe without."""

    def __init__(self) -> None:
        self.free: list[Plan] = []
        self.may_make = PLANS_OF_A_SHAPE

    def taken(self) -> "Plan | None":
        try:
            return self.free.pop()
        except IndexError:
            return None


class _UnplannableError(Exception):
    """A prediction cannot be made a plan of."""


class _WatchedError(_UnplannableError):
    """It cannot now."""


class Plan:
    """One prediction for inputs of one shape, ready to be repeated: by one thread at a time.

    Parameters
    ----------
    steps : iterable of Layer
        What the network runs, one after the other.
    shape, dtype
        Of the input, which the layers are known to take.
    """

    def __init__(self, steps: Iterable[Layer], shape: Shape, dtype: np.dtype) -> None:
        self._calls: list[Call] = []
        self._attributes: list[dict[str, Any]] = []  # of the layers whose forward the plan stands for
        self._nbytes = 0
        self._x = self._counted(empty(shape, dtype))
        self._y = self._all(steps, self._x)
        if not self._calls:
            raise _UnplannableError

    def takes(self, x: np.ndarray) -> bool:
        """Whether the layers would do with ``x`` what the plan does."""
        return x.dtype == self._x.dtype and not any(map(contains, self._attributes, repeat(_WATCHED)))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self._x[...] = x
        n_threads = get_num_threads()
        for kernel, arguments in self._calls:
            kernel(*arguments, n_threads)
        return self._y.copy()

    # Each of these adds the calls that make a layer's output of x, and returns the array where it will be.

    def _all(self, steps: Iterable[Layer], x: np.ndarray) -> np.ndarray:
        for step in steps:
            x = self._one(step, x)
        return x

    def _one(self, layer: Layer, x: np.ndarray) -> np.ndarray:
        self._attributes.append(vars(layer))
        if _WATCHED in vars(layer):
            raise _WatchedError
        if type(layer) is Fused:
            return self._kernel(x, *layer.prepared(x))
        if type(layer) is Sequential:
            return self._all(layer._steps, x)
        if type(layer) is Residual:
            return self._sum(layer, x, relu=False)
        if type(layer) is WithReLU and type(layer.layers[0]) is Residual:
            return self._sum(layer.layers[0], x, relu=True)
        return self._forward(layer, x)

    def _sum(self, layer: Residual, x: np.ndarray, *, relu: bool) -> np.ndarray:
        body = self._one(layer.body, x)
        shortcut = x if layer.shortcut is None else self._one(layer.shortcut, x)
        return self._kernel(body, *prepared_add(body, shortcut, relu))

    def _forward(self, layer: Layer, x: np.ndarray) -> np.ndarray:
        """A layer of the library as it is; those of others might keep the arrays that they get."""
        if not all(type(each).__module__.startswith("cnn_core.layers.") for each in _parts(layer)):
            raise _UnplannableError
        if layer.returns_view:
            y = layer.forward(x)
            if np.may_share_memory(x, y):
                return y
        y = self._counted(empty(layer.output_shape(x.shape), x.dtype))
        self._calls.append((_copy_of, (layer.forward, x, y)))
        return y

    def _kernel(self, x: np.ndarray, y: np.ndarray, call: Call | None) -> np.ndarray:
        """A kernel that has something to do, and reads x itself instead of a padded copy, say."""
        if call is None or not np.may_share_memory(call[1][0], x):
            raise _UnplannableError
        self._calls.append(call)
        return self._counted(y)

    def _counted(self, array: np.ndarray) -> np.ndarray:
        self._nbytes += array.nbytes
        if not 0 < array.nbytes <= self._nbytes <= LARGEST:
            raise _UnplannableError
        return array


def _parts(layer: Layer) -> Iterable[Layer]:
    return layer.layers if isinstance(layer, Together) else layer.modules()


def _copy_of(
    forward: Callable[[np.ndarray], np.ndarray], x: np.ndarray, y: np.ndarray, n_threads: int
) -> None:
    """What stands for a kernel where there is only a layer's forward."""
    np.copyto(y, forward(x))
