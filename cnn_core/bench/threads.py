"""The number of threads, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from cnn_core import _threads


@contextmanager
def using_threads(threads: int | None) -> Iterator[None]:
    """Compute with so many threads inside the block (None: no change), and as before after it."""
    before = _threads.get_num_threads()
    try:
        if threads is not None:
            _threads.set_num_threads(threads)
        yield
    finally:
        _threads.set_num_threads(before)
