"""The contract between kernels and functions: a kernel overwrites every element of its outputs."""

import importlib
import pkgutil
from typing import Any

import numpy as np
import pytest
from cases import CASES, LARGE_CASES, Case
from compare import assert_identical, compute

from cnn_core import _memory, functional


def poisoned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an output full of NaN, or of the largest integer, that no kernel may leave in place."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.full(shape, 0xA5, np.uint8).view(np.bool_)
    return np.full(shape, np.nan if dtype.kind == "f" else np.iinfo(dtype).max, dtype)


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every output that the functions allocate start out poisoned."""
    empty = _memory.empty
    modules = [_memory] + [
        importlib.import_module(f"{functional.__name__}.{module.name}")
        for module in pkgutil.iter_modules(functional.__path__)
    ]
    for module in modules:
        if getattr(module, "empty", None) is empty:
            monkeypatch.setattr(module, "empty", poisoned)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("case", [*CASES, *LARGE_CASES], ids=str)
def test_outputs_are_fully_written(case: Case, dtype: type, request: pytest.FixtureRequest) -> None:
    expected = compute(case, dtype)
    request.getfixturevalue("poison")
    assert_identical(case, compute(case, dtype), expected)


def test_the_poison_is_in_place(poison: None) -> None:
    """Without an output that comes from the allocator, the test above would test nothing."""
    from cnn_core.functional import convolution

    assert np.isnan(convolution.empty((2, 3), np.float32)).all()
    assert _memory.zeros((2, 3), np.float64).sum() == 0
