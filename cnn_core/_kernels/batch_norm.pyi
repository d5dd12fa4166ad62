import numpy as np

# Arrays of channels have the dtype of x, real[::1]; numbers is double[:, ::1], (5, C).
def batch_norm(
    x: np.ndarray,  # const real[:, :, ::1]
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    mean: np.ndarray | None,
    var: np.ndarray | None,
    y: np.ndarray,  # real[:, :, ::1]
    numbers: np.ndarray,
    eps: float,
    relu: bool,
    n_threads: int,
) -> None: ...
def move_running(
    numbers: np.ndarray, running_mean: np.ndarray, running_var: np.ndarray, momentum: float, unbias: float
) -> None: ...
def batch_norm_backward(
    dy: np.ndarray,  # const real[:, :, ::1]
    x: np.ndarray,  # const real[:, :, ::1]
    numbers: np.ndarray,
    dx: np.ndarray,  # real[:, :, ::1]
    dweight: np.ndarray,
    dbias: np.ndarray,
    training: bool,
    relu: bool,
    n_threads: int,
) -> None: ...
