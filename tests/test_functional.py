"""Every function of the table: its values, its gradients, its manners."""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from cases import CASES, LARGE_CASES, Case
from compare import assert_close, assert_identical, call, compute, expect

from cnn_core import functional
from cnn_core.gradcheck import check_function
from cnn_core.testing.layouts import LAYOUTS, lay_out

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])

RANDOM = {"dropout"}  # no oracle knows its mask: it has tests of its own below
COMPARABLE = [case for case in CASES if case.name not in RANDOM]
LARGE_COMPARABLE = [case for case in LARGE_CASES if case.name not in RANDOM]
DIFFERENTIABLE = [case for case in CASES if case.row.derivative]


@DTYPES
@pytest.mark.parametrize("case", COMPARABLE, ids=str)
def test_equals_the_reference(case: Case, dtype: type) -> None:
    assert_close(case, dtype, compute(case, dtype), expect(case, dtype))


@DTYPES
@pytest.mark.parametrize("case", [*COMPARABLE, *LARGE_COMPARABLE], ids=str)
def test_equals_torch(case: Case, dtype: type, torch_twins: ModuleType) -> None:
    expected = torch_twins.compute(case.name, case.arguments(dtype))
    assert_close(case, dtype, compute(case, dtype), expected, slack=2)


@pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
def test_gradient(case: Case) -> None:
    forward, backward, inputs = case.row.derivative(functional, case.arguments())
    if all(x.size for x in inputs) and np.isfinite(forward(*inputs)).all():
        check_function(forward, backward, inputs, max_coordinates=16).assert_ok()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_results_are_plain_arrays_of_the_inputs_dtype(case: Case) -> None:
    for dtype in (np.float32, np.float64):
        arguments = case.arguments(dtype)
        result = getattr(functional, case.name)(**arguments)
        for output in result if isinstance(result, tuple) else (result,):
            if isinstance(output, np.ndarray):
                assert output.dtype == dtype or output.dtype.kind in "iub"
                assert output.dtype.isnative
                assert output.flags.c_contiguous
                assert output.flags.writeable
                for key, value in arguments.items():
                    assert not (isinstance(value, np.ndarray) and np.shares_memory(output, value)), key
            else:
                assert output is None or isinstance(output, float | np.floating)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_any_layout_gives_the_same_and_stays_as_it_was(case: Case) -> None:
    plain = compute(case, np.float32)
    for layout in LAYOUTS:
        arguments = lay_out(case.arguments(np.float32), layout, case.row.inout)
        before = {k: v.tobytes() for k, v in arguments.items() if isinstance(v, np.ndarray)}
        assert_identical(f"{case}, {layout.__name__}", call(functional, case, arguments), plain)
        for key, value in before.items():
            if key not in case.row.inout:
                assert value == arguments[key].tobytes(), f"{layout.__name__}: {key} was written to"


@pytest.mark.parametrize("case", [*CASES, *LARGE_CASES], ids=str)
def test_any_number_of_threads_gives_the_same_bits(case: Case, threads: Callable) -> None:
    threads(1)
    alone = compute(case, np.float32)
    for n in (2, 3):
        threads(n)
        assert_identical(f"{case}, {n} threads", compute(case, np.float32), alone)


@pytest.mark.parametrize("case", [case for case in CASES if case.name == "im2col"], ids=str)
def test_col2im_is_the_adjoint_of_im2col(case: Case) -> None:
    """``<im2col(x), c> = <x, col2im(c)>`` for every x and c, so rounding is the only error."""
    arguments = case.arguments()
    x = arguments.pop("x")
    col = functional.im2col(x, **arguments)
    c = np.random.default_rng(0).normal(size=col.shape)
    left, right = (col * c).sum(), (x * functional.col2im(c, x.shape, **arguments)).sum()
    assert abs(left - right) <= 1e-14 * (np.abs(col * c).sum() + 1)


