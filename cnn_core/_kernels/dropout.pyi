import numpy as np

def dropout(
    x: np.ndarray,  # const real[::1]
    uniform: np.ndarray,  # const float[::1]
    y: np.ndarray,  # real[::1]
    mask: np.ndarray,  # uint8_t[::1]
    p: float,
    scale: float,
    n_threads: int,
) -> None: ...
def apply_mask(
    x: np.ndarray,  # const real[::1]
    mask: np.ndarray,  # const uint8_t[::1]
    y: np.ndarray,  # real[::1]
    scale: float,
    n_threads: int,
) -> None: ...
