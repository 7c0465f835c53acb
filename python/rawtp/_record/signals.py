"""The signals of a recorder."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class _WokenError(Exception):
    """Raised by a signal's handler where the service waits."""


class Signals:
    """Takes SIGTERM and SIGINT, which end the service, and SIGHUP, which has the log sealed.

    Their handlers raise only where the service waits: anywhere else an exception could fall between two steps that
    belong together.
    """

    def __init__(self) -> None:
        self.is_end = False
        self.is_hangup = False
        self._waits = False

    def take(self) -> None:
        """Handle them from now on."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def wait(self, wait: Callable[[float], bool], seconds: float) -> bool:
        """Wait, or return False when a signal comes, or has come."""
        try:
            return self._wait(wait, seconds)
        except _WokenError:  # also one that the handler raises in the `finally` below
            return False

    def _wait(self, wait: Callable[[float], bool], seconds: float) -> bool:
        try:
            self._waits = True
            return False if self.is_end or self.is_hangup else wait(seconds)
        finally:
            self._waits = False

    def _on_signal(self, number: int, _: object) -> None:
        if number == signal.SIGHUP:
            self.is_hangup = True
        else:
            self.is_end = True
        if self._waits:
            self._waits = False
            raise _WokenError
