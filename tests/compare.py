"""Calling the cases and comparing what comes out."""

from functools import cache
from typing import Any

import numpy as np
from cases import Case
from tolerance import allowed

from cnn_core import functional, reference

Outputs = tuple[np.ndarray, ...]


def call(functions: Any, case: Case, arguments: dict[str, Any]) -> Outputs:
    """Call the case's function in a namespace; return all outputs: results, then arrays updated in place."""
    result = getattr(functions, case.name)(**arguments)
    results = result if isinstance(result, tuple) else (result,)
    updated = [arguments[name] for name in case.row.inout]
    return tuple(np.asarray(output) for output in (*results, *updated) if output is not None)


def compute(case: Case, dtype: Any) -> Outputs:
    """Call the compiled function with the case's plain arguments."""
    return call(functional, case, case.arguments(dtype))


@cache
def expect(case: Case, dtype: Any) -> Outputs:
    """Call the reference; the tests of one case share the result."""
    return call(reference, case, case.arguments(dtype))


@cache
def _bounds(case: Case, dtype: Any) -> Outputs:
    return allowed(case.name, case.arguments(), dtype)


def assert_close(case: Case, dtype: Any, got: Outputs, expected: Outputs, slack: float = 1) -> None:
    """Assert that every output is as close as rounding explains, times ``slack``; inf and NaN must agree."""
    bounds = _bounds(case, dtype)
    assert len(got) == len(expected), f"{len(got)} outputs for {len(expected)}"
    for number, (a, e) in enumerate(zip(got, expected, strict=True)):
        assert a.shape == e.shape, f"output {number} has shape {a.shape}, expected {e.shape}"
        same = (a == e) | (np.isnan(a) & np.isnan(e))
        bound = slack * np.broadcast_to(bounds[number] if np.isfinite(e).any() else 0.0, e.shape)
        with np.errstate(invalid="ignore"):
            wrong = ~(same | (np.abs(a.astype(np.float64) - e) <= bound))
        if wrong.any():
            where = np.unravel_index(np.argmax(wrong), wrong.shape)
            raise AssertionError(
                f"{case} in {np.dtype(dtype)}, output {number}: {wrong.sum()} of {wrong.size} are off, the "
                f"first at {tuple(map(int, where))}: {a[where]!r} is not {e[where]!r} +- {bound[where]:.2g}"
            )


def assert_identical(what: object, got: Outputs, expected: Outputs) -> None:
    """Assert that the outputs have the same dtypes, shapes and bits."""
    assert len(got) == len(expected), f"{len(got)} outputs for {len(expected)}"
    for number, (a, e) in enumerate(zip(got, expected, strict=True)):
        assert a.dtype == e.dtype, f"{what}, output {number}: {a.dtype} is not {e.dtype}"
        np.testing.assert_array_equal(a, e, err_msg=f"{what}, output {number}", strict=True)
        assert a.tobytes() == e.tobytes(), f"{what}, output {number}: differs in the sign of a zero or NaN"
