import numpy as np

# Arrays of channels are of one dtype, float or double; numbers is double[:, ::1] of shape (5, C).
def begin(
    weight: np.ndarray,
    bias: np.ndarray | None,
    mean: np.ndarray | None,
    var: np.ndarray | None,
    numbers: np.ndarray,
    eps: float,
) -> None: ...
def finish(
    numbers: np.ndarray,
    mean: np.ndarray,
    rstd: np.ndarray,
    running_mean: np.ndarray | None,
    running_var: np.ndarray | None,
    momentum: float,
    unbias: float,
) -> None: ...
def begin_backward(weight: np.ndarray, mean: np.ndarray, rstd: np.ndarray, numbers: np.ndarray) -> None: ...
def finish_backward(numbers: np.ndarray, dweight: np.ndarray, dbias: np.ndarray) -> None: ...
