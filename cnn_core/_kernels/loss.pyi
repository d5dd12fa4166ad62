import numpy as np

SHARD: int  # elements that one entry of sums stands for

# Arrays are const real[::1] inputs and real[::1] outputs of one length; sums is double[::1].
def mse(
    x: np.ndarray,
    target: np.ndarray,
    losses: np.ndarray | None,
    dx: np.ndarray | None,
    sums: np.ndarray,
    scale: float,
    n_threads: int,
) -> None: ...
def mse_backward(x: np.ndarray, target: np.ndarray, dx: np.ndarray, scale: float, n_threads: int) -> None: ...
def bce_with_logits(
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    pos_weight: np.ndarray | None,
    losses: np.ndarray | None,
    dx: np.ndarray | None,
    sums: np.ndarray,
    scale: float,
    n_threads: int,
) -> None: ...
def bce_with_logits_backward(
    x: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray | None,
    pos_weight: np.ndarray | None,
    dx: np.ndarray,
    scale: float,
    n_threads: int,
) -> None: ...
def total(values: np.ndarray) -> float: ...  # const double[::1], of any length
