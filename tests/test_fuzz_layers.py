"""Every public layer on images that nobody chose: what the reference gives, or a clear error.

Shapes, ways to lie in memory, dtypes and numbers of threads are drawn; the layers are the rows of
`object_cases`. A network from three of them is drawn too: whatever of it runs together gives the bits of the
layers one by one.
"""

import copy
import re
from typing import Any

import numpy as np
import pytest
from fuzzing import search
from hypothesis import given, reject
from hypothesis import strategies as st
from object_cases import LAYERS, LayerRow

import cnn_core
from cnn_core.layers import BatchNorm2d, Conv2d, Layer, MaxPool2d, ReLU, Sequential
from cnn_core.testing.layouts import LAYOUTS

DTYPES = st.sampled_from([np.float32, np.float64])
THREADS = st.integers(1, 4)


@st.composite
def shapes(draw: st.DrawFn, like: tuple[int, ...]) -> tuple[int, ...]:
    """Some axes of other lengths, and now and then one more or one less."""
    shape = [draw(st.just(n) | st.integers(0, 11)) for n in like]
    if draw(st.integers(0, 9)) == 0:
        shape = shape[1:] if draw(st.booleans()) else [2, *shape]
    return tuple(shape)


def both_passes(layer: Layer, x: np.ndarray, training: bool) -> list[Any]:
    """Output, gradient and the parameters' gradients."""
    y = layer.forward(x, training)
    if not training:
        return [y]
    dy = np.random.default_rng(1).standard_normal(y.shape).astype(y.dtype)
    return [y, layer.backward(dy), *(gradient.copy() for gradient in layer.grads.values())]


def restarted(layer: Layer) -> Layer:
    """A copy whose generators begin anew."""
    layer = copy.deepcopy(layer)
    for generator in layer.generators.values():
        generator.bit_generator.state = np.random.default_rng(5).bit_generator.state
    return layer


@pytest.mark.parametrize("row", LAYERS, ids=str)
@search(ci=12, rows=2 * len(LAYERS))
@given(st.data())
def test_refused_or_right(row: LayerRow, data: st.DataObject) -> None:
    dtype, layout = data.draw(DTYPES), data.draw(st.sampled_from(list(LAYOUTS)))
    shape, training = data.draw(shapes(row.x_shape)), data.draw(st.booleans())
    numbers = np.random.default_rng(data.draw(st.integers(0, 99))).standard_normal(shape)
    layer, x = row.make(dtype), layout(numbers.astype(dtype))
    if x.dtype != dtype:  # the other order of bytes, which layers refuse
        with pytest.raises(TypeError, match="expects float32 or float64"):
            layer.forward(x, training)
        return
    before = x.copy()
    cnn_core.set_num_threads(1)
    try:
        expected = both_passes(restarted(layer), np.ascontiguousarray(x), training)
    except (TypeError, ValueError) as error:
        cnn_core.set_num_threads(data.draw(THREADS))
        with pytest.raises(type(error), match=re.escape(str(error))):
            both_passes(layer, x, training)
        return
    cnn_core.set_num_threads(data.draw(THREADS))
    results = both_passes(restarted(layer), x, training)
    for one, other in zip(results, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    y = results[0]
    assert y.dtype == dtype
    assert y.shape == layer.output_shape(shape)
    if training:
        assert results[1].shape == shape
    np.testing.assert_array_equal(x, before)
    reference = row.expected(layer, before, training) if x.size else None
    if reference is not None:
        tolerance = 3000 * np.finfo(dtype).eps
        np.testing.assert_allclose(y, reference, rtol=tolerance, atol=tolerance)


@search(ci=60, rows=2)
@given(st.data())
def test_a_network_runs_together_as_one_by_one(data: st.DataObject) -> None:
    dtype, channels = data.draw(DTYPES), data.draw(st.integers(1, 17))
    filters, kernel = data.draw(st.integers(1, 33)), data.draw(st.integers(1, 5))
    conv = Conv2d(
        channels, filters, kernel, padding=data.draw(st.integers(0, 2)), bias=data.draw(st.booleans()),
        stride=data.draw(st.sampled_from([1, 1, 1, 2])), dtype=dtype, rng=0,
    )  # fmt: skip
    pool = MaxPool2d(data.draw(st.sampled_from([2, 2, 2, 3])), ceil_mode=data.draw(st.booleans()))
    others = data.draw(st.permutations([ReLU(), pool, BatchNorm2d(filters, dtype=dtype)]))
    together = Sequential(conv, *others[: data.draw(st.integers(1, 3))])
    size = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    numbers = np.random.default_rng(data.draw(st.integers(0, 99))).standard_normal((2, channels, *size))
    x = (numbers if data.draw(st.booleans()) else np.round(numbers)).astype(dtype)  # many equal maxima
    apart = copy.deepcopy(together)
    apart._run_as(apart.layers)
    cnn_core.set_num_threads(data.draw(THREADS))
    try:
        expected = both_passes(apart, x, True)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            both_passes(together, x, True)
        reject()
    for one, other in zip(both_passes(together, x, True), expected, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(together.forward(x), apart.forward(x))
