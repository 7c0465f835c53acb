"""Tells systemd how a service is doing (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Notifier:
    """Sends datagrams to the socket that the service manager has named; does nothing where it has named none.

    Nothing waits for the manager, and nothing fails because of it.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the null byte of an abstract address.
        self._address = "\0" + address[1:] if address[:1] == "@" else address
        self._socket: socket.socket | None = None
        if address[:1] in {"@", "/"}:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.watchdog_s = _watchdog_s(environment)
        """Seconds within which the manager wants to hear of a service that lives; None when it does not."""

    def send(self, **states: str | int) -> None:
        """Tell these states: ``READY=1``, ``STATUS="recording"``."""
        if self._socket is None:
            return
        lines = (f"{name}={' '.join(str(value).split())}" for name, value in states.items())
        with suppress(OSError):
            self._socket.sendto("\n".join(lines).encode(errors="replace"), socket.MSG_DONTWAIT, self._address)

    def close(self) -> None:
        """Close the socket. Nothing is told any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    text, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (text.isascii() and text.isdecimal() and int(text)) or pid not in {"", str(os.getpid())}:
        return None
    return int(text) / 1e6
