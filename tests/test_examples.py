"""The scripts in examples/ run, and say what they should."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"

# script: what its last lines must hold
EXPECTED = {
    "train_digits.py": ["accuracy 0.9", "taken for a"],
    "gradient_check.py": ["Sequential: gradients agree", "WrongLinear: gradients do NOT agree", "bias: "],
    "search_digits.py": ["round 2: lr ", "chosen: lr ", "trained with these: test accuracy 0.9"],
    "custom_layer.py": ["PReLU: gradients agree", "accuracy 0.9", "slopes"],
}
NEEDS = {"search_digits.py": "optuna"}


def test_every_example_is_run():
    assert {path.name for path in EXAMPLES.glob("*.py")} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_example(name, tmp_path):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for text in EXPECTED[name]:
        assert text in done.stdout
    assert not list(tmp_path.iterdir())
