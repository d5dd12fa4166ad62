"""Fixtures that several test files use."""

import importlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import cnn_core

# Processes that tests start import the same cnn_core, not the checkout they happen to stand in.
os.environ["PYTHONSAFEPATH"] = "1"
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(Path(cnn_core.__file__).parents[1]), os.environ.get("PYTHONPATH")])
)
# A shell starts what it runs in the background with Ctrl-C ignored, and so would be what tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """One thread for torch: on a busy machine several wait for each other longer than small arrays take."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


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


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short training by the command, for tests that only read it."""
    from cnn_core.cli import main

    folder = tmp_path_factory.mktemp("runs") / "trained"
    assert main(["train", "--epochs", "8", "--no-plot", "--quiet", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be changed."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in trained.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder
