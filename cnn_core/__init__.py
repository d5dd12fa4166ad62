"""Small convolutional networks on the CPU: numpy in, numpy out, compiled kernels, explicit backward passes.

``functional`` holds the functions, ``layers`` the layers (all of them are here, too), and around them are
``losses``, ``optim``, ``init``, ``models``, ``data``, ``training``, ``search``, ``debugging``,
``gradcheck`` and ``bench``; and, for kernels of one's own, ``kernel_api`` and ``testing``.
``cnn_core.book`` is the interface of the book *Deep Learning from Scratch*.
"""

from typing import TYPE_CHECKING

from cnn_core import _kernels as _kernels  # says at once how to build them if they are missing
from cnn_core import layers
from cnn_core._lazy import lazy
from cnn_core._version import __version__

if TYPE_CHECKING:
    from cnn_core import (
        bench,
        book,
        data,
        debugging,
        files,
        functional,
        gradcheck,
        init,
        kernel_api,
        losses,
        models,
        optim,
        plots,
        reference,
        search,
        testing,
        training,
    )
    from cnn_core._config import show_config
    from cnn_core._threads import get_num_threads, set_num_threads
    from cnn_core.kernel_api import get_include
    from cnn_core.layers import *  # noqa: F403

__all__ = [
    "__version__",
    "bench",
    "book",
    "data",
    "debugging",
    "files",
    "functional",
    "get_include",
    "get_num_threads",
    "gradcheck",
    "init",
    "kernel_api",
    "layers",
    "losses",
    "models",
    "optim",
    "plots",
    "reference",
    "search",
    "set_num_threads",
    "show_config",
    "testing",
    "training",
    *layers.__all__,
]

__getattr__, __dir__ = lazy(
    __name__,
    {
        "": "bench book data debugging files functional gradcheck init kernel_api losses models optim plots "
        "reference search testing training",
        "_config": "show_config",
        "_threads": "get_num_threads set_num_threads",
        "kernel_api": "get_include",
        "layers": " ".join(layers.__all__),
    },
)
