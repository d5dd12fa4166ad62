"""Comparing what came out with what should have, in words."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Outputs = tuple[np.ndarray, ...]


def outputs_of(result: Any) -> Outputs:
    """Everything that a function returned, as arrays."""
    results = result if isinstance(result, tuple | list) else (result,)
    return tuple(np.asarray(output) for output in results if output is not None)


def _name(number: int, count: int) -> str:
    return "" if count == 1 else f" of output {number}"


def _first(wrong: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(np.argmax(wrong), wrong.shape))


def _elements(wrong: np.ndarray) -> str:
    count = int(wrong.sum())
    return "1 element" if count == 1 else f"{count} elements"


def unlike(got: Outputs, expected: Outputs) -> str:
    """Say how outputs differ in number, shapes or kinds; empty if they do not."""
    if len(got) != len(expected):
        return f"{len(got)} outputs where the reference has {len(expected)}"
    for number, (a, e) in enumerate(zip(got, expected, strict=True)):
        if a.shape != e.shape:
            return f"shape {a.shape}{_name(number, len(got))} is not {e.shape}"
        if (a.dtype.kind in "fc") != (e.dtype.kind in "fc"):
            return f"dtype {a.dtype}{_name(number, len(got))} where the reference has {e.dtype}"
    return ""


def differences(got: Outputs, expected: Outputs) -> Iterator[str]:
    """Say in which elements two results of the same function differ, bit by bit."""
    if problem := unlike(got, expected):
        yield problem
        return
    for number, (a, e) in enumerate(zip(got, expected, strict=True)):
        if a.dtype != e.dtype:
            yield f"dtype {a.dtype}{_name(number, len(got))} is not {e.dtype}"
            continue
        wrong = _bits(a) != _bits(e)
        if wrong.any():
            where = _first(wrong)
            yield (
                f"differ in {_elements(wrong)}{_name(number, len(got))}, the first at {where}: "
                f"{e[where]!s} and {a[where]!s}"
            )


def _bits(x: np.ndarray) -> np.ndarray:
    """The same elements as integers, so that NaN equals itself and -0 differs from 0."""
    x = np.ascontiguousarray(x).reshape(x.shape)
    return x.view(f"u{x.itemsize}") if x.itemsize in (1, 2, 4, 8) else x


def errors(
    got: Outputs, expected: Outputs, dtype: Any, bounds: Sequence[np.ndarray] | float
) -> Iterator[str]:
    """Say which elements are further from what is expected than rounding explains.

    Parameters
    ----------
    got, expected : tuple of ndarray
        ``expected`` was computed in float64 from the same, rounded inputs.
    dtype : numpy.dtype
        The precision of the computation.
    bounds : sequence of ndarray, or float
        The largest permitted error of each output in units of ``dtype``'s epsilon; or how many of these units
        it may be, relative to ``|expected| + median|expected|``.
    """
    if problem := unlike(got, expected):
        yield problem
        return
    for number, (a, e) in enumerate(zip(got, expected, strict=True)):
        bound = bounds[number] if isinstance(bounds, Sequence) else bounds
        wrong, allowed = wrong_elements(a, e, dtype, bound)
        if wrong.any():
            where = _first(wrong)
            margin = f" +- {allowed[where]:.1g}" if allowed[where] else ""
            yield (
                f"{_elements(wrong)} of {wrong.size}{_name(number, len(got))} are off, the first at {where}: "
                f"{a[where]!s} is not {e[where]!s}{margin}"
            )


def wrong_elements(
    got: np.ndarray, expected: np.ndarray, dtype: Any, bound: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return where an output is wrong, and the errors that were allowed."""
    if got.dtype.kind not in "fc":
        return np.asarray(got != expected), np.zeros(got.shape)
    info = np.finfo(dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        e = expected.astype(np.float64)
        same = (got == e.astype(dtype)) | (np.isnan(got) & np.isnan(e))
        if np.isscalar(bound):
            size = np.abs(e)
            finite = size[np.isfinite(size)]
            bound = bound * (size + (np.median(finite) if finite.size else 0))
        # Below the smallest normal number precision is absolute, and kernels may flush to zero.
        allowed = np.broadcast_to(info.eps * np.asarray(bound, np.float64) + info.tiny, e.shape)
        near = np.isfinite(e) & (np.abs(got.astype(np.float64) - e) <= allowed)
    return np.asarray(~(same | near)), allowed
