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
_BEST_FIRST = ("avx512", "avx2", "baseline")


def modules_in(folder: str) -> list[str]:
    """The names of the compiled modules in a folder; none if there is no such folder."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name.partition(".")[0] for name in names if name.endswith(tuple(EXTENSION_SUFFIXES)))


def available_levels() -> list[str]:
    """The ISA levels that were built and that this CPU runs, best first."""
    supported = [level for level in _BEST_FIRST if runtime.cpu_supports(level)]
    return [level for level in supported if modules_in(os.path.join(_FOLDER, level))]


def usable_levels() -> list[str]:
    """The level in use and those below it: a CPU that runs one runs them, too."""
    return list(_BEST_FIRST[_BEST_FIRST.index(isa_level) :])


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
__path__.append(os.path.join(_FOLDER, isa_level))
