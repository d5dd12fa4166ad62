"""Validation of a state_dict as a whole, before any of it is copied."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class LoadResult(NamedTuple):
    """Names that ``load_state_dict(..., strict=False)`` passed over."""

    missing: list[str]
    unexpected: list[str]


def checked_state(
    own: Mapping[str, np.ndarray], state: Mapping[str, Any], strict: bool
) -> tuple[dict[str, np.ndarray], LoadResult]:
    """Return arrays of ``state`` with the shapes and dtypes of ``own``, and the names that do not match.

    Raises
    ------
    TypeError
        If ``state`` is not a mapping.
    ValueError
        With every problem of every tensor in one message.
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"state must be a mapping of names to arrays, got {type(state).__name__}")
    result = LoadResult(
        [name for name in own if name not in state], [str(name) for name in state if name not in own]
    )
    problems = []
    if strict:
        problems += [f'"{name}" is missing (shape {own[name].shape})' for name in result.missing]
        problems += [f'"{name}" is not a tensor of this network' for name in result.unexpected]
    arrays = {}
    for name, target in own.items():
        if name in state:
            try:
                arrays[name] = _convert(state[name], target)
            except (TypeError, ValueError, RuntimeError) as error:
                problems.append(f'"{name}" {error}')
    if problems:
        problems += _advice(own, result)
        raise ValueError("the state does not fit, nothing was loaded:\n  " + "\n  ".join(problems))
    return arrays, result


def _advice(own: Mapping[str, np.ndarray], result: LoadResult) -> list[str]:
    """A line about names that would match without what all of them begin with, such as "module."."""
    if not result.missing or not result.unexpected:
        return []
    for name in result.unexpected:
        prefix = name.removesuffix(result.missing[0])
        if prefix != name and {prefix + key for key in own} == set(result.unexpected):
            return [f'without the prefix: {{key.removeprefix("{prefix}"): a for key, a in state.items()}}']
    return []


def _convert(value: Any, target: np.ndarray) -> np.ndarray:
    """Return ``value`` as an array like ``target``; the error's text continues the tensor's name."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"cannot be read as an array: {error}") from None
    if array.shape != target.shape:
        transposed = "; transpose it: .T" if array.ndim == 2 and array.T.shape == target.shape else ""
        raise ValueError(f"has shape {array.shape}, expected {target.shape}{transposed}")
    if array.dtype.kind != target.dtype.kind:
        raise TypeError(f"has dtype {array.dtype}, expected {target.dtype}")
    with np.errstate(over="ignore"):
        converted = array.astype(target.dtype)
    fits = np.isfinite(converted) == np.isfinite(array) if array.dtype.kind == "f" else converted == array
    if not np.all(fits):
        raise ValueError(f"has values too large for {target.dtype}")
    return converted
