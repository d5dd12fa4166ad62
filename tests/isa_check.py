"""Run part of the table at the ISA level that CNN_CORE_ISA asks for; `test_isa` starts this in a process.

A process loads one level, once, so other levels need other processes.
"""

import sys

import numpy as np
from cases import CASES, Case
from compare import assert_close, compute, expect

from cnn_core import _kernels


def selection() -> list[Case]:
    """Every third case of every function, and the first: all code paths of a kernel, in seconds."""
    taken: dict[str, int] = {}
    chosen = []
    for case in CASES:
        number = taken[case.name] = taken.get(case.name, -1) + 1
        if number % 3 == 0 and case.name != "dropout":
            chosen.append(case)
    return chosen


if __name__ == "__main__":
    level = sys.argv[1]
    assert _kernels.isa_level == level, f"asked for {level}, got {_kernels.isa_level}"
    chosen = selection()
    for case in chosen:
        for dtype in (np.float32, np.float64):
            assert_close(case, dtype, compute(case, dtype), expect(case, dtype))
    print(f"{level}: {len(chosen)} cases")
