"""Kernels with their arguments checked and bound: what a prediction repeats."""

from collections.abc import Callable
from typing import Any

from cnn_core._threads import get_num_threads

# A kernel, and its arguments but the last, the number of threads. It fills the output that is among them.
Call = tuple[Callable[..., Any], tuple[Any, ...]]


def run(call: Call | None) -> None:
    """Let the kernel do its work, if there is any."""
    if call is not None:
        kernel, arguments = call
        kernel(*arguments, get_num_threads())
