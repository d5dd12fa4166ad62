"""docs/writing-a-kernel.md is what these tests build and run: its code cannot rot."""

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from package_builder import install, python, run_its_tests

import cnn_core
from cnn_core import kernel_api, testing
from cnn_core.cli import main

PAGE = Path(__file__).parents[1] / "docs" / "writing-a-kernel.md"
BLOCK = re.compile(r"<!-- file: (\S+?)(?:, (\w+))? -->\n```\w+\n(.*?)```\n", re.DOTALL)


def blocks() -> list[tuple[str, str, str]]:
    """The files of the page: path, the function that is replaced in it (or nothing), and text."""
    if not PAGE.is_file():
        pytest.skip("the documentation is not here")
    return BLOCK.findall(PAGE.read_text())


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """The packages with the first loop of the page and with the second: folder, and where it is installed."""
    folders = {}
    for version in ("first", "fast"):
        folder = tmp_path_factory.mktemp(version)
        assert main(["new-kernel", "maxout", "--dir", str(folder)]) == 0
        package = folder / "maxout"
        for path, function, text in blocks():
            if not function:
                (package / path).write_text(text)
            elif version == "fast":
                whole = (package / path).read_text()
                body = re.search(rf"cdef void {function}\(.*?\n\n\n", whole, re.DOTALL)
                assert body is not None
                (package / path).write_text(whole.replace(body[0], text + "\n\n"))
        if version == "first":  # bugs for the check to find, in a module of their own
            shutil.copy(Path(__file__).parent / "data" / "buggy.pyx", package / "src" / "buggy.pyx")
        folders[version] = package, folder / "site"
    with ThreadPoolExecutor() as pool:  # each build is mostly one process after the other
        sites = pool.map(lambda place: install(*place, ["baseline"]), folders.values())
        return {version: (folders[version][0], site) for version, site in zip(folders, sites, strict=True)}


def test_every_file_that_a_reader_changes_is_on_the_page() -> None:
    assert [path for path, _, _ in blocks()] == [
        "src/maxout/reference.py",
        "src/maxout.pyx",
        "src/maxout/functional.py",
        "src/maxout/layers.py",
        "tests/test_maxout.py",
        "src/maxout/_kernels/maxout.pyi",
        "src/maxout.pyx",
    ]


@pytest.mark.parametrize("version", ["first", "fast"])
def test_the_package_of_the_page_keeps_the_contract(version: str, packages: dict) -> None:
    output = run_its_tests(*packages[version])
    assert "6 passed" in output
    assert output.count("keeps the contract") == 4


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("total, np.sum", "race: ranges in order and ranges backwards, one by one, differ in 1 element"),
        ("shift, lambda x: 2 * x", "out of bounds: 4 bytes after an array"),
        ("skip, lambda x: 2 * x", "1 of 30 elements were never written, the first at (29,)"),
    ],
)
def test_bugs_that_are_compiled_in_are_caught_and_named(call: str, problem: str, packages: dict) -> None:
    package, site = packages["first"]
    code = f"""
import numpy as np
from cnn_core import get_num_threads, testing
from cnn_core.kernel_api import as_real, empty
from maxout._kernels import buggy

def total(x):
    x, y = as_real(x, "x"), np.zeros(1, x.dtype.name)
    if x.size:
        buggy.total(x.reshape(-1), y, get_num_threads())
    return y[0]

def shift(x, kernel=buggy.shift):
    x = as_real(x, "x")
    y = empty(x.shape, x.dtype)
    if x.size:
        kernel(x, y, get_num_threads())
    return y

def skip(x):
    return shift(x, buggy.skip)

cases = [(np.random.default_rng(0).normal(size=size),) for size in (30, 100_000)]
report = testing.check_function({call}, cases, tolerance=1e6, levels=False, roofline=False)
print(report)
"""
    done = python(site, "-c", code, folder=package)
    assert done.returncode == 0, done.stderr
    assert problem in done.stdout, done.stdout


def test_what_the_page_says_about_the_library_is_so() -> None:
    text = PAGE.read_text()
    for name in re.findall(r"cnn_core\.(?:testing|kernel_api)\.(\w+)", text):
        assert hasattr(testing, name) or hasattr(kernel_api, name), name
    header = (Path(cnn_core.get_include()) / "cnn_core" / "kernel_api.h").read_text()
    for name in re.findall(r"\b(?:cnn_[a-z]+_[a-z_]+|CNN_(?:CORE_)?KERNEL\w+)\b", text):
        assert name in header or name in ("cnn_core",), name
