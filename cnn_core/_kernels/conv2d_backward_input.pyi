import numpy as np

def conv2d_backward_input(
    dy: np.ndarray,  # const real[:, :, :, ::1]
    weight: np.ndarray,  # const real[:, :, :, ::1]
    dx: np.ndarray,  # real[:, :, :, ::1]
    sh: int,
    sw: int,
    ph: int,
    pw: int,
    dh: int,
    dw: int,
    groups: int,
    n_threads: int,
) -> None: ...
