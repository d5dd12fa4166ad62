"""The table of functions for kernels of other packages: what is built for one release runs on the next."""

import ctypes
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import pytest

import cnn_core
from cnn_core import kernel_api
from cnn_core._kernels import isa_level, runtime, usable_levels

DATA = Path(__file__).parent / "data"
PLUGIN = DATA / "kernel_api_plugin"
RELEASED = sorted(DATA.glob("kernel_api_v*"))  # the header and pxd of each version, as it was released
NOW = Path(cnn_core.get_include())

STANDARDS = [("gcc", "c11"), ("g++", "c++17"), ("clang", "c11"), ("clang++", "c++17")]


def compiler(name: str = "") -> str:
    """The path of a C compiler, by default the one that Python was built with, or any; skips without."""
    names = [name] if name else [(sysconfig.get_config_var("CC") or "cc").split()[0], "cc", "gcc", "clang"]
    for candidate in names:
        if found := shutil.which(candidate):
            return found
    pytest.skip(f"there is no {' or '.join(names)} here")


def compile_module(folder: Path, source: Path, *flags: str) -> Path:
    """Build a module ``plugin`` from one file in C; return its folder."""
    module = folder / f"plugin{EXTENSION_SUFFIXES[0]}"
    command = [compiler(), "-shared", "-fPIC", "-O1", *flags, f"-isystem{sysconfig.get_path('include')}"]
    command += [str(source), "-o", str(module)]
    if sys.platform == "darwin":
        command += ["-undefined", "dynamic_lookup"]
    if os.name == "nt":  # where modules name a DLL, and headers know neither GCC nor which Python it is
        free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
        library = f"-lpython{sysconfig.get_config_var('py_version_nodot')}{'t' * free_threaded}"
        command += ["-DMS_WIN64=", *["-DPy_GIL_DISABLED=1"] * free_threaded]
        command += [f"-L{Path(sys.base_prefix) / 'libs'}", library]
    subprocess.run(command, check=True)
    return folder


def compile_plugin(folder: Path, include: Path, *flags: str) -> Path:
    """Build ``plugin.c`` against a header; return the folder with the module."""
    return compile_module(folder, PLUGIN / "plugin.c", "-Wall", "-Werror", *flags, f"-I{include}")


def run(code: str, *folders: Path) -> subprocess.CompletedProcess:
    """Run code in a new process: a module that is loaded once stays as it is."""
    path = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )


USE = """
import numpy as np, cnn_core, plugin
x = np.random.default_rng(0).normal(size=100_000)
for n_threads in (1, 2, 7):
    y = np.full_like(x, np.nan)
    assert plugin.doubled(x, y, n_threads) is not False
    np.testing.assert_array_equal(y, 2 * x)
"""


# The header


