"""The table of cases: one row for every public function.

A row names a function of ``cnn_core.functional`` and the arguments to try it with. From the row alone the
tests derive what the house rules ask for: equal to the reference and to torch, the gradient check, unusual
memory layouts, thread counts, ISA levels, bad input. A new function needs a row here, its twin in
``cnn_core.reference``, its error bound in ``tolerance`` and torch's name for it in ``torch_twins``.

The rows of layers, losses, optimizers and schedules are in ``object_cases``.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import builders as b
import numpy as np
import sweeps as s

from cnn_core import reference


@dataclass(frozen=True)
class Row:
    """A function, a builder of its arguments, and the options to call the builder with.

    ``sweep`` is compared with the slow reference; ``large`` only with torch and with itself on other numbers
    of threads. ``derivative`` makes ``(forward, backward, inputs)`` for the gradient check out of a namespace
    of functions and the arguments. ``inout`` names arguments that the function documents to update in place.
    """

    name: str
    build: b.Build
    sweep: Sequence[s.Options]
    large: Sequence[s.Options]
    derivative: Callable[[Any, b.Arguments], tuple[Callable, Callable, list[np.ndarray]]] | None = None
    inout: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Case:
    """A row with one choice of options."""

    row: Row
    options: s.Options

    @property
    def name(self) -> str:
        return self.row.name

    def __str__(self) -> str:
        text = ",".join(f"{key}={value}".replace(" ", "") for key, value in self.options.items())
        return f"{self.name}-{text or 'plain'}"

    def arguments(self, dtype: Any = np.float64) -> b.Arguments:
        """Build the arguments afresh: the same numbers on every call, rounded to ``dtype``."""
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        return {key: _round(value, dtype) for key, value in self.row.build(rng, **self.options).items()}


def _round(value: Any, dtype: Any) -> Any:
    return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype == np.float64 else value


class FixedCase(Case):
    """A case whose options are the arguments themselves, in float64."""

    def arguments(self, dtype: Any = np.float64) -> dict[str, Any]:
        return {
            key: value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
            for key, value in self.options.items()
        }

    def __str__(self) -> str:
        shapes = {k: v.shape if isinstance(v, np.ndarray) else v for k, v in self.options.items()}
        return f"{self.name}({shapes})"


FUNCTIONS: list[Row] = [
    Row("conv2d", b.conv2d, s.CONVOLUTIONS, s.LARGE_CONVOLUTIONS),
    Row("conv2d_backward", b.conv2d_backward, [*s.CONVOLUTIONS, {"need_dx": False}, {"need_dbias": False}],
        s.LARGE_CONVOLUTIONS, b.conv2d_derivative),
    Row("im2col", b.im2col, s.COLUMNS, s.LARGE_COLUMNS),
    Row("col2im", b.col2im, s.COLUMNS, s.LARGE_COLUMNS),

    Row("max_pool2d", b.max_pool2d,
        [{**pool, "return_indices": wanted} for pool, wanted in product(s.MAX_POOLS, (False, True))],
        [{**pool, "return_indices": True} for pool in s.LARGE_POOLS]),
    Row("max_pool2d_backward", b.max_pool2d_backward,
        [*s.MAX_POOLS, {"kernel_size": 2, "index_dtype": "int64"}], s.LARGE_POOLS, b.max_pool2d_derivative),
    Row("avg_pool2d", b.pool, s.AVERAGE_POOLS, s.LARGE_POOLS),
    Row("avg_pool2d_backward", b.avg_pool2d_backward, s.AVERAGE_POOLS, s.LARGE_POOLS,
        b.avg_pool2d_derivative),
    Row("adaptive_avg_pool2d", b.pool, s.ADAPTIVE_POOLS, s.LARGE_ADAPTIVE_POOLS),
    Row("adaptive_avg_pool2d_backward", b.adaptive_avg_pool2d_backward, s.ADAPTIVE_POOLS,
        s.LARGE_ADAPTIVE_POOLS, b.adaptive_avg_pool2d_derivative),

    Row("batch_norm", b.batch_norm, s.BATCH_NORMS, s.LARGE_NORMS, inout=("running_mean", "running_var")),
    Row("batch_norm_backward", b.batch_norm_backward, s.BATCH_NORM_BACKWARDS, s.LARGE_NORMS,
        b.batch_norm_derivative),

    Row("linear", b.linear, [*s.LINEARS, {"bias": False}], s.LARGE_LINEARS),
    Row("linear_backward", b.linear_backward, [*s.LINEARS, {"need_dx": False}], s.LARGE_LINEARS,
        b.linear_derivative),

    Row("relu", b.activation, [*s.SHAPES, s.EXTREMES], s.LARGE_SHAPES),
    Row("relu_backward", b.from_output(reference.relu), s.SHAPES, s.LARGE_SHAPES,
        b.activation_derivative("relu")),
    Row("leaky_relu", b.activation, [*s.SHAPES, s.EXTREMES, *s.SLOPES], s.LARGE_SHAPES),
    Row("leaky_relu_backward", b.leaky_relu_backward, [*s.SHAPES, *s.SLOPES], s.LARGE_SHAPES,
        b.activation_derivative("leaky_relu", "x")),
    Row("sigmoid", b.activation, [*s.SHAPES, s.EXTREMES], s.LARGE_SHAPES),
    Row("sigmoid_backward", b.from_output(reference.sigmoid), s.SHAPES, s.LARGE_SHAPES,
        b.activation_derivative("sigmoid")),
    Row("tanh", b.activation, [*s.SHAPES, s.EXTREMES], s.LARGE_SHAPES),
    Row("tanh_backward", b.from_output(reference.tanh), s.SHAPES, s.LARGE_SHAPES,
        b.activation_derivative("tanh")),
    Row("softmax", b.elementwise, s.SOFTMAXES, s.LARGE_SHAPES),
    Row("softmax_backward", b.from_output(reference.softmax), s.SOFTMAX_SHAPES, s.LARGE_SHAPES,
        b.activation_derivative("softmax")),
    Row("log_softmax", b.elementwise, s.SOFTMAXES, s.LARGE_SHAPES),
    Row("log_softmax_backward", b.from_output(reference.log_softmax), s.SOFTMAX_SHAPES, s.LARGE_SHAPES,
        b.activation_derivative("log_softmax")),

    Row("dropout", b.dropout, s.DROPOUTS, [{**shape, "seed": 3} for shape in s.LARGE_SHAPES]),
    Row("dropout_backward", b.dropout_backward, s.DROPOUT_BACKWARDS, s.LARGE_SHAPES, b.dropout_derivative),

    Row("cross_entropy", b.cross_entropy, s.CROSS_ENTROPIES, s.LARGE_CROSS_ENTROPIES),
    Row("cross_entropy_backward", b.cross_entropy_backward, s.CROSS_ENTROPY_BACKWARDS,
        s.LARGE_CROSS_ENTROPIES, b.cross_entropy_derivative),
    Row("cross_entropy_with_grad", b.cross_entropy, s.CROSS_ENTROPIES, s.LARGE_CROSS_ENTROPIES),
    Row("mse_loss", b.mse, s.REDUCTIONS, s.LARGE_SHAPES),
    Row("mse_loss_backward", b.mse, s.REDUCTIONS, s.LARGE_SHAPES, b.loss_derivative("mse_loss")),
    Row("bce_with_logits", b.bce, s.BCES, s.LARGE_SHAPES),
    Row("bce_with_logits_backward", b.bce, s.BCES, s.LARGE_SHAPES, b.loss_derivative("bce_with_logits")),
]  # fmt: skip

CASES: list[Case] = [Case(row, options) for row in FUNCTIONS for options in row.sweep]
LARGE_CASES: list[Case] = [Case(row, options) for row in FUNCTIONS for options in row.large]
