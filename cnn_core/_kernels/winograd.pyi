import numpy as np

def winograd(
    x: np.ndarray,  # const float[:, :, :, ::1]
    x_indices: np.ndarray | None,  # const int32_t[:, :, :, ::1]
    packed: np.ndarray,  # const float[::1]
    bias: np.ndarray | None,  # const float[::1]
    gate: np.ndarray | None,  # const float[:, :, :, ::1]
    y: np.ndarray,  # float[:, :, :, ::1]
    indices: np.ndarray | None,  # int32_t[:, :, :, ::1]
    ph: int,
    pw: int,
    relu: bool,
    pool: bool,
    n_threads: int,
) -> None: ...
def packed_size(F: int, C: int) -> int: ...
def pack_winograd(
    weight: np.ndarray,  # const float[:, :, :, ::1]
    packed: np.ndarray,  # float[::1]
    turned: bool,
    n_threads: int,
) -> None: ...