@DTYPES
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolution_keeps_what_is_not_finite_in_its_windows(groups, kernel, value, dtype) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 4, 9, 21)), rng.normal(size=(8, 4 // groups, kernel, kernel))
    x[1, 2, 4, 11] = value
    y = functional.conv2d(x.astype(dtype), w.astype(dtype), padding=kernel // 2, groups=groups)
    seen = np.zeros(y.shape, bool)
    reach = kernel // 2
    group = slice(2 * groups // 4 * 8 // groups, (2 * groups // 4 + 1) * 8 // groups)
    seen[1, group, 4 - reach : 5 + reach, 11 - reach : 12 + reach] = True
    np.testing.assert_array_equal(np.isfinite(y), ~seen)


@pytest.mark.parametrize(
    ("channels", "size", "exact"), [(12, 3, False), (8, 11, True)], ids=["winograd", "direct sum"]
)
def test_a_long_weight_gradient_is_the_sum_of_its_parts(channels, size, exact) -> None:
    """It is added up in rounds, its halves in one."""
    rng = np.random.default_rng(0)
    n = {3: 66, 11: 18}[size]
    x = rng.integers(-1, 2, (n, channels, 128, 128)).astype(np.float32)
    dy = rng.integers(-1, 2, (n, channels, 128, 128)).astype(np.float32)
    weight = np.zeros((channels, channels, size, size), np.float32)

    def gradients(images: slice) -> tuple[np.ndarray, np.ndarray]:
        dx, dweight, dbias = functional.conv2d_backward(
            dy[images], x[images], weight, padding=size // 2, need_dx=False
        )
        assert dx is None
        assert dbias is not None
        return dweight, dbias

    dweight, dbias = gradients(slice(n))
    halves = gradients(slice(n // 2)), gradients(slice(n // 2, n))
    np.testing.assert_array_equal(dbias, dy.sum(axis=(0, 2, 3)))  # of integers: no digit is lost
    # Winograd's transforms have thirds; a sum of that many terms of -1, 0 and 1 is some thousand at most.
    tolerance = 0 if exact else 0.02
    np.testing.assert_allclose(dweight, halves[0][0] + halves[1][0], rtol=0, atol=tolerance)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.93, 1.0])
def test_dropout_drops_a_fraction_and_scales_the_rest(p: float) -> None:
    x = np.random.default_rng(0).normal(size=(200, 300)).astype(np.float32)
    y, mask = functional.dropout(x, p, rng=1, return_mask=True)
    assert abs(np.mean(mask) - (1 - p)) <= 5 * np.sqrt(p * (1 - p) / x.size)
    scaled = x / np.float32(1 - p) if p < 1 else np.zeros_like(x)
    np.testing.assert_allclose(y, np.where(mask, scaled, 0), rtol=1e-6)
    np.testing.assert_array_equal(y, functional.dropout_backward(x, mask, p))


def test_dropout_masks_are_independent_from_entry_to_entry() -> None:
    _, mask = functional.dropout(np.ones((512, 512), np.float32), 0.5, rng=2, return_mask=True)
    centred = np.asarray(mask, float) - np.mean(mask)
    for shift in ((0, 1), (1, 0), (1, 1), (0, 8), (0, 16), (8, 0)):
        correlation = (centred * np.roll(centred, shift, (0, 1))).mean() / 0.25
        assert abs(correlation) < 5 / np.sqrt(mask.size), shift


def test_dropout_follows_its_generator() -> None:
    x = np.ones((50, 60))
    first, second = (functional.dropout(x, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    generator = np.random.default_rng(5)
    np.testing.assert_array_equal(functional.dropout(x, rng=generator), first)
    assert (functional.dropout(x, rng=generator) != first).any()
    assert (functional.dropout(x, rng=6) != first).any()
    assert (functional.dropout(x) != functional.dropout(x)).any()
    np.testing.assert_array_equal(functional.dropout(x, training=False), x)


def test_running_statistics_may_be_views() -> None:
    """Statistics are updated in place, wherever they lie; what lies between stays as it was."""
    x = np.random.default_rng(0).normal(size=(4, 3, 5, 5))
    plain = np.zeros(3), np.ones(3)
    functional.batch_norm(x, *plain, training=True)
    larger = np.zeros(6), np.ones(6)
    functional.batch_norm(x, larger[0][::2], larger[1][::-2], training=True)
    np.testing.assert_array_equal(larger[0][::2], plain[0])
    np.testing.assert_array_equal(larger[1][::-2], plain[1])
    np.testing.assert_array_equal(larger[0][1::2], 0)
    np.testing.assert_array_equal(larger[1][::2], 1)
