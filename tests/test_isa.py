"""Every ISA level that was built and that this CPU runs gives right results."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cnn_core
from cnn_core._kernels import available_levels

TESTS = Path(__file__).parent
LEVELS = available_levels()


def run(level: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start Python with the same package and another level."""
    package = Path(cnn_core.__file__).parent.parent
    environment = {
        **os.environ,
        "CNN_CORE_ISA": level,
        "PYTHONPATH": os.pathsep.join([str(TESTS), str(package)]),
    }
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("level", LEVELS)
def test_level_agrees_with_the_reference_and_trains_to_the_same_bits_on_any_threads(level: str) -> None:
    result = run(level, str(TESTS / "isa_check.py"), level)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{level}: ")


def test_an_unknown_level_is_refused_with_the_choice() -> None:
    result = run("mmx", "-c", "import cnn_core.functional")
    assert result.returncode != 0
    assert f"CNN_CORE_ISA=mmx: this build and CPU offer {', '.join(LEVELS)}" in result.stderr
