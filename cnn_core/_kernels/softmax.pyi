import numpy as np

def softmax(
    x: np.ndarray,  # const real[:, :, ::1], (outer, classes, inner)
    y: np.ndarray,  # real[:, :, ::1]
    is_log: bool,
    n_threads: int,
) -> None: ...
def softmax_backward(
    dy: np.ndarray,  # const real[:, :, ::1], (outer, classes, inner)
    y: np.ndarray,  # const real[:, :, ::1]
    dx: np.ndarray,  # real[:, :, ::1]
    is_log: bool,
    n_threads: int,
) -> None: ...
