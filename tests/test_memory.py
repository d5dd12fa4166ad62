"""Training takes no more memory as it goes on, and a deep network fits where memory is short."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import long_run
import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads Linux's /proc/self/status"
)

# A training loop that tells, step by step, what the runtime and the process hold.
TRAINING = """
import sys
import numpy as np

def of_process(field):
    lines = open("/proc/self/status").read().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))

before = of_process("VmHWM")
import cnn_core as cc
from cnn_core._kernels import runtime

name, batch, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
model, loss, optimizer = getattr(cc.models, name)(rng=0), cc.losses.CrossEntropyLoss(), cc.optim.Adam()
rng = np.random.default_rng(0)
x, t = rng.normal(size=(batch, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, batch)
held, resident = [], []
for step in range(steps):
    loss.forward(model.forward(x, training=True), t)
    model.backward(loss.backward(), need_dx=False)
    optimizer.update(model.params, model.grads)
    held.append((runtime.memory_in_use(), runtime.memory_cached()))
    resident.append(of_process("VmRSS"))
print({"held": held, "resident": resident, "peak": of_process("VmHWM") - before})
"""


def train(name: str, batch: int, steps: int) -> dict:
    """Train a network in a process of its own; what it held after each step, in bytes."""
    result = subprocess.run(
        [sys.executable, "-c", TRAINING, name, str(batch), str(steps)],
        env=os.environ | {"CNN_CORE_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return ast.literal_eval(result.stdout)


@pytest.mark.parametrize(("name", "steps"), [("SimpleConvNet", 200), ("DeepConvNet", 100)])
def test_training_holds_the_same_memory_after_every_step(name: str, steps: int) -> None:
    memory = train(name, 10, steps)
    assert set(memory["held"][1:]) == {memory["held"][1]}
    assert memory["resident"][-1] - memory["resident"][9] < 1_000_000


def test_a_deep_network_trains_in_100_megabytes() -> None:
    assert train("DeepConvNet", 100, 4)["peak"] < 100_000_000


def test_a_trainer_runs_on_without_growing() -> None:
    """A short version of long_run.py, which the nightly run does in full."""
    long_run.assert_training_is_flat(long_run.train(epochs=5))


@pytest.mark.parametrize("kind", ["SimpleConvNet", "DeepConvNet"])
def test_models_that_are_dropped_leave_nothing(kind: str) -> None:
    long_run.make_and_drop(40, kind)
