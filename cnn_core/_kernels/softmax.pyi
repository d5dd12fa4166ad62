import numpy as np

LANE_COUNT: int  # samples side by side: scratch is (n_threads, 2 * LANE_COUNT * classes)

def softmax(
    x: np.ndarray,  # const real[:, :, ::1], (outer, classes, inner)
    y: np.ndarray,  # real[:, :, ::1]
    scratch: np.ndarray,  # real[:, ::1]
    is_log: bool,
    n_threads: int,
) -> None: ...
def softmax_backward(
    dy: np.ndarray,  # const real[:, :, ::1], (outer, classes, inner)
    y: np.ndarray,  # const real[:, :, ::1]
    dx: np.ndarray,  # real[:, :, ::1]
    scratch: np.ndarray,  # real[:, ::1]
    is_log: bool,
    n_threads: int,
) -> None: ...
