import numpy as np

def winograd_backward_weight(
    dy: np.ndarray,  # const float[:, :, :, ::1]
    indices: np.ndarray | None,  # const int32_t[:, :, :, ::1]
    x: np.ndarray,  # const float[:, :, :, ::1]
    dweight: np.ndarray,  # float[:, :, :, ::1]
    dbias: np.ndarray | None,  # float[::1]
    ph: int,
    pw: int,
    n_threads: int,
) -> None: ...
