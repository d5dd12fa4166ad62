import numpy as np

def winograd(
    x: np.ndarray,  # const float[:, :, :, ::1]
    weight: np.ndarray,  # const float[:, :, :, ::1]
    bias: np.ndarray | None,  # const float[::1]
    y: np.ndarray,  # float[:, :, :, ::1]
    ph: int,
    pw: int,
    turned: bool,
    n_threads: int,
) -> None: ...
