"""Fixtures that several test files use."""

import importlib
from collections.abc import Iterator
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def torch_twins() -> ModuleType:
    """How torch computes each function; skips the test where torch is not installed."""
    pytest.importorskip("torch", reason="torch, the second oracle, is not installed")
    return importlib.import_module("torch_twins")


@pytest.fixture
def threads() -> Iterator:
    """Return ``set_num_threads``, and restore the number afterwards."""
    from cnn_core._threads import get_num_threads, set_num_threads

    before = get_num_threads()
    yield set_num_threads
    set_num_threads(before)
