"""Whatever the geometry, a function either refuses it or agrees with the reference; nothing reads astray.

Hypothesis chooses among small and impossible numbers alike. On a build with bounds checks
(``CNN_CORE_DEBUG=1``) this is a search for accesses outside the arrays.
"""

from typing import Any

import numpy as np
import pytest
from cases import FUNCTIONS, FixedCase
from compare import assert_close, call
from hypothesis import given, settings
from hypothesis import strategies as st

from cnn_core import functional, reference

ROWS = {row.name: row for row in FUNCTIONS}

sizes = st.integers(0, 9)
pairs = st.integers(-1, 4) | st.tuples(st.integers(0, 5), st.integers(0, 5))
images = st.tuples(st.integers(0, 2), st.integers(0, 4), sizes, sizes)
search = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def refused_or_right(name: str, arguments: dict[str, Any]) -> None:
    """Call the function; if it accepts the arguments, compare its outputs with the reference's."""
    case = FixedCase(ROWS[name], arguments)
    try:
        got = call(functional, case, case.arguments(np.float32))
    except (ValueError, TypeError):
        return
    assert_close(case, np.float32, got, call(reference, case, case.arguments(np.float32)))


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape)


@search
@given(
    images,
    st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)),
    pairs,
    pairs | st.sampled_from(["same", "valid"]),
    pairs,
    st.integers(0, 3),
)
def test_convolution(x, weight, stride, padding, dilation, groups) -> None:
    geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    arguments = {"x": numbers(*x), "weight": numbers(*weight), "bias": numbers(weight[0]), **geometry}
    refused_or_right("conv2d", arguments)
    del arguments["bias"]
    try:
        y = functional.conv2d(**arguments)
    except (ValueError, TypeError):
        y = np.zeros((1, 1, 1, 1))
    refused_or_right("conv2d_backward", {"dy": y, **arguments})


@pytest.mark.parametrize("filters", [12, 20, 48])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (7, 4), (4, 18), (26, 27)])
def test_any_number_of_winograds_tiles(filters, height, width, threads) -> None:
    """However many remain for the last register tile, and however threads share them."""
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(filters, 17, 3, 3)), rng.normal(size=filters)
    for n in range(1, 32 if height * width < 100 else 3):
        x = rng.normal(size=(n, 17, height, width))
        refused_or_right("conv2d", {"x": x, "weight": weight, "bias": bias, "padding": 1})
        results = set()
        for n_threads in (1, 2, 3, 8):
            threads(n_threads)
            y = functional.conv2d(*(a.astype(np.float32) for a in (x, weight, bias)), padding=1)
            results.add(y.tobytes())
        assert len(results) == 1, n


@search
@given(images, pairs, pairs, pairs, pairs)
def test_columns(x, kernel_size, stride, padding, dilation) -> None:
    geometry = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
    refused_or_right("im2col", {"x": numbers(*x), **geometry})
    try:
        col = functional.im2col(numbers(*x), **geometry)
    except (ValueError, TypeError):
        col = np.zeros((1, 1))
    refused_or_right("col2im", {"col": col, "x_shape": x, **geometry})


@search
@given(images, pairs, pairs, pairs, pairs, st.booleans())
def test_max_pool(x, kernel_size, stride, padding, dilation, ceil_mode) -> None:
    arguments = {
        "x": numbers(*x),
        "kernel_size": kernel_size,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": ceil_mode,
        "return_indices": True,
    }
    refused_or_right("max_pool2d", arguments)
    try:
        y, indices = functional.max_pool2d(**arguments)
    except (ValueError, TypeError):
        return
    refused_or_right("max_pool2d_backward", {"dy": y, "indices": indices, "x_shape": x})


@search
@given(images, pairs, pairs, pairs, st.booleans(), st.booleans(), st.none() | st.integers(1, 5))
def test_average_pool(x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor) -> None:
    geometry = {
        "kernel_size": kernel_size,
        "stride": stride,
        "padding": padding,
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
        "divisor_override": divisor,
    }
    refused_or_right("avg_pool2d", {"x": numbers(*x), **geometry})
    try:
        y = functional.avg_pool2d(numbers(*x), **geometry)
    except (ValueError, TypeError):
        return
    refused_or_right("avg_pool2d_backward", {"dy": y, "x_shape": x, **geometry})


@search
@given(images, st.integers(-1, 12) | st.tuples(st.none() | sizes, st.none() | sizes))
def test_adaptive_pool(x, output_size) -> None:
    refused_or_right("adaptive_avg_pool2d", {"x": numbers(*x), "output_size": output_size})
    try:
        y = functional.adaptive_avg_pool2d(numbers(*x), output_size)
    except (ValueError, TypeError):
        return
    refused_or_right("adaptive_avg_pool2d_backward", {"dy": y, "x_shape": x})


@search
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=5).map(tuple),
    st.integers(0, 4),
    st.booleans(),
)
def test_batch_norm(x, channels, training) -> None:
    statistics = {"running_mean": numbers(channels), "running_var": numbers(channels) ** 2}
    affine = {"weight": numbers(channels), "bias": numbers(channels)}
    refused_or_right("batch_norm", {"x": numbers(*x), **statistics, **affine, "training": training})


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@search
@given(
    x=st.lists(st.integers(0, 5), min_size=0, max_size=4).map(tuple),
    dim=st.integers(-5, 5),
)
def test_softmax(name: str, x, dim) -> None:
    refused_or_right(name, {"x": np.asarray(numbers(*x)), "dim": dim})


@search
@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=4).map(tuple),
    st.lists(st.integers(-2, 5), min_size=0, max_size=24),
    st.sampled_from(["mean", "sum", "none"]),
    st.sampled_from([0.0, 0.2, 1.0]),
)
def test_cross_entropy(x, labels, reduction, label_smoothing) -> None:
    target = np.resize(np.array([*labels, 0]), (x[0], *x[2:]))
    arguments = {
        "x": numbers(*x),
        "target": target,
        "weight": None,
        "ignore_index": -1,
        "reduction": reduction,
        "label_smoothing": label_smoothing,
    }
    refused_or_right("cross_entropy", arguments)
    refused_or_right("cross_entropy_backward", arguments)


def test_the_search_would_notice() -> None:
    """A wrong output is an error here, not a refusal."""
    case = FixedCase(ROWS["conv2d"], {"x": numbers(1, 2, 5, 5), "weight": numbers(3, 2, 3, 3), "bias": None})
    (y,) = call(functional, case, case.arguments(np.float32))
    assert y.shape == (1, 3, 3, 3)
    with pytest.raises(AssertionError, match="27 of 27 are off"):
        assert_close(case, np.float32, (y + 1,), (y,))
