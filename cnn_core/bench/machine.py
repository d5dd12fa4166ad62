"""Facts about the machine and the versions, to go with every result."""

import os
import platform
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from cnn_core._kernels import isa_level
from cnn_core._version import __version__

# Assumed where the system does not say: bytes of a core's second-level cache and of the last level.
_SECOND, _LAST = 1 << 20, 1 << 25


def facts() -> dict[str, Any]:
    """CPU, caches, instruction set and versions; nothing that names the machine or its user."""
    second, last = cache_sizes()
    return {
        "cpu": cpu_model(),
        "cpus": os.cpu_count() or 1,
        "l2_bytes": second,
        "last_level_bytes": last,
        "isa_level": isa_level,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "cnn_core": __version__,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def cpu_model() -> str:
    """The CPU's name for itself."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def cache_sizes(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> tuple[int, int]:
    """Bytes of one core's second-level cache, and of the last level.

    Where the system does not say (it does on Linux), 1 MiB and 32 MiB.
    """
    sizes: dict[int, int] = {}
    for index in sorted(folder.glob("index*")):
        try:
            level, kind = int((index / "level").read_text()), (index / "type").read_text().strip()
            size = _bytes((index / "size").read_text().strip())
        except (OSError, ValueError):
            continue
        if kind in ("Unified", "Data"):
            sizes[level] = size
    second = sizes.get(2, _SECOND)
    return second, max(sizes[max(sizes)], second) if sizes and max(sizes) >= 2 else _LAST


def _bytes(text: str) -> int:
    """``"1024K"`` as a number."""
    factor = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 1)
    return int(text.rstrip("KMG")) * factor
