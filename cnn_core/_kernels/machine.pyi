import numpy as np

ROW_NUMBERS: int

def multiply_add(
    y: np.ndarray,  # real[:, ::1]
    a: float,
    b: float,
    n_steps: int,
    n_threads: int,
) -> None: ...
def copy(
    x: np.ndarray,  # const real[::1]
    y: np.ndarray,  # real[::1]
    shard: int,
    n_repeats: int,
    n_threads: int,
) -> None: ...
