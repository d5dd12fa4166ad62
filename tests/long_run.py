"""Long runs in one command: does memory grow, does training slow down, are models let go?

    python tests/long_run.py        # 10,000 steps and 1,000 models: a minute or two

Memory is asserted; speed is reported only, as it belongs to the machine and to who else uses it. Shorter runs
are tests in test_memory.py.
"""

import gc
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import cnn_core
from cnn_core import models
from cnn_core._kernels import runtime
from cnn_core.losses import CrossEntropyLoss
from cnn_core.optim import Adam
from cnn_core.training import Callback, Trainer

MEGABYTE = 2**20
EXAMPLES, BATCH_SIZE = 2000, 20
STEPS_PER_EPOCH = EXAMPLES // BATCH_SIZE


def resident() -> int:
    """The process's resident memory in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def held() -> tuple[int, int]:
    """Bytes in the allocator's blocks, and objects that Python keeps track of."""
    gc.collect()
    return runtime.memory_in_use(), len(gc.get_objects())


def images(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 1, 28, 28)).astype(np.float32), rng.integers(0, 10, n)


class Watch(Callback):
    """Notes when each step ended, and what the process held after each epoch."""

    def __init__(self, steps: int) -> None:
        self.ends = np.zeros(steps + 1)
        self.resident: list[int] = []
        self.in_use: list[int] = []

    def on_fit_start(self, trainer: Trainer) -> None:
        self.ends[0] = time.perf_counter()

    def on_step_end(self, trainer: Trainer) -> None:
        self.ends[trainer.step] = time.perf_counter()

    def on_epoch_end(self, trainer: Trainer, row: object) -> None:
        self.resident.append(resident())
        self.in_use.append(runtime.memory_in_use())


def train(epochs: int) -> Watch:
    """Train SimpleConvNet for so many epochs of 100 steps, with validation."""
    watch = Watch(epochs * STEPS_PER_EPOCH)
    trainer = Trainer(models.SimpleConvNet(rng=0), CrossEntropyLoss(), Adam(1e-4), callbacks=[watch])
    trainer.fit(images(EXAMPLES), images(100), epochs=epochs, batch_size=BATCH_SIZE)
    return watch


def assert_training_is_flat(watch: Watch) -> int:
    """Return by how many bytes the process grew after the first tenth."""
    warm = max(1, len(watch.resident) // 10)
    grown = max(watch.resident[warm:]) - watch.resident[warm - 1]
    assert grown < 4 * MEGABYTE, f"grew by {grown} bytes: {watch.resident}"
    assert len(set(watch.in_use[warm:])) == 1, watch.in_use
    return grown


def make_and_drop(n_models: int, kind: str) -> int:
    """Make, train for a step and drop models; return by how many bytes the process grew after a tenth."""
    x, t = images(10)

    def one(seed: int) -> None:
        model, loss, optimizer = getattr(models, kind)(rng=seed), CrossEntropyLoss(), Adam()
        loss.forward(model.forward(x, training=True), t)
        model.backward(loss.backward())
        optimizer.update(model.params, model.grads)

    warm = max(5, n_models // 10)
    for seed in range(warm):
        one(seed)
    blocks, objects = held()
    before = resident()
    for seed in range(warm, n_models):
        one(seed)
    blocks_after, objects_after = held()
    grown = resident() - before
    assert blocks_after == blocks, f"{blocks_after - blocks} bytes of arrays are left"
    assert objects_after - objects < 20, f"{objects_after - objects} objects are left"
    assert grown < 4 * MEGABYTE, f"grew by {grown} bytes"
    return grown


def main() -> None:
    steps, n_models = 10_000, 1000
    print(f"{steps:,} steps of SimpleConvNet, batches of {BATCH_SIZE}, {cnn_core.get_num_threads()} threads")
    watch = train(steps // STEPS_PER_EPOCH)
    grown = assert_training_is_flat(watch)
    seconds = np.diff(watch.ends)
    first, last = (statistics.median(part) for part in (seconds[: steps // 10], seconds[-steps // 10 :]))
    print(f"  memory grew by {grown / MEGABYTE:.2f} MB after the first {steps // 10:,} steps")
    print(f"  a step took {1e3 * first:.3f} ms in the first tenth, {1e3 * last:.3f} ms in the last: "
          f"{last / first:.3f} of it")  # fmt: skip
    for kind in ("SimpleConvNet", "DeepConvNet"):
        print(f"{n_models:,} times {kind}: made, trained for a step, dropped")
        print(f"  memory grew by {make_and_drop(n_models, kind) / MEGABYTE:.2f} MB; no array is left")


if __name__ == "__main__":
    sys.exit(main())
