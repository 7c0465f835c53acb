"""systemd's journal, by its native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/).

Each record is one datagram of fields, whose values may have any bytes: ``RAWTP_PATH`` is the name itself. What is too
large for a datagram goes as a sealed memory file.
"""

from __future__ import annotations

import array
import errno
import fcntl
import json
import os
import socket
from typing import TYPE_CHECKING

from rawtp.formats.raw_bytes import each_text, visible
from rawtp.sinks.base import NotTakenError, Receiver
from rawtp.sinks.records import sentence

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rawtp.sinks.base import Delivery

SOCKET = "/run/systemd/journal/socket"
MESSAGE_IDS = {
    "event": "5f3c2a1d8e7b4f60a9d1c2b3e4f50617",
    "gap": "8c0e6a57d1b24d4f9f7a3b9e2c5d6081",
    "loss": "1b7d9e4c6a5f4830b2c1d0e9f8a7b6c5",
    "unshipped": "c4a6f1e0936d4b2d8e5f7a1b0c9d8e7f",
}
"""The MESSAGE_ID of each type that a catalogue or a filter may want to know."""

_TIMEOUT_S = 10.0
_WARNING, _INFO = 4, 6


class Journald(Receiver):
    """The journal of this host."""

    name = "journald"

    def __init__(self, path: str = SOCKET) -> None:
        self.target = f"unix://{path}"
        self._path = path
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connect."""
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            try:
                made.settimeout(_TIMEOUT_S)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
                made.connect(self._path)
            except OSError:
                made.close()
                raise
            self._socket = made

    def send(self, delivery: Delivery) -> int:
        """Send a datagram for each record. The socket is the service manager's: a restart of the journal loses none."""
        assert self._socket is not None  # noqa: S101 - for the type checker
        for record in delivery.records:
            content = fields(record)
            try:
                self._socket.send(content)
            except TimeoutError:
                raise NotTakenError("the journal reads nothing") from None
            except OSError as error:
                if error.errno not in {errno.EMSGSIZE, errno.ENOBUFS}:
                    raise
                self._send_file(content)
        return 0

    def _send_file(self, content: bytes) -> None:
        assert self._socket is not None  # noqa: S101 - for the type checker
        fd = os.memfd_create("rawtp-journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(content)
            seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
            self._socket.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def fields(record: Mapping[str, Any]) -> bytes:
    """The fields of a record."""
    kind = record["type"]
    is_bad = kind in {"gap", "loss", "unshipped", "quarantined"}
    found: dict[str, bytes] = {
        "MESSAGE": sentence(record).encode("utf-8", "replace"),
        "PRIORITY": b"%d" % (_WARNING if is_bad else _INFO),
        "SYSLOG_IDENTIFIER": b"rawtp",
    }
    if kind in MESSAGE_IDS:
        found["MESSAGE_ID"] = MESSAGE_IDS[kind].encode()
    for key, value in record.items():
        if value is None:
            continue
        if isinstance(value, (tuple, list, dict)):
            value = json.dumps(each_text(visible, value), separators=(",", ":"), ensure_ascii=False)
        name = f"RAWTP_{key.upper()}"[:64]
        found[name] = os.fsencode(value) if isinstance(value, str) else str(value).encode()
    return b"".join(_field(name, value) for name, value in found.items())


def _field(name: str, value: bytes) -> bytes:
    if b"\n" in value:
        return b"%s\n%s%s\n" % (name.encode(), len(value).to_bytes(8, "little"), value)
    return b"%s=%s\n" % (name.encode(), value)