@pytest.mark.parametrize(("name", "standard"), STANDARDS)
@pytest.mark.parametrize("header", ["kernel_api.h", "vector_math.h"])
def test_headers_are_plain_c_and_cpp(name: str, standard: str, header: str, tmp_path: Path) -> None:
    path = compiler(name)
    source = tmp_path / ("a.cpp" if "++" in name else "a.c")
    use = "int main(void) { return cnn_import_kernel_api() || CNN_KERNEL_API_HAS(isa_level); }\n"
    source.write_text(f'#include "cnn_core/{header}"\n' + (use if header == "kernel_api.h" else ""))
    strict = [f"-std={standard}", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
    include = [f"-I{NOW}", f"-isystem{sysconfig.get_path('include')}"]
    done = subprocess.run(
        [path, *strict, *include, "-fsyntax-only", str(source)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def members(header: Path) -> list[str]:
    """The members of the table in their order."""
    text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
    struct = re.search(r"typedef struct \{([^}]*)\} cnn_kernel_api_table;", text)
    assert struct is not None
    return [" ".join(member.split()) for member in struct[1].split(";") if member.strip()]


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.name)
def test_the_table_only_grows_at_its_end(released: Path) -> None:
    old, new = members(released / "cnn_core" / "kernel_api.h"), members(NOW / "cnn_core" / "kernel_api.h")
    assert new[: len(old)] == old
    version = int(released.name.removeprefix("kernel_api_v"))
    assert (version < kernel_api.VERSION) == (len(old) < len(new))
    assert len(RELEASED) == kernel_api.VERSION, "each version has its folder"


# Kernels built against a header that was released


@pytest.mark.parametrize("language", ["c", "c++"])
@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.name)
def test_a_kernel_of_an_earlier_release_runs(released: Path, language: str, tmp_path: Path) -> None:
    folder = compile_plugin(tmp_path, released, "-x", language)
    code = """
cnn_core.set_num_threads(3)
print(plugin.table())
"""
    done = run(USE + code, folder)
    assert done.returncode == 0, done.stderr
    assert eval(done.stdout) == {
        "version": kernel_api.VERSION,
        "size": ctypes.sizeof(ctypes.c_void_p) * (2 + len(members(NOW / "cnn_core" / "kernel_api.h")) - 2),
        "isa_level": isa_level,
        "num_threads": 3,
        "has": 1,
    }


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.name)
def test_a_cython_kernel_of_an_earlier_release_runs(released: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec("Cython") is None:
        pytest.skip("Cython is not installed")
    source = tmp_path / "plugin.c"
    options = ["-3", "-M", "-I", str(released), "-X", "boundscheck=False", "-o", str(source)]
    subprocess.run([sys.executable, "-m", "cython", *options, str(PLUGIN / "plugin.pyx")], check=True)
    dependencies = (tmp_path / "plugin.c.dep").read_text().replace("\\", "/")
    assert f"{released.name}/cnn_core/kernel_api.pxd" in dependencies
    compile_module(tmp_path, source, "-w", f"-I{released}")
    single = USE.replace("size=100_000)", "size=100_000).astype(np.float32)")
    for code in (USE, single):
        done = run(code, tmp_path)
        assert done.returncode == 0, done.stderr


# Tables of another age


def future_header(folder: Path) -> Path:
    """The header of a release to come, with one more function."""
    text = (NOW / "cnn_core" / "kernel_api.h").read_text()
    text = text.replace(
        f"KERNEL_API_VERSION {kernel_api.VERSION}", f"KERNEL_API_VERSION {kernel_api.VERSION + 1}"
    )
    text = text.replace("} cnn_kernel_api_table;", "int (*of_the_future)(void);\n} cnn_kernel_api_table;")
    (folder / "cnn_core").mkdir()
    (folder / "cnn_core" / "kernel_api.h").write_text(text)
    return folder


def test_a_kernel_of_a_later_release_says_what_to_install(tmp_path: Path) -> None:
    done = run(USE, compile_plugin(tmp_path, future_header(tmp_path)))
    assert done.returncode != 0
    assert (
        f"ImportError: this kernel needs version {kernel_api.VERSION + 1} of cnn_core's kernel API, the "
        f"installed cnn_core has version {kernel_api.VERSION}: upgrade it (pip install --upgrade cnn_core), "
        f"or build the kernel again, against the installed one"
    ) in done.stderr


def test_a_kernel_of_a_later_release_may_do_with_less(tmp_path: Path) -> None:
    needed = f"-DCNN_CORE_KERNEL_API_NEEDED={kernel_api.VERSION}"
    folder = compile_plugin(tmp_path, future_header(tmp_path), needed, "-DASK_FOR=of_the_future")
    done = run(USE + "print(plugin.table()['has'])", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n"


# Gives the process a table with other contents, as a library of another age would have it.
PRETEND = """
import ctypes, cnn_core.kernel_api as api
python = ctypes.pythonapi
python.PyCapsule_GetPointer.restype = ctypes.c_void_p
python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
python.PyCapsule_New.restype = ctypes.py_object
python.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

class Head(ctypes.Structure):
    _fields_ = [("version", ctypes.c_int), ("size", ctypes.c_size_t)]

address = python.PyCapsule_GetPointer(api.table, b"cnn_core.kernel_api.table")
size = Head.from_address(address).size
memory = ctypes.create_string_buffer(ctypes.string_at(address, size) + b"\\xff" * 64, size + 64)
head = Head.from_buffer(memory)
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a kernel that was built against the header of today."""
    return compile_plugin(tmp_path_factory.mktemp("plugin"), NOW)


def test_a_newer_and_larger_table_serves(plugin: Path) -> None:
    code = "head.version += 5; head.size += 64; " + NEW_CAPSULE.format("")
    done = run(PRETEND + code + USE + "print(plugin.table()['version'])", plugin)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{kernel_api.VERSION + 5}\n"


def test_a_kernel_that_can_do_without_an_interruption_runs_on_version_1(tmp_path: Path) -> None:
    folder = compile_plugin(tmp_path, NOW, "-DCNN_CORE_KERNEL_API_NEEDED=1", "-DASK_FOR=interruptible_for")
    shorter = "head.version = 1; head.size = ctypes.sizeof(Head) + 5 * ctypes.sizeof(ctypes.c_void_p); "
    done = run(PRETEND + shorter + NEW_CAPSULE.format("") + USE + "print(plugin.table()['has'])", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n"


NEEDS = (
    f"ImportError: this kernel needs version {kernel_api.VERSION} of cnn_core's kernel API, "
    f"the installed cnn_core has version {kernel_api.VERSION - 1}"
)
ANOTHER = "ImportError: the installed cnn_core has another kernel API than the one this kernel was built for"
NEW_CAPSULE = (
    "api.table = python.PyCapsule_New(ctypes.addressof(memory), b'cnn_core.kernel_api.table{}', None)"
)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("head.version -= 1; " + NEW_CAPSULE.format(""), NEEDS),
        (NEW_CAPSULE.format("_2"), ANOTHER),
        ("api.table = None", ANOTHER),
    ],
    ids=["older", "renamed", "none"],
)
def test_a_table_that_cannot_serve_is_an_import_error(code: str, message: str, plugin: Path) -> None:
    done = run(f"{PRETEND}{code}\nimport plugin", plugin)
    assert done.returncode != 0
    assert message in done.stderr


# The Python side


def test_the_include_folder_has_the_header() -> None:
    assert (NOW / "cnn_core" / "kernel_api.h").is_file()
    assert (Path(cnn_core.__file__).parent / "kernel_api.pxd").is_file()
    assert cnn_core.get_include is kernel_api.get_include
    assert kernel_api.VERSION == runtime.KERNEL_API_VERSION


def test_the_folder_of_the_best_level_that_was_built(tmp_path: Path) -> None:
    package = str(tmp_path / "__init__.py")
    with pytest.raises(
        ImportError, match=r"has no compiled kernels for .*baseline: build them with 'pip install \.'"
    ):
        kernel_api.kernel_folder(package)
    for level in reversed(usable_levels()):
        (tmp_path / level).mkdir()
        (tmp_path / level / "notes.txt").touch()
        (tmp_path / level / f"kernel{EXTENSION_SUFFIXES[0]}").touch()
        assert kernel_api.kernel_folder(package) == str(tmp_path / level)
    (tmp_path / "a_level_of_the_future").mkdir()
    assert kernel_api.kernel_folder(package) == str(tmp_path / isa_level)


def test_ranges_may_run_backwards(plugin: Path) -> None:
    code = """
from cnn_core._kernels import runtime
shared = runtime.jobs_shared()
runtime.set_backwards(True)
plugin.doubled(x, y, 1)
np.testing.assert_array_equal(y, 2 * x)
assert runtime.jobs_shared() == shared
plugin.doubled(x, y, 2)
assert runtime.jobs_shared() == shared + 1
"""
    done = run(USE + code, plugin)
    assert done.returncode == 0, done.stderr


def test_arrays_of_the_cache_are_what_functions_return() -> None:
    x = kernel_api.empty((3, 5), np.float32)
    assert x.shape == (3, 5)
    assert x.flags.c_contiguous
    assert kernel_api.as_real(x.T, "x").flags.c_contiguous
