import numpy as np

def conv2d_backward_weight(
    dy: np.ndarray,  # const real[:, :, :, ::1]
    indices: np.ndarray | None,  # const int32_t[:, :, :, ::1]
    x: np.ndarray,  # const real[:, :, :, ::1]
    dweight: np.ndarray,  # real[:, :, :, ::1]
    dbias: np.ndarray | None,  # real[::1]
    sh: int,
    sw: int,
    ph: int,
    pw: int,
    dh: int,
    dw: int,
    groups: int,
    n_threads: int,
) -> None: ...
