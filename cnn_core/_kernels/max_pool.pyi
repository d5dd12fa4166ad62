import numpy as np

def max_pool2d(
    x: np.ndarray,  # const real[:, :, :, ::1]
    y: np.ndarray,  # real[:, :, :, ::1]
    indices: np.ndarray | None,  # int32_t[:, :, :, ::1]
    kh: int,
    kw: int,
    sh: int,
    sw: int,
    ph: int,
    pw: int,
    dh: int,
    dw: int,
    relu: bool,
    n_threads: int,
) -> None: ...
def max_pool2d_backward(
    dy: np.ndarray,  # const real[:, :, :, ::1]
    indices: np.ndarray,  # const int32_t[:, :, :, ::1]
    dx: np.ndarray,  # real[:, :, :, ::1]
    relu: bool,
    n_threads: int,
) -> bool: ...
