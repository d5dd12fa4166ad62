"""Bad input raises a clear error before anything is written; none of it crashes the interpreter."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import FUNCTIONS, Case, Row

from cnn_core import functional

Arguments = dict[str, Any]
Change = dict[str, Any] | Callable[[Arguments], Arguments]

# What a dtype of a floating argument must not be. Only `target` may also hold labels.
WRONG_DTYPES = [
    "int32",
    "int64",
    "uint8",
    "bool",
    "float16",
    "complex64",
    "complex128",
    "object",
    "U3",
    "M8[s]",
]
NOT_ARRAYS = [3.0, "images", [[1.0, 2.0], [3.0, 4.0]], {}]


def good(row: Row) -> Arguments:
    return Case(row, row.sweep[0]).arguments(np.float32)


def floating(row: Row) -> list[str]:
    """Return the names of the arguments that must be arrays of floats."""
    return [k for k, v in good(row).items() if isinstance(v, np.ndarray) and v.dtype == np.float32]


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def refused(row: Row, changes: Arguments, error: type | tuple[type, ...]) -> str:
    """Call the function with some arguments changed; return the message of the error that it must raise."""
    arguments = {**good(row), **changes}
    arrays = {k: v for k, v in arguments.items() if isinstance(v, np.ndarray)}
    before = {k: v.tobytes() for k, v in arrays.items() if v.dtype.kind != "O"}
    with pytest.raises(error) as raised:
        getattr(functional, row.name)(**arguments)
    assert before == {k: arrays[k].tobytes() for k in before}, "an input was written to"
    return str(raised.value)


BY_NAME = {row.name: row for row in FUNCTIONS}
FLOATING = [pytest.param(row, key, id=f"{row.name}-{key}") for row in FUNCTIONS for key in floating(row)]


@pytest.mark.parametrize("dtype", WRONG_DTYPES)
@pytest.mark.parametrize(("row", "key"), FLOATING)
def test_wrong_dtypes(row: Row, key: str, dtype: str) -> None:
    with np.errstate(invalid="ignore"):
        value = np.zeros(good(row)[key].shape).astype(dtype)
    message = refused(row, {key: value}, TypeError)
    assert f"{row.name}: {key}" in message
    assert str(value.dtype) in message


@pytest.mark.parametrize(("row", "key"), FLOATING)
def test_mixed_dtypes(row: Row, key: str) -> None:
    if len(floating(row)) > 1:
        value = good(row)[key].astype(np.float64)
        message = refused(row, {key: value}, TypeError)
        assert row.name in message
        assert "float32" in message
        assert "float64" in message


@pytest.mark.parametrize("value", NOT_ARRAYS, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize(("row", "key"), FLOATING)
def test_not_an_array(row: Row, key: str, value: Any) -> None:
    message = refused(row, {key: value}, TypeError)
    assert f"{row.name}: {key}" in message
    assert type(value).__name__ in message


# Arguments that may have any batch size, or any number of axes, whatever the others are.
FREE = {("conv2d", "x"), ("linear", "x"), ("batch_norm", "x")}


@pytest.mark.parametrize(("row", "key"), FLOATING)
def test_wrong_shapes(row: Row, key: str) -> None:
    """Neither one more entry along the first axis nor two more axes fit the other arguments."""
    if len(floating(row)) > 1 and (row.name, key) not in FREE:
        x = good(row)[key]
        assert row.name in refused(row, {key: np.concatenate([x, x[:1]])}, ValueError)
        assert row.name in refused(row, {key: ones(2, 3, *x.shape)}, ValueError)


NAN = float("nan")
HUGE = 2**40

# function, arguments that differ from the good ones, error, what its message must contain
BAD: list[tuple[str, Arguments, type, tuple[str, ...]]] = [
    ("conv2d", {"stride": 0}, ValueError, ("stride", "0")),
    ("conv2d", {"stride": -1}, ValueError, ("stride", "-1")),
    ("conv2d", {"stride": (1, 0)}, ValueError, ("stride", "0")),
    ("conv2d", {"stride": (1, 2, 3)}, ValueError, ("stride", "(1, 2, 3)")),
    ("conv2d", {"stride": 1.5}, TypeError, ("stride", "1.5")),
    ("conv2d", {"stride": True}, TypeError, ("stride", "True")),
    ("conv2d", {"stride": None}, TypeError, ("stride", "None")),
    ("conv2d", {"stride": HUGE**2}, ValueError, ("stride", str(HUGE**2))),
    ("conv2d", {"padding": -1}, ValueError, ("padding", "-1")),
    ("conv2d", {"padding": NAN}, TypeError, ("padding", "nan")),
    ("conv2d", {"padding": "full"}, ValueError, ("padding", "full")),
    ("conv2d", {"padding": "same", "stride": 2}, ValueError, ("same", "stride")),
    ("conv2d", {"padding": HUGE}, ValueError, ("elements",)),
    ("conv2d", {"dilation": 0}, ValueError, ("dilation", "0")),
    ("conv2d", {"dilation": 4}, ValueError, ("9 = 4*(3 - 1) + 1", "7 + 2*0")),
    ("conv2d", {"dilation": HUGE}, ValueError, ("kernel", "padded input")),
    ("conv2d", {"groups": 0}, ValueError, ("groups", "0")),
    ("conv2d", {"groups": 2}, ValueError, ("groups=2", "3 channels")),
    (
        "conv2d",
        {"groups": 3, "weight": ones(4, 1, 3, 3), "bias": None},
        ValueError,
        ("groups=3", "4 filters"),
    ),
    ("conv2d", {"groups": 1.0}, TypeError, ("groups", "1.0")),
    ("conv2d", {"weight": ones(4, 2, 3, 3)}, ValueError, ("3 channels", "(4, 2, 3, 3)")),
    ("conv2d", {"weight": ones(4, 3, 8, 3)}, ValueError, ("kernel 8", "7 + 2*0")),
    ("conv2d", {"weight": ones(4, 3, 0, 3)}, ValueError, ("kernel", "(0, 3)")),
    ("conv2d", {"bias": ones(5)}, ValueError, ("bias", "(4,)", "(5,)")),
    ("conv2d", {"x": ones(3, 7, 6)}, ValueError, ("x", "(3, 7, 6)")),
    ("conv2d_backward", {"dy": ones(2, 4, 5, 5)}, ValueError, ("dy", "(2, 4, 5, 4)", "(2, 4, 5, 5)")),
    ("conv2d_backward", {"groups": 2}, ValueError, ("groups=2",)),
    ("conv2d_backward", {"stride": 0}, ValueError, ("stride", "0")),
    ("im2col", {"kernel_size": 8}, ValueError, ("kernel 8", "7 + 2*0")),
    ("im2col", {"kernel_size": 0}, ValueError, ("kernel_size", "0")),
    ("im2col", {"padding": HUGE}, ValueError, ("elements",)),
    ("im2col", {"padding": "same"}, TypeError, ("padding", "same")),
    ("col2im", {"x_shape": (2, 3, 7)}, ValueError, ("x_shape", "(2, 3, 7)")),
    ("col2im", {"x_shape": (2, 3, 7, 7)}, ValueError, ("col",)),
    ("col2im", {"x_shape": (2, 3, -7, 6)}, ValueError, ("x_shape", "-7")),
    ("col2im", {"x_shape": (HUGE, HUGE, 7, 6)}, ValueError, ("elements",)),
    ("max_pool2d", {"kernel_size": 8}, ValueError, ("kernel 8", "7 + 2*0")),
    ("max_pool2d", {"kernel_size": 0}, ValueError, ("kernel_size", "0")),
    ("max_pool2d", {"kernel_size": 2, "padding": 2}, ValueError, ("padding 2", "kernel 2")),
    ("max_pool2d", {"stride": 0}, ValueError, ("stride", "0")),
    ("max_pool2d", {"dilation": 0}, ValueError, ("dilation", "0")),
    ("max_pool2d", {"dilation": 7}, ValueError, ("8 = 7*(2 - 1) + 1",)),
    ("max_pool2d_backward", {"indices": np.zeros((2, 3, 3, 4))}, TypeError, ("indices", "float64")),
    ("max_pool2d_backward", {"indices": np.zeros((2, 3, 3, 3), np.int32)}, ValueError, ("indices",)),
    ("max_pool2d_backward", {"indices": np.full((2, 3, 3, 4), 56, np.int32)}, ValueError, ("56",)),
    ("max_pool2d_backward", {"indices": np.full((2, 3, 3, 4), -1, np.int64)}, ValueError, ("-1",)),
    ("max_pool2d_backward", {"indices": np.full((2, 3, 3, 4), 2**32, np.int64)}, ValueError, (str(2**32),)),
    ("max_pool2d_backward", {"x_shape": (2, 3, 7)}, ValueError, ("x_shape", "(2, 3, 7)")),
    ("max_pool2d_backward", {"x_shape": (3, 3, 7, 8)}, ValueError, ("x_shape", "(3, 3)", "(2, 3, 3, 4)")),
    ("avg_pool2d", {"kernel_size": (2, 9)}, ValueError, ("kernel 9", "8 + 2*0")),
    ("avg_pool2d", {"padding": 2}, ValueError, ("padding 2", "kernel 2")),
    ("avg_pool2d", {"divisor_override": 0}, ValueError, ("divisor_override", "0")),
    ("avg_pool2d", {"divisor_override": 0.5}, TypeError, ("divisor_override", "0.5")),
    ("avg_pool2d_backward", {"x_shape": (2, 3, 9, 8)}, ValueError, ("dy", "(2, 3, 4, 4)")),
    ("adaptive_avg_pool2d", {"output_size": -1}, ValueError, ("output_size", "-1")),
    ("adaptive_avg_pool2d", {"output_size": (1, 2, 3)}, ValueError, ("output_size", "(1, 2, 3)")),
    ("adaptive_avg_pool2d", {"output_size": "all"}, TypeError, ("output_size", "all")),
    ("adaptive_avg_pool2d", {"output_size": HUGE}, ValueError, ("elements",)),
    (
        "adaptive_avg_pool2d_backward",
        {"x_shape": (2, 4, 7, 8)},
        ValueError,
        ("x_shape", "(2, 4)", "(2, 3, 1, 1)"),
    ),
    ("batch_norm", {"x": ones(3)}, ValueError, ("x", "(3,)")),
    ("batch_norm", {"weight": ones(4)}, ValueError, ("weight", "(3,)", "(4,)")),
    ("batch_norm", {"running_mean": None, "running_var": None}, ValueError, ("running_mean",)),
    ("batch_norm", {"running_var": None}, ValueError, ("running_var",)),
    ("batch_norm", {"x": ones(1, 3), "training": True}, ValueError, ("more than 1 value", "(1, 3)")),
    ("batch_norm", {"momentum": NAN, "training": True}, ValueError, ("momentum", "nan")),
    ("batch_norm", {"eps": NAN}, ValueError, ("eps", "nan")),
    ("batch_norm", {"eps": -1.0}, ValueError, ("eps", "-1")),
    ("batch_norm_backward", {"mean": ones(4)}, ValueError, ("mean", "(3,)", "(4,)")),
    ("batch_norm_backward", {"dy": ones(4, 3, 5, 7)}, ValueError, ("dy", "(4, 3, 5, 6)", "(4, 3, 5, 7)")),
    ("linear", {"x": ones(4, 6)}, ValueError, ("(3, 5)", "(4, 6)")),
    ("linear", {"x": ones()}, ValueError, ("()",)),
    ("linear", {"bias": ones(1)}, ValueError, ("bias", "(3,)", "(1,)")),
    ("linear_backward", {"dy": ones(4, 4)}, ValueError, ("dy", "(4, 3)", "(4, 4)")),
    ("leaky_relu", {"negative_slope": 10**400}, ValueError, ("negative_slope", "finite")),
    ("leaky_relu", {"negative_slope": NAN}, ValueError, ("negative_slope", "nan")),
    ("leaky_relu", {"negative_slope": "steep"}, TypeError, ("negative_slope", "steep")),
    ("relu_backward", {"dy": ones(5, 4)}, ValueError, ("(4, 5)", "(5, 4)")),
    ("softmax", {"dim": 2}, ValueError, ("dim", "2")),
    ("softmax", {"dim": -3}, ValueError, ("dim", "-3")),
    ("softmax", {"dim": 0.5}, TypeError, ("dim", "0.5")),
    ("softmax", {"x": ones()}, ValueError, ("dim",)),
    ("log_softmax_backward", {"dim": 2}, ValueError, ("dim", "2")),
    ("dropout", {"p": -0.1}, ValueError, ("p", "-0.1")),
    ("dropout", {"p": 1.5}, ValueError, ("p", "1.5")),
    ("dropout", {"p": NAN}, ValueError, ("p", "nan")),
    ("dropout", {"rng": "seed"}, TypeError, ("rng", "seed")),
    ("dropout_backward", {"mask": np.ones((5, 4), bool)}, ValueError, ("mask", "(4, 5)", "(5, 4)")),
    ("dropout_backward", {"mask": np.ones((4, 5))}, TypeError, ("mask", "float64")),
    ("dropout_backward", {"p": NAN}, ValueError, ("p", "nan")),
    ("cross_entropy", {"x": ones(5)}, ValueError, ("x", "(N, C)", "(5,)")),
    ("cross_entropy", {"x": ones()}, ValueError, ("x", "()")),
    ("cross_entropy", {"target": np.array([0, 1, 2, 3, 4, 5])}, ValueError, ("target", "5", "0 ... 4")),
    ("cross_entropy", {"target": np.array([0, 1, -1, 3, 4, 0])}, ValueError, ("target", "-1", "(2,)")),
    ("cross_entropy", {"target": np.array([0, 1, 2**40, 3, 4, 0])}, ValueError, ("target", str(2**40))),
    ("cross_entropy", {"target": np.array([0, 1, 2**63 + 1], np.uint64).repeat(2)}, ValueError, ("target",)),
    ("cross_entropy", {"target": np.zeros(5, int)}, ValueError, ("target", "(6,)", "(5,)")),
    ("cross_entropy", {"target": ones(5, 6)}, ValueError, ("target", "(6, 5)", "(5, 6)")),
    ("cross_entropy", {"target": ones(6)}, TypeError, ("target", "labels", "float32")),
    ("cross_entropy", {"target": ones(6, 5).astype(np.float64)}, TypeError, ("target", "float64")),
    ("cross_entropy", {"target": np.zeros(6, complex)}, TypeError, ("target", "complex128")),
    ("cross_entropy", {"target": np.zeros(6, object)}, TypeError, ("target", "object")),
    ("cross_entropy", {"target": None}, TypeError, ("target",)),
    ("cross_entropy", {"weight": ones(6)}, ValueError, ("weight", "(5,)", "(6,)")),
    ("cross_entropy", {"weight": [1.0] * 5}, TypeError, ("weight", "list")),
    ("cross_entropy", {"label_smoothing": 1.5}, ValueError, ("label_smoothing", "1.5")),
    ("cross_entropy", {"label_smoothing": NAN}, ValueError, ("label_smoothing", "nan")),
    ("cross_entropy", {"reduction": "average"}, ValueError, ("reduction", "average")),
    ("cross_entropy", {"ignore_index": 0.5}, TypeError, ("ignore_index", "0.5")),
    ("cross_entropy_backward", {"target": np.full(6, 5)}, ValueError, ("target", "5")),
    ("cross_entropy_backward", {"reduction": "average"}, ValueError, ("reduction", "average")),
    ("cross_entropy_backward", {"dloss": "big"}, TypeError, ("dloss",)),
    ("cross_entropy_backward", {"dloss": ones(3), "reduction": "none"}, ValueError, ("dloss", "(3,)")),
    ("cross_entropy_with_grad", {"target": np.full(6, 5)}, ValueError, ("target", "5")),
    ("mse_loss", {"reduction": "average"}, ValueError, ("reduction", "average")),
    ("mse_loss", {"target": ones(4, 1)}, ValueError, ("target", "(4, 5)", "(4, 1)")),
    ("mse_loss_backward", {"reduction": None}, ValueError, ("reduction", "None")),
    ("bce_with_logits", {"target": ones(5)}, ValueError, ("target", "(4, 5)", "(5,)")),
    ("bce_with_logits", {"weight": ones(3)}, ValueError, ("weight", "(3,)")),
    ("bce_with_logits", {"pos_weight": ones(4)}, ValueError, ("pos_weight", "(4,)")),
    ("bce_with_logits", {"pos_weight": ones(2, 4, 5)}, ValueError, ("pos_weight", "(2, 4, 5)")),
    ("bce_with_logits_backward", {"reduction": "average"}, ValueError, ("reduction", "average")),
]


@pytest.mark.parametrize(
    ("name", "changes", "error", "parts"),
    [pytest.param(*bad, id=f"{bad[0]}-{','.join(bad[1])}-{i}") for i, bad in enumerate(BAD)],
)
def test_bad_arguments(name: str, changes: Arguments, error: type, parts: tuple[str, ...]) -> None:
    message = refused(BY_NAME[name], changes, error)
    for part in (name, *parts):
        assert part in message, f"{part!r} is missing in: {message}"


def test_every_function_has_bad_arguments_or_a_shape_to_get_wrong() -> None:
    named = {bad[0] for bad in BAD}
    assert all(row.name in named or floating(row) for row in FUNCTIONS)


@pytest.mark.parametrize("key", ["running_mean", "running_var"])
def test_statistics_that_cannot_be_written_are_refused(key: str) -> None:
    value = np.ones(3, np.float32)
    value.flags.writeable = False
    message = refused(BY_NAME["batch_norm"], {key: value, "training": True}, ValueError)
    assert key in message
    assert "writable" in message
    functional.batch_norm(**{**good(BY_NAME["batch_norm"]), key: value})


def test_a_window_that_falls_between_the_pixels_has_no_maximum() -> None:
    """A dilated window can miss the input although it starts inside: every tap lies in the padding."""
    with pytest.raises(ValueError, match="max_pool2d"):
        functional.max_pool2d(ones(1, 1, 4, 4), 2, padding=1, dilation=5)
