"""Initial values of weights: normal, Xavier and He, each normal or uniform.

Every function takes ``(shape, rng, dtype)`` and draws from an explicit generator: a
``numpy.random.Generator``, an integer seed, or ``None`` for fresh entropy. Values are drawn in float64 and
then rounded, so that one seed gives the same network in both precisions.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from cnn_core._checks import integer, real_number

Rng: TypeAlias = "np.random.Generator | int | None"  # a string: numpy loads its random numbers when used
Initializer = Callable[[tuple[int, ...], Rng, Any], np.ndarray]
Init = str | tuple[str, float] | Initializer | None


def fan_in_and_fan_out(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return how many inputs reach one output of a weight, and how many outputs one input reaches.

    ``fan_in = shape[1] * r`` and ``fan_out = shape[0] * r``, where ``r`` is the product of the axes after the
    second (the kernel's area); so for a grouped convolution ``fan_in`` counts the channels of one group.

    Raises
    ------
    ValueError
        If ``shape`` has fewer than two axes.
    """
    if len(shape) < 2:
        raise ValueError(
            f"fan-in and fan-out need a weight of two or more axes (out, in, ...), got shape {shape}"
        )
    area = math.prod(shape[2:])
    return shape[1] * area, shape[0] * area


def zeros(shape: tuple[int, ...], rng: Rng = None, dtype: Any = np.float32) -> np.ndarray:
    """Return zeros; ``rng`` is accepted so that the signature is that of every initializer."""
    return np.zeros(shape, dtype)


def ones(shape: tuple[int, ...], rng: Rng = None, dtype: Any = np.float32) -> np.ndarray:
    """Return ones; ``rng`` is accepted so that the signature is that of every initializer."""
    return np.ones(shape, dtype)


def normal(
    shape: tuple[int, ...], rng: Rng = None, dtype: Any = np.float32, *, std: float = 0.01
) -> np.ndarray:
    """Draw from the normal distribution with mean 0 and standard deviation ``std``."""
    std = real_number(std, "std", at_least=0)
    return (std * np.random.default_rng(rng).standard_normal(shape)).astype(dtype)


def _uniform(shape: tuple[int, ...], rng: Rng, dtype: Any, std: float) -> np.ndarray:
    """Draw uniform values of standard deviation ``std``: the bounds are ``±sqrt(3) * std``."""
    bound = math.sqrt(3) * std
    return np.random.default_rng(rng).uniform(-bound, bound, shape).astype(dtype)


def _xavier_std(shape: tuple[int, ...]) -> float:
    fan_in, fan_out = fan_in_and_fan_out(shape)
    return math.sqrt(2 / max(1, fan_in + fan_out))


def _he_std(shape: tuple[int, ...]) -> float:
    fan_in, _ = fan_in_and_fan_out(shape)
    return math.sqrt(2 / max(1, fan_in))


def xavier_normal(shape: tuple[int, ...], rng: Rng = None, dtype: Any = np.float32) -> np.ndarray:
    """Draw normal values of standard deviation ``sqrt(2 / (fan_in + fan_out))``, for sigmoid and tanh.

    Source: Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural networks*,
    2010.
    """
    return normal(shape, rng, dtype, std=_xavier_std(shape))


def xavier_uniform(shape: tuple[int, ...], rng: Rng = None, dtype: Any = np.float32) -> np.ndarray:
    """Draw uniform values between ``±sqrt(6 / (fan_in + fan_out))``; see :func:`xavier_normal`."""
    return _uniform(shape, rng, dtype, _xavier_std(shape))


def he_normal(shape: tuple[int, ...], rng: Rng = None, dtype: Any = np.float32) -> np.ndarray:
    """Draw normal values of standard deviation ``sqrt(2 / fan_in)``, for ReLU.

    Source: He et al., *Delving deep into rectifiers*, 2015, section 2.2.
    """
    return normal(shape, rng, dtype, std=_he_std(shape))


def he_uniform(shape: tuple[int, ...], rng: Rng = None, dtype: Any = np.float32) -> np.ndarray:
    """Draw uniform values between ``±sqrt(6 / fan_in)``; see :func:`he_normal`."""
    return _uniform(shape, rng, dtype, _he_std(shape))


_BY_NAME: dict[str, Initializer] = {
    function.__name__: function
    for function in (he_normal, he_uniform, xavier_normal, xavier_uniform, normal, zeros, ones)
}


def resolve(init: Init = None) -> Initializer:
    """Return the function ``(shape, rng, dtype) -> array`` that ``init`` stands for.

    Parameters
    ----------
    init : None, str, ("normal", std) or callable
        ``None`` is He normal; a name is that of a function of this module; a callable is returned as it is.

    Raises
    ------
    ValueError
        If the name is unknown.
    TypeError
        If ``init`` is none of these.
    """
    if init is None:
        return he_normal
    if isinstance(init, str):
        if init not in _BY_NAME:
            raise ValueError(f"init: unknown name {init!r}; one of {', '.join(_BY_NAME)}")
        return _BY_NAME[init]
    if isinstance(init, tuple) and len(init) == 2 and init[0] == "normal":
        return functools.partial(normal, std=real_number(init[1], 'init ("normal", std)', at_least=0))
    if callable(init):
        return init
    raise TypeError(
        f'init: expects None, a name, ("normal", std) or a function (shape, rng, dtype), got {init!r}'
    )


def initial_weight(shape: tuple[int, ...], init: Init, rng: Rng, dtype: Any) -> np.ndarray:
    """Return a new weight of ``shape`` from ``init``, and make sure that a custom initializer gave one.

    Raises
    ------
    ValueError
        If a custom ``init`` returned another shape.
    """
    for size in shape:
        integer(size, "shape", at_least=1)
    weight = np.array(resolve(init)(shape, rng, dtype), dtype=dtype, order="C")
    if weight.shape != shape:
        raise ValueError(f"init: {init!r} returned shape {weight.shape} for a weight of shape {shape}")
    return weight
