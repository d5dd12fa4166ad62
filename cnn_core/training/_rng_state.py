"""States of numpy's bit generators as JSON, and their verification.

numpy's setters trust what they are given: a position beyond the generator's buffer makes them read outside
of it. So a state from a file is compared with one of the generator that is to take it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

_LIMITS = {"pos": 624, "buffer_pos": 4, "has_uint32": 1, "uinteger": 2**32 - 1}
_DEFAULT_LIMIT = 2**128 - 1  # PCG64's state


def encode(value: Any) -> Any:
    """Turn what JSON cannot hold into what it can; the ``default`` of ``json.dumps``."""
    if isinstance(value, np.ndarray):
        return {"array": value.tolist(), "dtype": value.dtype.name}
    if isinstance(value, np.integer):
        return int(value)
    raise TypeError(f"{type(value).__name__} cannot be saved: {value!r}")


def decode(value: dict[str, Any]) -> Any:
    """Undo :func:`encode`; the ``object_hook`` of ``json.loads``."""
    if value.keys() != {"array", "dtype"}:
        return value
    numbers, dtype = value["array"], value["dtype"]
    if dtype not in ("uint32", "uint64") or not isinstance(numbers, list) or len(numbers) > 1000:
        raise ValueError(f"an array of a random state is damaged: {dtype!r}")
    try:
        return np.array(numbers, dtype)
    except (TypeError, OverflowError) as error:
        raise ValueError(f"an array of a random state is damaged: {error}") from error


def check(saved: Any, own: Any, where: str, limit: int = _DEFAULT_LIMIT) -> None:
    """Raise ValueError unless ``saved`` could be a later value of ``own``, a state or a dict of states."""
    if isinstance(own, Mapping):
        if not isinstance(saved, Mapping) or saved.keys() != own.keys():
            got = list(saved) if isinstance(saved, Mapping) else saved
            raise ValueError(f"{where}: expects the entries {list(own)}, got {got}")
        for name, value in own.items():
            check(saved[name], value, f"{where}, {name!r}", _LIMITS.get(name, _DEFAULT_LIMIT))
    elif isinstance(own, np.ndarray):
        if not isinstance(saved, np.ndarray) or (saved.shape, saved.dtype) != (own.shape, own.dtype):
            raise ValueError(f"{where}: expects an array {own.shape} of {own.dtype}")
    elif isinstance(own, int | np.integer):
        if type(saved) is not int or not 0 <= saved <= limit:
            raise ValueError(f"{where}: expects an integer from 0 to {limit}, got {saved!r}")
    elif saved != own:
        raise ValueError(f"{where}: expects {own!r}, got {saved!r}")
