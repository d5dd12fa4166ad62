import numpy as np

def count_kept(labels: np.ndarray, classes: int, ignore_index: int) -> int: ...  # const int64_t[::1]
def of_labels(
    x: np.ndarray,  # const real[:, :, ::1], (outer, classes, inner)
    labels: np.ndarray,  # const int64_t[::1], (outer * inner,)
    weight: np.ndarray,  # const real[::1], (classes,)
    losses: np.ndarray,  # double[::1], (outer * inner,)
    dx: np.ndarray | None,  # real[:, :, ::1]
    ignore_index: int,
    smoothing: float,
    scale: float,
    n_threads: int,
) -> None: ...
def of_probabilities(
    x: np.ndarray,  # const real[:, :, ::1], (outer, classes, inner)
    probabilities: np.ndarray,  # const real[:, :, ::1]
    weight: np.ndarray,  # const real[::1], (classes,)
    losses: np.ndarray,  # double[::1], (outer * inner,)
    dx: np.ndarray | None,  # real[:, :, ::1]
    smoothing: float,
    scale: float,
    n_threads: int,
) -> None: ...
