"""Ends the shipping on a signal: at once where it waits, soon where a receiver does not answer."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_GRACE_S = 5.0


class EndedError(BaseException):
    """Raised in the main thread when a receiver has not answered for some seconds after a signal."""


class Stop:
    """The wish to end. SIGTERM and SIGINT express it."""

    def __init__(self) -> None:
        self.asked = False
        self._is_over = False
        self._writes = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def take_signals(self) -> None:
        """Handle SIGTERM and SIGINT from now on."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGALRM, self._on_alarm)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def end_with_stdin(self) -> None:
        """End when standard input does: whoever has started this process has ended by then."""

        def watch() -> None:
            while sys.stdin.buffer.read(4096):
                pass
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=watch, name="rawtp-parent", daemon=True).start()

    def ask(self) -> None:
        """Ask for the end."""
        self.asked = True
        os.eventfd_write(self._wake, 1)

    def wait(self, seconds: float) -> None:
        """Wait, or until the end is asked for."""
        if not self.asked:
            ready = select.poll()
            ready.register(self._wake, select.POLLIN)
            ready.poll(seconds * 1000)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have :class:`EndedError` wait for the end of the ``with``: the position is being written."""
        before, self._writes = self._writes, True
        try:
            yield
        finally:
            self._writes = before

    def _on_signal(self, *_: object) -> None:
        if not self.asked:
            signal.setitimer(signal.ITIMER_REAL, _GRACE_S, 1.0)
        self.ask()

    def _on_alarm(self, *_: object) -> None:
        if not self._writes and not self._is_over:
            self._is_over = True
            raise EndedError
