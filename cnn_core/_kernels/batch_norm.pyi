import numpy as np

def batch_norm(
    x: np.ndarray,  # const real[:, :, ::1]
    weight: np.ndarray,  # const double[::1]
    bias: np.ndarray,  # const double[::1]
    y: np.ndarray,  # real[:, :, ::1]
    mean: np.ndarray,  # double[::1]
    var: np.ndarray,  # double[::1]
    rstd: np.ndarray,  # double[::1]
    parts: np.ndarray,  # double[:, :, ::1]
    eps: float,
    training: bool,
    relu: bool,
    n_threads: int,
) -> None: ...
def batch_norm_backward(
    dy: np.ndarray,  # const real[:, :, ::1]
    x: np.ndarray,  # const real[:, :, ::1]
    weight: np.ndarray,  # const double[::1]
    mean: np.ndarray,  # double[::1]
    rstd: np.ndarray,  # double[::1]
    dx: np.ndarray,  # real[:, :, ::1]
    dweight: np.ndarray,  # double[::1]
    dbias: np.ndarray,  # double[::1]
    parts: np.ndarray,  # double[:, :, ::1]
    training: bool,
    gate: np.ndarray | None,  # const double[:, ::1]
    n_threads: int,
) -> None: ...
