"""Arrays in which one can see what was done to them: full of marked NaN, and between guards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from cnn_core import _memory

_GUARD = 4096  # bytes on either side
_GUARD_BYTE = 0xA5
_ALIGNMENT = 64

# What nobody has written yet: a NaN that arithmetic does not make, the largest integer, no truth value.
_MARKS: dict[str, tuple[npt.DTypeLike, int]] = {
    "float16": (np.uint16, 0x7EA5),
    "float32": (np.uint32, 0x7FE5A5A5),
    "float64": (np.uint64, 0x7FFCA5A5A5A5A5A5),
    "bool": (np.uint8, _GUARD_BYTE),
}


def _mark(dtype: np.dtype) -> tuple[npt.DTypeLike, int] | None:
    if dtype.name in _MARKS:
        return _MARKS[dtype.name]
    return (dtype, int(np.iinfo(dtype).max)) if dtype.kind in "iu" else None


def unwritten(x: np.ndarray) -> np.ndarray:
    """Where an array still has the mark that `Watch` gave it, as an array of bool.

    An integer may be as large as its mark by right, so look there only at what should be another number.
    """
    mark = _mark(x.dtype)
    return x.view(mark[0]) == mark[1] if mark else np.zeros(x.shape, bool)


class Watch:
    """The arrays that it made, and whether anybody wrote beside them."""

    def __init__(self) -> None:
        self._made: list[tuple[np.ndarray, int, np.ndarray]] = []
        self._allocate: Callable[..., np.ndarray] = np.empty

    def empty(self, shape: int | tuple[int, ...], dtype: npt.DTypeLike = float) -> np.ndarray:
        """Return a C-contiguous array full of marks, with guards before and after it."""
        made: np.ndarray = self._allocate(shape, dtype)
        mark = _mark(made.dtype)
        if mark is None:
            return made
        whole = self._allocate(made.nbytes + 2 * _GUARD + _ALIGNMENT, np.uint8)
        whole.fill(_GUARD_BYTE)
        start = _GUARD + -(whole.ctypes.data + _GUARD) % _ALIGNMENT
        x = np.ndarray(made.shape, made.dtype, buffer=whole, offset=start)
        x.view(mark[0]).fill(mark[1])
        self._made.append((whole, start, x))
        return x

    def like(self, made: np.ndarray) -> np.ndarray:
        """Return an array in place of one that numpy made; other orders than C have marks but no guards."""
        if type(made) is not np.ndarray:
            return made
        if made.flags.c_contiguous:
            return self.empty(made.shape, made.dtype)
        mark = _mark(made.dtype)
        if mark is not None:
            made[...] = np.array(mark[1], mark[0]).view(made.dtype)
        return made

    def overruns(self) -> Iterator[str]:
        """Say what was written outside of the arrays that were made."""
        for whole, start, x in self._made:
            before, after = whole[:start], whole[start + x.nbytes :]
            for name, guard in (("before", before[::-1]), ("after", after)):
                wrong = np.flatnonzero(guard != _GUARD_BYTE)
                if wrong.size:
                    edge = "start" if name == "before" else "end"
                    yield (
                        f"out of bounds: {wrong.size} bytes {name} an array {x.shape} of {x.dtype} were "
                        f"written, {int(wrong[0])} bytes from its {edge}"
                    )


@contextmanager
def watched_outputs() -> Iterator[Watch]:
    """Let arrays of `cnn_core.kernel_api.empty`, `numpy.empty` and `numpy.empty_like` be those of a `Watch`.

    For tests of one thread: the allocators are replaced for the whole process while the block runs.
    """
    watch = Watch()
    numpy_empty, numpy_empty_like = np.empty, np.empty_like

    def empty(*args: Any, **kwargs: Any) -> np.ndarray:
        return watch.like(numpy_empty(*args, **kwargs))

    def empty_like(*args: Any, **kwargs: Any) -> np.ndarray:
        return watch.like(numpy_empty_like(*args, **kwargs))

    watch._allocate = numpy_empty
    before = _memory.substitute
    _memory.substitute = watch.empty
    setattr(np, "empty", empty)  # noqa: B010 (numpy's are final to type checkers)
    setattr(np, "empty_like", empty_like)  # noqa: B010
    try:
        yield watch
    finally:
        _memory.substitute = before
        setattr(np, "empty", numpy_empty)  # noqa: B010
        setattr(np, "empty_like", numpy_empty_like)  # noqa: B010
