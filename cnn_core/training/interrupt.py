"""Ctrl-C between two steps of training instead of in the middle of one."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Self


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, noticed at a point where the state of the training is whole and can be saved."""


class InterruptGuard:
    """While active, the first Ctrl-C only makes a note, which :meth:`check` turns into ``Interrupted``.

    An update of the weights that stops half-way leaves a network that no checkpoint should hold. A second
    Ctrl-C raises ``KeyboardInterrupt`` at once, wherever the program is. Python delivers signals to the main
    thread; in others, and where the program has a handler of its own, the guard does nothing.
    """

    def __init__(self) -> None:
        self._noted = False
        self._installed = False

    def __enter__(self) -> Self:
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._note)
            self._installed = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self._installed = False
        if kind is None and self._noted:
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raise ``Interrupted`` if there has been a Ctrl-C."""
        if self._noted:
            self._noted = False
            raise Interrupted

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._noted:
            raise KeyboardInterrupt
        self._noted = True
