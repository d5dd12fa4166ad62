"""The same array in the ways that memory can hold it."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np


def plain(x: np.ndarray) -> np.ndarray:
    """C-contiguous, aligned, writable, in the machine's byte order."""
    return np.array(x, order="C")


def read_only(x: np.ndarray) -> np.ndarray:
    """An array that nobody may write to, such as one mapped from a file."""
    x = x.copy()
    x.flags.writeable = False
    return x


def strided(x: np.ndarray) -> np.ndarray:
    """Every second element of a larger array, along every axis; the rest is NaN or the largest integer."""
    other = np.nan if x.dtype.kind == "f" else True if x.dtype == bool else np.iinfo(x.dtype).max
    larger = np.full([2 * n + 1 for n in x.shape], other, x.dtype)
    view = larger[tuple(slice(1, None, 2) for _ in x.shape) or ...]
    view[...] = x
    return view


def reversed_axes(x: np.ndarray) -> np.ndarray:
    """Negative strides."""
    backwards = tuple(slice(None, None, -1) for _ in x.shape)
    reversed_copy: np.ndarray = x[backwards or ...].copy()
    view: np.ndarray = reversed_copy[backwards or ...]
    return view


def fortran(x: np.ndarray) -> np.ndarray:
    """The first axis moves fastest."""
    return np.array(x, order="F")


def byte_swapped(x: np.ndarray) -> np.ndarray:
    """As a machine of the other byte order writes it."""
    return x.astype(x.dtype.newbyteorder())


def unaligned(x: np.ndarray) -> np.ndarray:
    """One byte past where such numbers belong."""
    buffer = np.empty(x.nbytes + 1, np.uint8)
    view = buffer[1:].view(x.dtype) if x.size else np.empty(0, x.dtype)
    view = view.reshape(x.shape)
    view[...] = x
    return view


LAYOUTS: list[Callable[[np.ndarray], np.ndarray]] = [
    read_only,
    strided,
    reversed_axes,
    fortran,
    byte_swapped,
    unaligned,
]


def lay_out(
    arguments: Mapping[str, Any], layout: Callable[[np.ndarray], np.ndarray], except_for: Collection[str] = ()
) -> dict[str, Any]:
    """Return the arguments with every array in another layout, but for those that are written to."""
    return {
        key: layout(value) if isinstance(value, np.ndarray) and key not in except_for else value
        for key, value in arguments.items()
    }
