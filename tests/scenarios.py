"""Scripts in processes of their own, whose time limit is for deadlocks alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEADLOCK = 300  # seconds

PRELUDE = """
import hashlib, os, sys, warnings
import numpy as np
import cnn_core
from cnn_core import functional as F
warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: that is the point
cnn_core.set_num_threads(2)

def work(seed):
    "The bits of a convolution, its gradients and an activation, large enough for threads and the cache."
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(6, 3, 40, 41)).astype(np.float32)
    weight = rng.normal(size=(8, 3, 3, 3)).astype(np.float32)
    y = F.relu(F.conv2d(x, weight))
    results = (y, *F.conv2d_backward(y, x, weight), F.softmax(y))
    return hashlib.sha256(b"".join(array.tobytes() for array in results)).hexdigest()

"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def script(folder: Path, body: str) -> list[str]:
    """The command that runs a script; a file, because a new process must be able to import it."""
    path = folder / "scenario.py"
    path.write_text(PRELUDE + body)
    return [sys.executable, "-W", "error", str(path)]


def run(folder: Path, body: str) -> str:
    """Run a script to its end; return what it printed."""
    process = subprocess.run(
        script(folder, body), capture_output=True, text=True, timeout=DEADLOCK, check=False
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert process.stderr == ""
    return process.stdout
