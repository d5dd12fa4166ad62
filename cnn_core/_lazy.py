"""Names of a package that are imported when they are first used (PEP 562): the package is quick to import."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` for a package.

    The package says the same to type checkers with imports under ``if TYPE_CHECKING``. What a submodule
    defines must not have the name of a submodule: importing that one would put it in the name's place.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    homes : mapping of str to str
        The submodules, and the names that each of them defines, with spaces between; under ``""`` the
        submodules that are names themselves.
    """
    home_of = {name: home for home, names in homes.items() for name in names.split()}

    def __getattr__(name: str) -> Any:
        home = home_of.get(name)
        if home is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if home == "":
            return importlib.import_module(f"{package}.{name}")
        value = getattr(importlib.import_module(f"{package}.{home}"), name)
        setattr(sys.modules[package], name, value)  # from now on an attribute like any other
        return value

    def __dir__() -> list[str]:
        return sorted(sys.modules[package].__all__)

    return __getattr__, __dir__
