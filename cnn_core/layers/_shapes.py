"""Shapes on their way through a network, and errors that say where a wrong one was made."""

import math
from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cnn_core.layers.base import Layer

Shape = tuple[int, ...]


class ShapeError(ValueError):
    """A layer cannot take a shape.

    Parameters
    ----------
    message : str
        The layer, what it expects and what it got.
    axis : int, optional
        The axis at fault in the layer's input. A container follows it back through the layers before, and
        adds which of them made it.
    wanted : int, optional
        What the length of this axis should be.
    of_rank : bool
        Whether the number of axes is at fault; a container then looks for the layer that changed it.
    hint : str
        What to do if the input of the network is to blame; left out where it was a layer.
    """

    def __init__(
        self,
        message: str,
        axis: int | None = None,
        *,
        wanted: int | None = None,
        of_rank: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message + hint)
        self.message = message
        self.axis = axis
        self.wanted = wanted
        self.of_rank = of_rank
        self.hint = hint


ShapeError.__module__ = "cnn_core.layers"  # where users import it from, and what a traceback shows


class Step(NamedTuple):
    """One layer that a shape has passed, and the step whose output it took."""

    layer: "Layer"
    input_shape: Shape
    output_shape: Shape
    before: "Step | None"


def explain(error: ShapeError, before: Step | None) -> ShapeError:
    """Return ``error`` with the origin of what is at fault, found by walking back from ``before``."""
    if before is None or not (error.of_rank or error.axis is not None):
        return error
    if error.axis is None:
        text, is_made = _origin_of_rank(before)
    else:
        text, is_made = _origin(error.axis, before, error.wanted)
        if error.axis >= 2:
            text += _sizes(error.axis, before)
    return ShapeError(error.message + text if is_made else error.message + error.hint + text)


def undeclared(error: ShapeError, layers: Iterable["Layer"]) -> ShapeError:
    """Return an error that came though the shape had passed every `output_shape`, with who may be wrong."""
    suspects = [
        layer.label
        for layer in layers
        if type(layer).output_shape.__module__ == "cnn_core.layers.base"  # not defined anew
        and not type(layer).__module__.startswith("cnn_core.")
    ]
    if not suspects or "output_shape" in str(error):
        return error
    who = " or ".join(suspects)
    return ShapeError(f"{error.message}; does {who} change the shape? Then it must define output_shape")


def _origin(axis: int, step: Step, wanted: int | None) -> tuple[str, bool]:
    """How an axis of the output of ``step`` came about, and whether it was a layer that made it."""
    text = ""
    while True:
        reason, following = step.layer.explain_axis(axis, step.input_shape)
        text += reason
        if following is None:
            return text, True
        if step.before is None:
            return f"{text}: the input of the network has shape {step.input_shape}", False
        if not isinstance(following, int):
            if wanted is not None and _channels_are_wrong([step.input_shape[i] for i in following], wanted):
                following = following[::-1]
            origins = [_origin(one, step.before, None) for one in following]
            origin, is_made = next((found for found in origins if found[1]), origins[0])
            return text + origin, is_made
        axis, step = following, step.before


def _channels_are_wrong(lengths: list[int], wanted: int) -> bool:
    """Whether images of these ``lengths``, channels last, come to ``wanted`` values with other channels.

    If another height and width would do, too, it is these that are wrong.
    """
    plane, channels = math.prod(lengths[:-1]), max(1, lengths[-1])
    return wanted % max(1, plane) == 0 and channels * math.isqrt(wanted // channels) ** 2 != wanted


def _origin_of_rank(step: Step) -> tuple[str, bool]:
    """Which layer gave the output of ``step`` its number of axes, if one did."""
    while len(step.input_shape) == len(step.output_shape):
        if step.before is None:
            return "", False
        step = step.before
    return f": {step.layer.label} made {step.output_shape} of {step.input_shape}", True


def _sizes(axis: int, last: Step) -> str:
    """The lengths of an axis on its way through the network, if several layers have changed it."""
    shapes, step = [last.output_shape], last
    while True:
        shapes.append(step.input_shape)
        if step.before is None:
            break
        step = step.before
    sizes = [size for size, _ in groupby(shape[axis] for shape in reversed(shapes) if len(shape) > axis)]
    return f"; on the way: {' -> '.join(map(str, sizes))}" if len(sizes) > 2 else ""
