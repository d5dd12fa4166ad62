"""``cnn-core new-kernel``: a package with a kernel and a layer, to begin one's own with."""

import argparse
import builtins
import keyword
import os
import re
import shutil
import sys
from pathlib import Path

import cnn_core

_TEMPLATE = Path(cnn_core.__file__).parent / "templates" / "new-kernel"
_FUNCTION, _LAYER = "my_kernel", "MyKernel"  # as the template has them

# Names that the package, its tools or its C code have for something else.
_TAKEN = {
    "cnn_core", "numpy", "np", "setuptools", "pytest", "src", "tests", "build", "dist", "setup",
    "functional", "layers", "layer", "reference", "kernels", "as_real", "empty", "same_shape",
    "get_num_threads", "kernel_folder", "check_function", "check_layer", "cases", "report", "rng", "x",
    "y", "dx", "dy", "dtype", "shape", "training", "accumulate", "need_dx", "n_threads", "annotations",
    "expected", "self",
    "auto", "char", "const", "double", "enum", "extern", "inline", "long", "register", "restrict",
    "short", "signed", "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void",
    "volatile",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = "docs/writing-a-kernel.md goes on from there."
    parser.add_argument("name", metavar="NAME", help="of the package, its function and its layer")
    help_text = "folder to put the package's folder into (default: this one)"
    parser.add_argument("--dir", type=Path, default=Path(), metavar="DIR", help=help_text)


def run(args: argparse.Namespace) -> int:
    """Write the package."""
    folder = create(args.name, args.dir)
    print(f"{folder}: {args.name}, {args.name}_backward and the layer {_capitals(args.name)}. Next:")
    print(f"  cd {folder}")
    print("  pip install -U cython setuptools pytest")
    print("  pip install --no-build-isolation .")
    print("  pytest")
    return 0


def create(name: str, parent: Path) -> Path:
    """Write a package into a new folder of ``parent``; all of it or, where something fails, nothing.

    Raises
    ------
    ValueError
        If ``name`` cannot be a package's, or there is something of that name.
    OSError
        If ``parent`` is no folder, or cannot be written to.
    """
    _check(name)
    target = parent / name
    if not parent.is_dir():
        raise NotADirectoryError(f"--dir {parent}: is not a folder")
    if os.path.lexists(target):
        raise ValueError(f"{target}: exists; choose another name or --dir")
    unfinished = parent / f".{name}.{os.getpid()}.tmp"
    try:
        for source in template_files():
            path = unfinished / _renamed(str(source.relative_to(_TEMPLATE)), name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_renamed(source.read_text(encoding="utf-8"), name), encoding="utf-8")
        unfinished.rename(target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return target


def template_files() -> list[Path]:
    """The files of the template, without what tools have left beside them."""
    caches = ("__pycache__", ".ruff_cache")
    paths = sorted(path for path in _TEMPLATE.rglob("*") if path.is_file())
    return [path for path in paths if not any(part in caches for part in path.relative_to(_TEMPLATE).parts)]


def _check(name: str) -> None:
    """Raise ValueError unless Python, Cython and the package itself can do with a name."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        fitting = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_0123456789")
        hint = f", such as {fitting}" if fitting else ""
        raise ValueError(f"{name!r}: a name has lower-case letters, digits and underscores{hint}")
    if len(name) > 50:
        raise ValueError(f"{name!r}: a name has up to 50 letters")
    if keyword.iskeyword(name) or hasattr(builtins, name):
        raise ValueError(f"{name!r}: is a word of Python; choose another name")
    if name in _TAKEN or name in sys.stdlib_module_names:
        raise ValueError(f"{name!r}: is the name of something else; choose another one")


def _capitals(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


def _renamed(text: str, name: str) -> str:
    return text.replace(_FUNCTION, name).replace(_LAYER, _capitals(name))
