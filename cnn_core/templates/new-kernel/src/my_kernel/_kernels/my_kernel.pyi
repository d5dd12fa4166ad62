import numpy as np

def forward(
    x: np.ndarray,  # const real[::1]
    y: np.ndarray,  # real[::1]
    n_threads: int,
) -> None: ...
def backward(
    dy: np.ndarray,  # const real[::1]
    x: np.ndarray,  # const real[::1]
    dx: np.ndarray,  # real[::1]
    n_threads: int,
) -> None: ...
