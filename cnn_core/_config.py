"""What this installation consists of and how it will run."""

import importlib.metadata
import platform
from typing import Any

import numpy as np

from cnn_core._kernels import available_levels, isa_level, runtime
from cnn_core._threads import get_num_threads
from cnn_core._version import __version__

_EXTRAS = ("matplotlib", "pillow")


def show_config(as_dict: bool = False) -> dict[str, Any] | None:
    """Print versions, instruction set, threads, memory and where data is looked for.

    Parameters
    ----------
    as_dict : bool
        Return the values instead of printing them: ``version``, ``python``, ``platform``, ``numpy``,
        ``isa_level`` (in use) and ``isa_levels`` (built and supported by this CPU, best first),
        ``kernel_api`` (version of the table for kernels of other packages), ``threads``, ``memory_in_use``,
        ``memory_cached`` and ``memory_cache_limit`` (bytes of the allocator), ``data_folder``, and ``extras``
        (versions of optional packages, None where one is missing).

    Returns
    -------
    dict or None
    """
    from cnn_core.data.folder import data_folder  # the downloader's imports are not for everybody

    config: dict[str, Any] = {
        "version": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
        "numpy": np.__version__,
        "isa_level": isa_level,
        "isa_levels": available_levels(),
        "kernel_api": runtime.KERNEL_API_VERSION,
        "threads": get_num_threads(),
        "memory_in_use": runtime.memory_in_use(),
        "memory_cached": runtime.memory_cached(),
        "memory_cache_limit": runtime.CACHE_LIMIT,
        "data_folder": str(data_folder()),
        "extras": {name: _version(name) for name in _EXTRAS},
    }
    if as_dict:
        return config
    rows = {
        "cnn_core": config["version"],
        "python": f"{config['python']} on {config['platform']}",
        "numpy": config["numpy"],
        "instruction set": f"{config['isa_level']} (available: {', '.join(config['isa_levels'])})",
        "kernel API": f"version {config['kernel_api']}",
        "threads": str(config["threads"]),
        "memory": f"{_megabytes(config['memory_in_use'])} in use, "
        f"{_megabytes(config['memory_cached'])} cached of at most {_megabytes(config['memory_cache_limit'])}",
        "data folder": config["data_folder"],
        **{name: version or "not installed" for name, version in config["extras"].items()},
    }
    width = max(map(len, rows))
    print("\n".join(f"{name:{width}}  {value}" for name, value in rows.items()))
    print("Change them with the environment variables CNN_CORE_ISA, CNN_CORE_NUM_THREADS, CNN_CORE_DATA.")
    return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
