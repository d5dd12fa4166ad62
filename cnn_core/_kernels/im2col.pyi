import numpy as np

def im2col(
    x: np.ndarray,  # const real[:, :, :, ::1]
    col: np.ndarray,  # real[:, ::1]
    KH: int,
    KW: int,
    sh: int,
    sw: int,
    ph: int,
    pw: int,
    dh: int,
    dw: int,
    OH: int,
    OW: int,
    n_threads: int,
) -> None: ...
def col2im(
    col: np.ndarray,  # const real[:, ::1]
    x: np.ndarray,  # real[:, :, :, ::1]
    KH: int,
    KW: int,
    sh: int,
    sw: int,
    ph: int,
    pw: int,
    dh: int,
    dw: int,
    OH: int,
    OW: int,
    n_threads: int,
) -> None: ...
