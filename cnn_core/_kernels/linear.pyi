import numpy as np

def linear(
    x: np.ndarray,  # const real[:, ::1]
    weight: np.ndarray,  # const real[:, ::1]
    bias: np.ndarray | None,  # const real[::1]
    y: np.ndarray,  # real[:, ::1]
    relu: bool,
    n_threads: int,
) -> None: ...
def linear_backward_input(
    dy: np.ndarray,  # const real[:, ::1]
    weight: np.ndarray,  # const real[:, ::1]
    dx: np.ndarray,  # real[:, ::1]
    n_threads: int,
) -> None: ...
def linear_backward_weight(
    dy: np.ndarray,  # const real[:, ::1]
    x: np.ndarray,  # const real[:, ::1]
    dweight: np.ndarray,  # real[:, ::1]
    n_threads: int,
) -> None: ...
def linear_backward_bias(
    dy: np.ndarray,  # const real[:, ::1]
    dbias: np.ndarray,  # real[::1]
) -> None: ...
