"""What the tests of the command share."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cnn_core.cli import main
from cnn_core.files import load_tensors

SHORT = ["train", "--epochs", "2", "--no-plot", "--quiet"]


def refused(capsys: Any, *argv: object) -> str:
    """Run a command that must fail, and return its complaint."""
    capsys.readouterr()
    assert main([str(part) for part in argv]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cnn-core: error: ")
    assert "Traceback" not in err
    return err.removeprefix("cnn-core: error: ").removesuffix("\n")


def weights(folder: Path) -> dict[str, np.ndarray]:
    """The weights that a run has left."""
    return load_tensors(folder / "model.safetensors")[0]


def assert_same_weights(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Bit for bit."""
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def start(*argv: object) -> subprocess.Popen:
    """Run the command in a process of its own."""
    code = f"import sys; sys.path[:0] = {sys.path!r}; from cnn_core.cli import main; sys.exit(main())"
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code, *map(str, argv)], stdout=pipe, stderr=pipe)
