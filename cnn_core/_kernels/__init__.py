"""The compiled kernels, at the best ISA level that this CPU runs.

The one place that chooses: the CPU is asked first, by code that runs on any CPU, because merely
importing a module compiled for instructions that the CPU lacks ends the process.
``CNN_CORE_ISA=baseline|avx2|avx512`` overrides the choice.

``from cnn_core._kernels import max_pool`` loads and gives the module of the chosen level.
"""

import os
from importlib.machinery import EXTENSION_SUFFIXES

_HOW_TO_BUILD = (
    "cnn_core's compiled kernels are missing: install the package with 'pip install cnn_core', or, in a "
    "checkout, build them with 'pip install -e .' (this needs GCC 12 or later, or Clang). If you did, you "
    "may be importing the checkout instead of the installed package: run Python from another folder."
)

try:
    from cnn_core._kernels import runtime
except ImportError as _error:
    raise ImportError(_HOW_TO_BUILD) from _error

_FOLDER = os.path.dirname(__file__)
# The levels, best first, and the folders where the modules of each are: kernels that AVX-512 does not make
# faster are built for AVX2 alone (setup.py lists them).
_FOLDERS = {"avx512": ("avx512", "avx2"), "avx2": ("avx2",), "baseline": ("baseline",)}


def modules_in(folder: str) -> list[str]:
    """The names of the compiled modules in a folder; none if there is no such folder."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name.partition(".")[0] for name in names if name.endswith(tuple(EXTENSION_SUFFIXES)))


def available_levels() -> list[str]:
    """The ISA levels that were built and that this CPU runs, best first."""
    everything = _modules_of(*_FOLDERS)
    return [
        level
        for level, folders in _FOLDERS.items()
        if runtime.cpu_supports(level) and everything and _modules_of(*folders) == everything
    ]


def usable_levels() -> list[str]:
    """The level in use and those below it: a CPU that runs one runs them, too."""
    levels = list(_FOLDERS)
    return levels[levels.index(isa_level) :]


def _modules_of(*folders: str) -> set[str]:
    return {name for folder in folders for name in modules_in(os.path.join(_FOLDER, folder))}


def _choose_level() -> str:
    available = available_levels()
    if not available:
        raise ImportError(_HOW_TO_BUILD)
    asked = os.environ.get("CNN_CORE_ISA", "").strip().lower()
    if not asked:
        return available[0]
    if asked not in available:
        raise ImportError(f"CNN_CORE_ISA={asked}: this build and CPU offer {', '.join(available)}")
    return asked


isa_level = _choose_level()
runtime.set_isa_level(isa_level)

# Submodules are also looked for where the chosen level is: each is loaded when it is first imported.
__path__.extend(os.path.join(_FOLDER, folder) for folder in _FOLDERS[isa_level])
