import numpy as np

# A row is (parameter, gradient, state arrays...), all of one shape and dtype.
def sgd(rows: list[tuple[np.ndarray, ...]], lr: float, weight_decay: float, n_threads: int) -> None: ...
def momentum(
    rows: list[tuple[np.ndarray, ...]],
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    n_threads: int,
) -> None: ...
def velocity(
    rows: list[tuple[np.ndarray, ...]],
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    n_threads: int,
) -> None: ...
def adagrad(
    rows: list[tuple[np.ndarray, ...]], lr: float, eps: float, weight_decay: float, n_threads: int
) -> None: ...
def rmsprop(
    rows: list[tuple[np.ndarray, ...]],
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    n_threads: int,
) -> None: ...
def adam(
    rows: list[tuple[np.ndarray, ...]],
    rate: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    n_threads: int,
) -> None: ...
