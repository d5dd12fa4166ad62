import numpy as np

# numbers is double[:, ::1], (5, C), as channel_numbers fills it; parts double[:, :, ::1], (C, n_blocks, 2).
def batch_norm(
    x: np.ndarray,  # const real[:, :, ::1]
    y: np.ndarray,  # real[:, :, ::1]
    numbers: np.ndarray,
    parts: np.ndarray,
    eps: float,
    training: bool,
    relu: bool,
    n_threads: int,
) -> None: ...
def batch_norm_backward(
    dy: np.ndarray,  # const real[:, :, ::1]
    x: np.ndarray,  # const real[:, :, ::1]
    dx: np.ndarray,  # real[:, :, ::1]
    numbers: np.ndarray,
    parts: np.ndarray,
    training: bool,
    gate: np.ndarray | None,  # const double[:, ::1]
    n_threads: int,
) -> None: ...
