"""The base class of layers made of layers, and the two that join branches: Residual and Concat."""

import itertools
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cnn_core._memory import empty
from cnn_core.functional.activation import add
from cnn_core.layers import _hints
from cnn_core.layers._shapes import Shape, ShapeError, Step, explain
from cnn_core.layers.base import Layer


class Container(Layer):
    """A layer made of named layers, its children.

    ``params``, ``grads``, ``buffers`` and ``generators`` hold those of all children, in order, under the
    child's name and a dot: ``"0.weight"``. A subclass passes its children to the constructor and defines
    ``forward``, ``backward`` and ``trace``.

    The children are fixed: what a network is does not change under an optimizer that holds its parameters.
    A layer that is put into a second container afterwards (a slice of a network, say) is shared by both, and
    takes its name from the newer one.

    Raises
    ------
    TypeError
        If a child is not a layer, or the children's dtypes differ.
    ValueError
        If one layer object stands in two places.
    """

    def __init__(self, children: Mapping[str, Layer]) -> None:
        super().__init__()
        for name, child in children.items():
            if not isinstance(child, Layer):
                raise TypeError(f'{self.label}: "{name}" must be a layer, got {_hints.for_no_layer(child)}')
            if not hasattr(child, "params"):
                kind = type(child).__name__
                raise TypeError(f"{kind}: its __init__ must call super().__init__() before anything else")
        self.children = dict(children)
        self._check_places()
        self._check_dtypes()
        self._collect()
        self._set_name("")

    def output_shape(self, input_shape: Shape) -> Shape:
        return self.trace(tuple(input_shape), None, [])[0]

    def macs(self, input_shape: Shape) -> int:
        steps: list[Step] = []
        self.trace(tuple(input_shape), None, steps)
        return sum(
            step.layer.macs(step.input_shape) for step in steps if not isinstance(step.layer, Container)
        )

    def modules(self) -> Iterator[Layer]:
        yield self
        for child in self.children.values():
            yield from child.modules()

    def state_dict(self) -> dict[str, np.ndarray]:
        return {
            f"{name}.{key}": value
            for name, child in self.children.items()
            for key, value in child.state_dict().items()
        }

    def _check_places(self) -> None:
        places: dict[int, str] = {}
        for name, child in self.children.items():
            for layer in child.modules():
                if id(layer) in places:
                    raise ValueError(
                        f'{self.label}: "{places[id(layer)]}" and "{name}" hold the same object; '
                        f"a layer remembers one forward pass, so sharing it is not supported: make two"
                    )
                places[id(layer)] = name

    def _check_dtypes(self) -> None:
        typed = [(name, child.dtype) for name, child in self.children.items() if child.dtype is not None]
        for name, dtype in typed:
            if dtype != typed[0][1]:
                raise TypeError(
                    f'{self.label}: "{typed[0][0]}" has {typed[0][1]} parameters and "{name}" has {dtype}; '
                    f"convert one of them: layer.astype(np.{dtype})"
                )

    def _collect(self) -> None:
        """Gather the children's arrays under their names, always into the same dicts."""
        for kind in ("params", "grads", "buffers", "generators"):
            own = getattr(self, kind)
            own.clear()
            for name, child in self.children.items():
                own.update({f"{name}.{key}": value for key, value in getattr(child, kind).items()})
        self.dtype = next((child.dtype for child in self.children.values() if child.dtype is not None), None)

    def _set_name(self, name: str) -> None:
        self.name = name
        for key, child in self.children.items():
            child._set_name(f"{name}.{key}" if name else key)

    def _convert(self, dtype: np.dtype) -> None:
        for child in self.children.values():
            child._convert(dtype)
        self._collect()

    def __repr__(self) -> str:
        lines = "".join(f"({name}): {child!r}\n" for name, child in self.children.items())
        return (
            f"{type(self).__name__}(\n{textwrap.indent(lines, '  ')})"
            if lines
            else f"{type(self).__name__}()"
        )


def backward_through(child: Layer, dy: np.ndarray, accumulate: bool, need_dx: bool) -> Any:
    """Call ``child.backward``: with options if it has parameters, else only if dx is needed."""
    if child.params:
        return child.backward(dy, accumulate=accumulate, need_dx=need_dx)
    return child.backward(dy) if need_dx else None


