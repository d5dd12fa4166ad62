import numpy as np

def conv2d(
    x: np.ndarray,  # const real[:, :, :, ::1]
    packed: np.ndarray,  # const real[::1]
    bias: np.ndarray | None,  # const real[::1]
    y: np.ndarray,  # real[:, :, :, ::1]
    indices: np.ndarray | None,  # int32_t[:, :, :, ::1]
    KH: int,
    KW: int,
    sh: int,
    sw: int,
    ph: int,
    pw: int,
    dh: int,
    dw: int,
    groups: int,
    relu: bool,
    pool: bool,
    n_threads: int,
) -> None: ...
def packed_size(
    weight: np.ndarray,  # const real[:, :, :, ::1]
    sh: int,
    sw: int,
    groups: int,
) -> int: ...
def pack_conv2d(
    weight: np.ndarray,  # const real[:, :, :, ::1]
    packed: np.ndarray,  # real[::1]
    sh: int,
    sw: int,
    groups: int,
) -> None: ...
