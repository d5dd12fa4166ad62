"""A table of what a network consists of and what it costs."""

import math
from typing import TYPE_CHECKING, NamedTuple

from cnn_core._checks import integer

if TYPE_CHECKING:
    from cnn_core.layers.base import Layer, Shape, Step


class SummaryRow(NamedTuple):
    """One layer: its place, class, output, own parameters, multiply-adds and bytes of output."""

    name: str
    kind: str
    output_shape: "Shape"
    parameters: int
    macs: int
    activation_bytes: int


class Summary(NamedTuple):
    """What :meth:`Sequential.summary` returns; printing it draws the table.

    Attributes
    ----------
    title : str
        The class of the network.
    input_shape : tuple of int
        With the batch.
    rows : tuple of SummaryRow
        In the order of computation. Residual and Concat have a row for what they do after their branches.
    """

    title: str
    input_shape: "Shape"
    rows: tuple[SummaryRow, ...]

    @property
    def parameters(self) -> int:
        """The number of trainable values."""
        return sum(row.parameters for row in self.rows)

    @property
    def macs(self) -> int:
        """Multiply-adds of one forward pass, in convolutions and matrix products."""
        return sum(row.macs for row in self.rows)

    @property
    def activation_bytes(self) -> int:
        """Bytes of all outputs together, about what training keeps between forward and backward."""
        return sum(row.activation_bytes for row in self.rows)

    def __str__(self) -> str:
        head = ("", "layer", "output shape", "parameters", "multiply-adds", "activations")
        cells = [
            (
                row.name,
                row.kind,
                str(row.output_shape),
                *_costs(row.parameters, row.macs, row.activation_bytes),
            )
            for row in self.rows
        ]
        total = ("", "total", "", *_costs(self.parameters, self.macs, self.activation_bytes))
        widths = [max(map(len, column)) for column in zip(head, *cells, total, strict=True)]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        lines = [_line(row, widths) for row in (head, *cells, total)]
        return "\n".join(
            [f"{self.title}, input {self.input_shape}", rule, lines[0], rule, *lines[1:-1], rule, lines[-1]]
        )


def summarize(model: "Layer", input_shape: "Shape") -> Summary:
    """Follow ``input_shape`` (batch included) through ``model`` and count, without any data.

    Raises
    ------
    ValueError
        If a layer cannot take the shape that reaches it.
    """
    input_shape = tuple(integer(size, "summary: input_shape", at_least=0) for size in input_shape)
    steps: list[Step] = []
    model.trace(input_shape, None, steps)
    itemsize = 4 if model.dtype is None else model.dtype.itemsize
    rows = []
    for layer, input_to, output, _ in steps:
        size = 0 if layer.returns_view else math.prod(output) * itemsize
        is_leaf = len(list(layer.modules())) == 1
        costs = (layer.num_parameters, layer.macs(input_to)) if is_leaf else (0, 0)
        rows.append(SummaryRow(layer.name, type(layer).__name__, output, *costs, size))
    return Summary(type(model).__name__, input_shape, tuple(rows))


def _costs(parameters: int, macs: int, size: int) -> tuple[str, str, str]:
    return f"{parameters:,}", f"{macs:,}", _bytes(size)


def _bytes(size: float) -> str:
    """A number of bytes with its unit, in powers of 1000."""
    if size < 1000:
        return f"{size} B"
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 1000:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} GB"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    """Text to the left, numbers to the right."""
    left = [cell.ljust(width) for cell, width in zip(cells[:3], widths[:3], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(cells[3:], widths[3:], strict=True)]
    return "  ".join(left + right).rstrip()
