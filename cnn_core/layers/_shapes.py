"""Shapes on their way through a network, and errors that say where a wrong one was made."""

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
    """

    def __init__(self, message: str, axis: int | None = None) -> None:
        super().__init__(message)
        self.axis = axis


ShapeError.__module__ = "cnn_core.layers"  # where users import it from, and what a traceback shows


class Step(NamedTuple):
    """One layer that a shape has passed, and the step whose output it took."""

    layer: "Layer"
    input_shape: Shape
    output_shape: Shape
    before: "Step | None"


def explain(error: ShapeError, before: Step | None) -> ShapeError:
    """Return ``error`` with the origin of the axis at fault, found by walking back from ``before``."""
    if error.axis is None or before is None:
        return error
    text, axis, step = "", error.axis, before
    while True:
        reason, next_axis = step.layer.explain_axis(axis, step.input_shape)
        text += reason
        if next_axis is None:
            break
        if step.before is None:
            text += f": the input of the network has shape {step.input_shape}"
            break
        axis, step = next_axis, step.before
    return ShapeError(f"{error}{text}")
