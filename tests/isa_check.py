"""Run part of the table at the ISA level that CNN_CORE_ISA asks for, and train; `test_isa` starts this.

A process loads one level, once, so other levels need other processes.
"""

import sys
from functools import partial

import numpy as np
from cases import CASES, Case
from compare import assert_close, compute, expect

from cnn_core import Sequential, _kernels, losses, models, optim, set_num_threads

NETWORKS = {
    "simple": (models.SimpleConvNet, (17, 1, 28, 28)),
    "deep": (models.DeepConvNet, (17, 1, 28, 28)),
    "resnet20": (partial(models.ResNet20, blocks=1), (9, 3, 32, 32)),
    "vgg": (models.VGG, (3, 3, 32, 32)),
}


def selection() -> list[Case]:
    """Every third case of every function, and the first: all code paths of a kernel, in seconds."""
    taken: dict[str, int] = {}
    chosen = []
    for case in CASES:
        number = taken[case.name] = taken.get(case.name, -1) + 1
        if number % 3 == 0 and case.name != "dropout":
            chosen.append(case)
    return chosen


def trained(name: str, n_threads: int, *, one_by_one: bool = False, steps: int = 4) -> bytes:
    """The weights of a network after some steps with that many threads; no layers run together one by one."""
    build, shape = NETWORKS[name]
    rng = np.random.default_rng(0)
    x, target = rng.standard_normal(shape, np.float32), rng.integers(0, 10, shape[0])
    model, loss, optimizer = build(shape[1:], rng=0), losses.CrossEntropyLoss(), optim.Adam(lr=1e-3)
    set_num_threads(n_threads)
    if one_by_one:
        for part in model.modules():
            if isinstance(part, Sequential):
                part._run_as(part.layers)
    for _ in range(steps):
        loss.forward(model.forward(x, training=True), target)
        model.backward(loss.backward(), need_dx=False)
        optimizer.update(model.params, model.grads)
    return b"".join(value.tobytes() for value in model.state_dict().values())


if __name__ == "__main__":
    level = sys.argv[1]
    assert _kernels.isa_level == level, f"asked for {level}, got {_kernels.isa_level}"
    chosen = selection()
    for case in chosen:
        for dtype in (np.float32, np.float64):
            assert_close(case, dtype, compute(case, dtype), expect(case, dtype))
    for name in NETWORKS:
        weights = trained(name, 1)
        for n_threads in (2, 3, 8):
            assert trained(name, n_threads) == weights, f"{name}: other weights with {n_threads} threads"
        assert trained(name, 2, one_by_one=True) == weights, f"{name}: other weights one by one"
    print(f"{level}: {len(chosen)} cases, {len(NETWORKS)} networks")
