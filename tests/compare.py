"""Calling a case and comparing its outputs."""

from typing import Any

import numpy as np
from cases import Case
from tolerance import allowed


def call(functions: Any, case: Case, arguments: dict[str, Any]) -> tuple[np.ndarray, ...]:
    """Call the case's function of a namespace; return all outputs: results, then arrays updated in place."""
    result = getattr(functions, case.name)(**arguments)
    results = result if isinstance(result, tuple) else (result,)
    updated = [arguments[name] for name in case.row.inout]
    return tuple(np.asarray(output) for output in (*results, *updated) if output is not None)


def assert_close(
    case: Case, dtype: Any, got: tuple[np.ndarray, ...], expected: tuple[np.ndarray, ...], slack: float = 1
) -> None:
    """Assert that every output is as close as rounding explains, times ``slack``; inf and NaN must agree."""
    bounds = allowed(case.name, case.arguments(), dtype)
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