class Residual(Container):
    """Add the input of a stack of layers to its output: ``y = body(x) + shortcut(x)``.

    Parameters
    ----------
    body : Layer
    shortcut : Layer, optional
        What brings ``x`` to the shape of ``body(x)``, such as a 1x1 convolution; ``x`` itself by default.

    Notes
    -----
    Parameters are named ``body.*`` and ``shortcut.*``. An activation after the sum is a layer of its own.

    Source: He et al., *Deep residual learning for image recognition*, 2015.
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None) -> None:
        super().__init__({"body": body} if shortcut is None else {"body": body, "shortcut": shortcut})
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        return self.forward_relu(x, training, relu=False)

    def forward_relu(self, x: np.ndarray, training: bool = False, *, relu: bool = True) -> np.ndarray:
        """`forward` and the ReLU after it in one pass over memory; `backward` is that of the sum alone."""
        self.check_input(x)
        y = self.body.forward(x, training)
        skip = x if self.shortcut is None else self.shortcut.forward(x, training)
        y = add(y, skip, relu)
        self.remember(training, y)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        self.recall(dy)
        dx = backward_through(self.body, dy, accumulate, need_dx)
        skip = dy
        if self.shortcut is not None:
            skip = backward_through(self.shortcut, dy, accumulate, need_dx)
        return add(dx, skip) if need_dx else None

    def trace(self, shape: Shape, before: Step | None, steps: list[Step]) -> tuple[Shape, Step | None]:
        output, last = self.body.trace(shape, before, steps)
        skip = shape
        if self.shortcut is not None:
            skip, _ = self.shortcut.trace(shape, before, steps)
        if output != skip:
            source = "the input has" if self.shortcut is None else "the shortcut gives"
            message = f"{self.label}: cannot add, the body gives {output} and {source} {skip}"
            differing = [i for i, (a, b) in enumerate(zip(output, skip, strict=False)) if a != b]
            same_rank = len(output) == len(skip)
            error = ShapeError(message, differing[0] if same_rank else None, of_rank=not same_rank)
            raise ShapeError(f"{explain(error, last)}; {self._remedy(skip, output)}")
        steps.append(Step(self, shape, output, last))
        return output, steps[-1]

    def _remedy(self, shape: Shape, output: Shape) -> str:
        """What makes a sum of ``shape`` and the body's ``output`` possible."""
        if len(shape) != len(output):
            return "keep the number of axes in the body"
        if self.shortcut is not None:
            return "make the shortcut end with the shape of the body"
        if len(shape) != 4:
            return f"add a shortcut, such as Linear({shape[-1]}, {output[-1]})"
        for stride in range(1, 5):
            if output[2:] == tuple(-(-size // stride) for size in shape[2:]):
                conv = f"Conv2d({shape[1]}, {output[1]}, 1" + (f", stride={stride})" if stride > 1 else ")")
                return f"add a shortcut: {conv}"
        return 'keep the size in the body, with padding="same"'


class Concat(Container):
    """Feed one input to several branches and join their outputs along the channels.

    ``y = concatenate([branch(x) for branch in branches], axis=1)``

    Parameters
    ----------
    *branches : Layer
        One or more; their outputs agree on all axes but the second.

    Notes
    -----
    Parameters are named by the branch: ``0.weight``.

    Source: the Inception module of Szegedy et al., *Going deeper with convolutions*, 2014.
    """

    def __init__(self, *branches: Layer) -> None:
        if not branches:
            raise ValueError("Concat: needs at least one branch")
        super().__init__({str(i): branch for i, branch in enumerate(branches)})
        self.branches = branches

    def forward(self, x: np.ndarray, training: bool = False) -> np.ndarray:
        self.check_input(x)
        outputs = [branch.forward(x, training) for branch in self.branches]
        ends = list(itertools.accumulate((output.shape[1] for output in outputs), initial=0))
        first = outputs[0]
        y = empty((first.shape[0], ends[-1], *first.shape[2:]), first.dtype)
        np.concatenate(outputs, axis=1, out=y)
        self.remember(training, y, ends)
        return y

    def backward(self, dy: np.ndarray, *, accumulate: bool = False, need_dx: bool = True) -> Any:
        (ends,) = self.recall(dy)
        gradients = [
            backward_through(branch, dy[:, first:last], accumulate, need_dx)
            for branch, (first, last) in zip(self.branches, itertools.pairwise(ends), strict=True)
        ]
        if not need_dx:
            return None
        dx = empty(gradients[0].shape, dy.dtype)
        np.copyto(dx, gradients[0])
        for gradient in gradients[1:]:
            dx += gradient
        return dx

    def trace(self, shape: Shape, before: Step | None, steps: list[Step]) -> tuple[Shape, Step | None]:
        traced = [branch.trace(shape, before, steps) for branch in self.branches]
        shapes = [output for output, _ in traced]
        first = shapes[0]
        if any(len(other) < 2 or other[:1] + other[2:] != first[:1] + first[2:] for other in shapes):
            listed = ", ".join(f'"{i}" gives {output}' for i, output in enumerate(shapes))
            text = f"{self.label}: branches must agree on all axes but the channels: {listed}"
            raise ShapeError(f"{text}{self._origin(traced)}")
        output = (first[0], sum(other[1] for other in shapes), *first[2:])
        steps.append(Step(self, shape, output, traced[0][1]))
        return output, steps[-1]

    def _origin(self, traced: list[tuple[Shape, Step | None]]) -> str:
        """Who made the branch that is the smallest so, and what to do."""
        if any(len(shape) != 4 for shape, _ in traced):
            return ""
        shape, last = min(traced, key=lambda branch: branch[0][2:])
        axis = next((i for i in (2, 3) if any(other[i] != shape[i] for other, _ in traced)), 2)
        return f'{explain(ShapeError("", axis), last)}; padding="same" keeps the size'

    def explain_axis(self, axis: int, input_shape: Shape) -> tuple[str, int | tuple[int, ...] | None]:
        if axis != 1:
            return "", axis
        channels = [branch.output_shape(input_shape)[1] for branch in self.branches]
        return f": {self.label} gave {sum(channels)} = {' + '.join(map(str, channels))} channels", None
