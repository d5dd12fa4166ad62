"""The base class of all layers: parameters, gradients, and what backward needs from forward."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np

from cnn_core._checks import REAL
from cnn_core._memory import empty, zeros
from cnn_core.layers import _hints
from cnn_core.layers._shapes import Shape, ShapeError, Step, explain
from cnn_core.layers._state import LoadResult, checked_state


def real_dtype(dtype: Any) -> np.dtype:
    """Return ``dtype`` as a numpy.dtype; TypeError unless it is float32 or float64."""
    result = np.dtype(dtype)
    if result not in REAL:
        raise TypeError(f"dtype must be float32 or float64, got {result}")
    return result


class Layer:
    """A function of arrays with state: ``y = forward(x)`` and, after it, ``dx = backward(dy)``.

    A new layer is a subclass with ``forward`` and ``backward``, and with :meth:`output_shape` where the shape
    changes. It calls :meth:`add_param` in its constructor for each trainable array, and in ``forward``
    :meth:`check_input` first and :meth:`remember` last; ``backward`` starts with :meth:`recall` and hands the
    gradients of its parameters to :meth:`store_grads`. Without parameters, ``backward(dy)`` needs no options.

    A layer remembers one forward pass, so one object belongs in one place of one network, and a network that
    trains in one thread. Predictions keep nothing: threads may share a network for them.

    Attributes
    ----------
    params, grads : dict of str to ndarray
        The trainable arrays and the gradients of the last ``backward``: the same keys, and the same arrays
        for the life of the layer. Both are only ever written in place.
    buffers : dict of str to ndarray
        Arrays that are saved with the parameters but not trained, such as running statistics.
    generators : dict of str to numpy.random.Generator
        Sources of randomness used in training.
    name : str
        The place in the network that holds the layer, such as ``"4.body.0"``; error messages use it.
    dtype : numpy.dtype or None
        float32 or float64, the dtype of the parameters and so of the input. ``None`` for a layer without
        parameters, which takes either.
    """

    name: str = ""
    dtype: np.dtype | None = None
    returns_view: bool = False  # whether the output shares the input's memory

    def __init__(self) -> None:
        self.params: dict[str, np.ndarray] = {}
        self.grads: dict[str, np.ndarray] = {}
        self.buffers: dict[str, np.ndarray] = {}
        self.generators: dict[str, np.random.Generator] = {}
        self._saved: tuple[Shape, np.dtype, tuple[Any, ...]] | None = None
        self._checked_shape: Shape | None = None

    # What a layer computes

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        """Return the output for a batch ``x``; with ``training=True``, keep what :meth:`backward` needs."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(x, training=False)")

    def __call__(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.forward(x, training)

    # Returns an array, or None for need_dx=False; a type that said so would make every caller check.
    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        """Return the gradient of the loss for the input, given ``dy``, its gradient for the output.

        Parameters
        ----------
        dy : ndarray, of the shape and dtype of the output
        accumulate : bool
            Add to ``grads`` instead of overwriting them.
        need_dx : bool
            ``False`` lets a layer with parameters skip the gradient for its input and return ``None``.

        Raises
        ------
        RuntimeError
            If the last ``forward`` was not one with ``training=True``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define backward(dy)")

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the output for an input of ``input_shape``, batch included, without any data.

        The base class returns ``input_shape``, which is right for element-wise layers.

        Raises
        ------
        ValueError
            If the layer cannot take that shape, with the layer's name and the numbers.
        """
        return tuple(input_shape)

    def macs(self, input_shape: Shape) -> int:
        """Return the multiply-adds of one forward pass (convolutions and matrix products are counted)."""
        return 0

    # What a subclass builds on

    def add_param(self, name: str, value: np.ndarray) -> None:
        """Register a trainable array, a copy of ``value``, and a gradient of its shape."""
        if value.dtype not in REAL:
            raise TypeError(f"{self.label}: {name} must be float32 or float64, got {value.dtype}")
        self.params[name] = _aligned(value)
        self.grads[name] = zeros(value.shape, value.dtype)
        self.dtype = value.dtype

    def check_input(self, x: np.ndarray) -> None:
        """Raise TypeError or ValueError unless ``forward`` can take ``x``."""
        if type(x) is np.ndarray and x.dtype is self.dtype and x.shape == self._checked_shape:
            return  # as the last one
        if not isinstance(x, np.ndarray):
            hint = _hints.for_type(x, self.dtype)
            raise TypeError(f"{self.label}: expects a numpy array, got {type(x).__name__}{hint}")
        if x.dtype not in REAL:
            hint = _hints.for_type(x, self.dtype)
            raise TypeError(f"{self.label}: expects float32 or float64, got {x.dtype}{hint}")
        if self.dtype is not None and x.dtype != self.dtype:
            raise TypeError(
                f"{self.label}: has {self.dtype} parameters, got a {x.dtype} input; convert the input: "
                f"x.astype(np.{self.dtype}), or the network: model = model.astype(np.{x.dtype})"
            )
        if x.shape != self._checked_shape:
            self.output_shape(x.shape)
            self._checked_shape = x.shape

    def remember(self, training: bool, y: np.ndarray, *values: Any) -> None:
        """Keep ``values`` for the backward pass of the output ``y``; when not training, forget all."""
        self._saved = (y.shape, y.dtype, values) if training else None

    def remember_shape(self, training: bool, shape: Shape, dtype: np.dtype, *values: Any) -> None:
        """The same for an output of this shape and dtype, which need not exist."""
        self._saved = (shape, dtype, values) if training else None

    def recall(self, dy: np.ndarray) -> tuple[Any, ...]:
        """Return the remembered values, once ``dy`` is known to match the remembered output."""
        saved = self._saved
        if type(dy) is np.ndarray and saved is not None and dy.shape == saved[0] and dy.dtype == saved[1]:
            return saved[2]
        if isinstance(dy, np.ndarray):
            return self.recall_shape(dy.shape, dy.dtype)
        return self.recall_shape((), type(dy).__name__)

    def recall_shape(self, shape: Shape, dtype: np.dtype | str) -> tuple[Any, ...]:
        """The same for a gradient of this shape and dtype, which need not exist."""
        if self._saved is None:
            raise RuntimeError(f"{self.label}: backward needs a forward(x, training=True) before it")
        own_shape, own_dtype, values = self._saved
        if isinstance(dtype, str) or dtype != own_dtype:
            raise TypeError(
                f"{self.label}: backward expects a {own_dtype} array like its output, got {dtype}; "
                f"convert the gradient: np.asarray(dy, np.{own_dtype})"
            )
        if shape != own_shape:
            raise ValueError(
                f"{self.label}: backward expects the shape of its output {own_shape}, got {shape}"
            )
        return values

    def store_grads(self, accumulate: bool, **gradients: np.ndarray | None) -> None:
        """Write or add ``gradients`` into :attr:`grads`, except those of parameters that the layer lacks."""
        grads = self.grads
        for name, gradient in gradients.items():
            own = grads.get(name)
            if own is gradient or own is None or gradient is None:  # a function may have written it there
                continue
            if accumulate:
                own += gradient
            else:
                own[...] = gradient

    def expect_rank(self, input_shape: Shape, *layouts: str, channels: int | None = None) -> Shape:
        """Return ``input_shape`` if its rank is that of one of ``layouts``, such as ``"(N, C, H, W)"``.

        ``channels``, the number that the layer expects, helps to guess what is wrong where it is not.
        """
        shape = tuple(input_shape)
        ranks = [layout.count(",") + 1 for layout in layouts]
        if len(shape) in ranks:
            return shape
        message = f"{self.label}: expects a batch {' or '.join(layouts)}, got shape {shape}"
        raise ShapeError(message, of_rank=True, hint=_hints.for_rank(shape, ranks, channels))

    def explain_axis(self, axis: int, input_shape: Shape) -> tuple[str, int | tuple[int, ...] | None]:
        """Say how the layer made ``axis`` of its output, as text for an error message.

        Returns
        -------
        text : str
            What to append, such as ``': MaxPool2d "2" gave 11 = (24 + 2*0 - 3)//2 + 1'``.
        axis : int, tuple of int or None
            The axis of the input to follow further back; several, the channels last, if it was made of
            several; ``None`` where the story ends here.
        """
        return "", axis

    def trace(self, shape: Shape, before: Step | None, steps: list[Step]) -> tuple[Shape, Step | None]:
        """Follow ``shape`` through the layer, append each step, return the output and the last step."""
        try:
            step = Step(self, shape, self.output_shape(shape), before)
        except ShapeError as error:
            raise explain(error, before) from None
        steps.append(step)
        return step.output_shape, step

    # State

    @property
    def label(self) -> str:
        """The class and the place in the network, as error messages name the layer: ``Linear "4"``."""
        return f'{type(self).__name__} "{self.name}"' if self.name else type(self).__name__

    def modules(self) -> Iterator["Layer"]:
        """Yield this layer and, depth first, every layer in it."""
        yield self

    @property
    def num_parameters(self) -> int:
        """The number of trainable values."""
        return sum(value.size for value in self.params.values())

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return parameters and buffers by torch's names: the arrays themselves, not copies."""
        return {**self.params, **self.buffers}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> LoadResult:
        """Copy parameters and buffers from ``state``, which may hold anything that ``numpy.asarray`` takes.

        All names, shapes and dtypes are checked before the first value is written. float16, float32 and
        float64 convert into one another.

        Parameters
        ----------
        state : mapping of str to array
        strict : bool
            Whether missing and unexpected names are errors; if not, they are returned.

        Raises
        ------
        TypeError
            If ``state`` is not a mapping.
        ValueError
            With all problems in one message, each with the tensor's name. Nothing has been changed then.
        """
        own = self.state_dict()
        arrays, result = checked_state(own, state, strict)
        for name, array in arrays.items():
            np.copyto(own[name], array)
        return result

    def rng_state(self) -> dict[str, Any]:
        """Return the state of every random generator by name, so that training can continue where it was."""
        return {name: rng.bit_generator.state for name, rng in self.generators.items()}

    def set_rng_state(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`rng_state` returned.

        Raises
        ------
        ValueError
            If a name is missing or unknown, or a state is not one of that generator. Nothing has been changed
            then.
        """
        if set(state) != set(self.generators):
            raise ValueError(f"random state: expected the names {list(self.generators)}, got {list(state)}")
        for name, rng in self.generators.items():
            try:
                type(rng.bit_generator)(0).state = state[name]
            except (TypeError, ValueError, KeyError) as error:
                raise ValueError(f'random state "{name}": {error!r}') from error
        for name, rng in self.generators.items():
            rng.bit_generator.state = state[name]

    def astype(self, dtype: Any) -> Self:
        """Return a copy of the layer with parameters, gradients and running statistics in ``dtype``."""
        dtype = real_dtype(dtype)
        layer = copy.deepcopy(self)
        layer._convert(dtype)
        return layer

    def _set_name(self, name: str) -> None:
        self.name = name

    def _convert(self, dtype: np.dtype) -> None:
        for arrays in (self.params, self.grads, self.buffers):
            for name, value in arrays.items():
                if value.dtype.kind == "f":
                    arrays[name] = _aligned(value, dtype)
        if self.dtype is not None:
            self.dtype = dtype

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copied parameters begin at a cache line, as they did; numpy's copies would not."""
        for value in self.params.values():
            if id(value) not in memo:
                memo[id(value)] = _aligned(value)
        layer = type(self).__new__(type(self))
        memo[id(self)] = layer
        state = copy.deepcopy(self.__getstate__(), memo)
        if hasattr(layer, "__setstate__"):  # a subclass may have one
            layer.__setstate__(state)
        else:
            layer.__dict__.update(state)
        return layer

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles leave out the activations of the last forward pass."""
        return {**self.__dict__, "_saved": None}

    # Text

    def config(self) -> dict[str, Any]:
        """Return the constructor's arguments by name, without the initial values (``rng``, ``init``)."""
        return {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value}' for key, value in self.config().items())})"


def _aligned(value: np.ndarray, dtype: Any = None) -> np.ndarray:
    """A copy; large ones begin at a cache line, as kernels like it."""
    own = empty(value.shape, value.dtype if dtype is None else dtype)
    own[...] = value
    return own
