"""The machine's own limits: multiply-adds in registers and copies, by the library's threads.

Not public: `cnn_core.bench` and the kernel stand on its two sides.
"""

import numpy as np

from cnn_core._checks import integer
from cnn_core._kernels import machine
from cnn_core._threads import get_num_threads

ROW_NUMBERS = machine.ROW_NUMBERS


def multiply_add(y: np.ndarray, a: float, b: float, n_steps: int) -> None:
    """Do ``y = a * y + b``, ``n_steps`` times and in place: ``2 * y.size * n_steps`` operations.

    Parameters
    ----------
    y : ndarray (rows, ROW_NUMBERS), float32 or float64
        Rows are shared among threads.

    Raises
    ------
    ValueError
        If the array is not of that shape, or empty, or not contiguous.
    """
    n_steps = integer(n_steps, "multiply_add: n_steps", at_least=0)
    if y.ndim != 2 or y.shape[1] != ROW_NUMBERS or not y.size or not y.flags.carray:
        raise ValueError(f"multiply_add: y: expects a plain array (rows, {ROW_NUMBERS}), got {y.shape}")
    machine.multiply_add(y, a, b, n_steps, get_num_threads())


def copy(x: np.ndarray, y: np.ndarray, shard: int, n_repeats: int = 1) -> None:
    """Copy ``x`` to ``y`` in shards of so many numbers, each ``n_repeats`` times before the next.

    Parameters
    ----------
    x, y : ndarray (n,), of the same dtype, float32 or float64
        Shards are shared among threads.

    Raises
    ------
    ValueError
        If the arrays differ, are empty, not contiguous, or share memory.
    """
    shard = integer(shard, "copy: shard", at_least=1)
    n_repeats = integer(n_repeats, "copy: n_repeats", at_least=1)
    plain = x.flags.c_contiguous and y.flags.carray and x.ndim == 1
    if not plain or x.shape != y.shape or not x.size or np.may_share_memory(x, y):
        raise ValueError(f"copy: expects two plain arrays of one length, got {x.shape} and {y.shape}")
    machine.copy(x, y, shard, n_repeats, get_num_threads())
