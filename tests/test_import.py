"""Importing the package: names are imported when they are first used, and a broken build says so."""

import ast
import importlib
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cnn_core

PACKAGE = Path(cnn_core.__file__).parent
LAZY = ["cnn_core", "cnn_core.functional", "cnn_core.layers", "cnn_core.optim", "cnn_core.optim.schedules"]

# What the import must not cost: the greater part of its time, once, and more than it takes itself.
HEAVY = {
    "argparse", "asyncio", "concurrent.futures", "dataclasses", "hashlib", "inspect", "logging", "matplotlib",
    "multiprocessing", "numpy.random", "numpy.typing", "pathlib", "safetensors", "secrets", "tempfile",
    "tqdm", "urllib.request",
}  # fmt: skip


def python(code: str, folder: Path = PACKAGE.parent, **options: object) -> subprocess.CompletedProcess:
    """Run code in a new process that imports the package from ``folder``."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        timeout=120,
        **options,
    )


def test_the_import_loads_little() -> None:
    code = """
import sys, numpy
from importlib.machinery import ExtensionFileLoader
before = set(sys.modules)
import cnn_core
new = set(sys.modules) - before
specs = [sys.modules[name].__spec__ for name in new]
compiled = {spec.name for spec in specs if spec and isinstance(spec.loader, ExtensionFileLoader)}
print(*sorted(new)); print(*sorted(compiled))
"""
    result = python(code, text=True)
    assert result.returncode == 0, result.stderr
    new, compiled = (set(line.split()) for line in result.stdout.splitlines())
    assert new & HEAVY == set()
    assert compiled <= {"cnn_core._kernels.runtime", "cnn_core._kernels._cython_shared"}
    assert len([name for name in new if name.startswith("cnn_core")]) <= 8


def test_a_function_loads_its_own_kernels_alone() -> None:
    code = """
import sys, numpy, cnn_core
cnn_core.functional.max_pool2d(numpy.ones((1, 1, 4, 4)), 2)
print(sorted(n for n in sys.modules if n.startswith("cnn_core._kernels.") and n.count(".") == 2))
"""
    loaded = ast.literal_eval(python(code, text=True).stdout)
    assert set(loaded) - {"cnn_core._kernels.runtime", "cnn_core._kernels._cython_shared"} == {
        "cnn_core._kernels.avg_pool",
        "cnn_core._kernels.max_pool",
    }


def test_every_name_is_there_for_a_star_import_and_for_dir() -> None:
    code = """
import cnn_core
names = set(cnn_core.__all__)
assert set(dir(cnn_core)) == names
from cnn_core import *
assert names <= set(globals()), names - set(globals())
assert layers.Conv2d is Conv2d is cnn_core.Conv2d
assert callable(functional.dropout) and callable(functional.linear)
assert optim.schedules.Cosine.__name__ == "Cosine"
"""
    result = python(code, text=True)
    assert result.returncode == 0, result.stderr


def test_threads_may_ask_for_a_name_at_once() -> None:
    code = """
import threading, cnn_core
def work():
    start.wait()
    found.append((cnn_core.Conv2d, cnn_core.functional.linear, cnn_core.optim.Adam))
start, found = threading.Barrier(8), []
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 8 and len(set(found)) == 1, found
"""
    result = python(code, text=True)
    assert result.returncode == 0, result.stderr


def test_a_pickle_is_read_where_nothing_was_used_yet() -> None:
    model = cnn_core.Sequential(cnn_core.Conv2d(1, 2, 3, rng=0), cnn_core.ReLU(), cnn_core.Dropout(rng=0))
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)); assert 'numpy.random' in sys.modules"
    result = python(code, input=pickle.dumps(model))
    assert result.returncode == 0, result.stderr
    assert result.stdout.decode().splitlines() == str(model).splitlines()


def test_missing_kernels_are_told_at_import(tmp_path: Path) -> None:
    shutil.copytree(
        PACKAGE, tmp_path / "cnn_core", ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__")
    )
    result = python("import cnn_core", tmp_path, text=True)
    assert result.returncode != 0
    assert "ImportError: cnn_core's compiled kernels are missing" in result.stderr
    assert "pip install -e ." in result.stderr


@pytest.mark.parametrize("name", LAZY)
def test_type_checkers_see_the_names_that_there_are(name: str) -> None:
    module = importlib.import_module(name)
    path = Path(module.__file__)
    body = ast.parse(path.read_text()).body
    checked = {
        alias.name
        for block in body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        for alias in node.names
    }
    if name == "cnn_core":
        assert "*" in checked
        checked = checked - {"*"} | {"__version__", "layers", *cnn_core.layers.__all__}
    assert checked == set(module.__all__)
    for attribute in module.__all__:
        value = getattr(module, attribute)
        is_submodule = value is sys.modules.get(f"{name}.{attribute}")
        assert is_submodule or not list(path.parent.glob(f"{attribute}.py")), (
            f"{attribute} is a submodule too"
        )
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nonsense'"):
        module.nonsense  # noqa: B018
