"""Small convolutional networks on the CPU: numpy in, numpy out, compiled kernels, explicit backward passes.

``functional`` holds the functions, ``layers`` the layers (all of them are here, too), and around them are
``losses``, ``optim``, ``init``, ``models``, ``data``, ``training``, ``gradcheck`` and ``bench``.
``cnn_core.book`` is the interface of the book *Deep Learning from Scratch*.
"""

import importlib
from typing import TYPE_CHECKING, Any

from cnn_core import functional, init, layers, losses, optim
from cnn_core._threads import get_num_threads, set_num_threads
from cnn_core._version import __version__
from cnn_core.layers import *  # noqa: F403

if TYPE_CHECKING:
    from cnn_core import bench, book, data, files, gradcheck, models, plots, reference, training
    from cnn_core._config import show_config

# What a script that only predicts never needs is imported at first use.
_LATER = ("bench", "book", "data", "files", "gradcheck", "models", "plots", "reference", "training")

__all__ = [
    "__version__",
    "bench",
    "book",
    "data",
    "files",
    "functional",
    "get_num_threads",
    "gradcheck",
    "init",
    "losses",
    "models",
    "optim",
    "plots",
    "reference",
    "set_num_threads",
    "show_config",
    "training",
    *layers.__all__,
]


def __getattr__(name: str) -> Any:
    if name == "show_config":
        return importlib.import_module("cnn_core._config").show_config
    if name in _LATER:
        return importlib.import_module(f"cnn_core.{name}")
    raise AttributeError(f"module 'cnn_core' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
