"""Writes alerts into systemd's journal, by its native protocol."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from rawtp._alert.notifiers.base import Notifier, NotifyError, Table

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping
    from typing import Any

    from rawtp._alert.alert import Alert

_SOCKET = "/run/systemd/journal/socket"
_PRIORITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")


class Journal(Notifier):
    """Sends an entry with the fields ``RAWTP_*``, ``MESSAGE`` and ``PRIORITY``."""

    KEYS = ("priority", "socket")

    def __init__(self, name: str, priority: int, path: str) -> None:
        super().__init__(name)
        self._priority = priority
        self._path = path

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environment: Mapping[str, str], at: list[str]) -> Journal:
        """Make one as the table says."""
        values = Table(table, at)
        priority = values.get("priority", str, "warning")
        if priority not in _PRIORITIES:
            raise ValueError(f"priority: {priority!r} is none of {', '.join(_PRIORITIES)}")
        return cls(name, _PRIORITIES.index(priority), values.get("socket", str, _SOCKET))

    def send(self, alert: Alert, host: str, stop: threading.Event) -> None:
        """Send the entry. The journal takes it or not: nothing waits."""
        fields = {
            "MESSAGE": f"alert: {alert.message()}",
            "PRIORITY": str(self._priority),
            "SYSLOG_IDENTIFIER": "rawtp",
            **alert.environment(host),
        }
        data = b"".join(entry(name, value) for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(1.0)
                sender.sendto(data, self._path)
        except OSError as error:
            raise NotifyError(f"{self._path}: {error.strerror or error}") from None


def entry(name: str, value: str) -> bytes:
    """A field. With its length before it, it may have any bytes in it."""
    data = value.encode(errors="surrogateescape")
    return name.encode("ascii") + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
