import numpy as np

def avg_pool2d(
    x: np.ndarray,  # const real[:, :, :, ::1]
    y: np.ndarray,  # real[:, :, :, ::1]
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    ph: int,
    pw: int,
    count_padding: bool,
    divisor: float,
    n_threads: int,
) -> None: ...
def avg_pool2d_backward(
    dy: np.ndarray,  # const real[:, :, :, ::1]
    dx: np.ndarray,  # real[:, :, :, ::1]
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    ph: int,
    pw: int,
    count_padding: bool,
    divisor: float,
    n_threads: int,
) -> None: ...
def adaptive_avg_pool2d(
    x: np.ndarray,  # const real[:, :, :, ::1]
    y: np.ndarray,  # real[:, :, :, ::1]
    n_threads: int,
) -> None: ...
def adaptive_avg_pool2d_backward(
    dy: np.ndarray,  # const real[:, :, :, ::1]
    dx: np.ndarray,  # real[:, :, :, ::1]
    n_threads: int,
) -> None: ...
