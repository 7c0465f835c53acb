"""syslog: RFC 5424, octet-counted over TCP (RFC 6587) or TLS (RFC 5425); or the local socket.

The message is ``@cee:`` and the record as JSON, which rsyslog's mmjsonparse and others take apart.

The protocol acknowledges nothing. A send is over once the other side's kernel has it all, and it counts as delivered
when the connection still stood some seconds later. After a broken connection everything younger is sent again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import socket
import ssl
import struct
import termios
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rawtp.sinks import tls
from rawtp.sinks.base import NotTakenError, Receiver
from rawtp.sinks.records import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from rawtp.sinks.base import Delivery, Origin

MAX_BYTES = 7_900
"""The most bytes of a message: rsyslog cuts off what is longer than 8 KiB."""

_TIMEOUT_S = 30.0
_PORTS = {"tcp": 514, "tls": 6514}
_DAEMON, _WARNING, _NOTICE = 3, 4, 5
_UNPRINTABLE = re.compile(r"[^!-~]")


class Syslog(Receiver):
    """A server: ``tcp://HOST:514`` or ``tls://HOST:6514``; or a local socket, ``unix:///dev/log``.

    Raises:
        OSError, ValueError: as :func:`tls.context`.
    """

    name = "syslog"
    max_records = 500

    def __init__(self, url: str, files: tls.Files = tls.NONE, settle_s: float = 5.0) -> None:
        parts = urlsplit(url)
        self.target = url
        self.settle_s = settle_s
        self._scheme = parts.scheme
        self._path = parts.path
        self._address = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        self._context = tls.context(files) if parts.scheme == "tls" else None
        self._socket: socket.socket | None = None
        self._is_stream = True

    def open(self) -> None:
        """Connect."""
        if self._socket is not None:
            return
        if self._scheme == "unix":
            self._socket, self._is_stream = _local(self._path)
            return
        made = socket.create_connection(self._address, timeout=_TIMEOUT_S)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(_TIMEOUT_S * 1000))
            if self._context is not None:
                with tls.told():
                    made = self._context.wrap_socket(made, server_hostname=self._address[0])
        except OSError:
            made.close()
            raise
        self._socket = made

    def send(self, delivery: Delivery) -> int:
        """Send the records, and wait until the other side's kernel has them."""
        assert self._socket is not None  # noqa: S101 - for the type checker
        self._check()
        if self._scheme == "unix":
            for record in delivery.records:
                message = _local_line(record)
                self._socket.sendall(message + b"\0" if self._is_stream else message)
            return 0
        lines = [line(record, delivery.origin) for record in delivery.records]
        try:
            with tls.told():
                self._socket.sendall(b"".join(b"%d %s" % (len(one), one) for one in lines))
        except OSError:
            # Why it closed the connection may have come before that was noticed.
            self._check()
            raise
        end_s = time.monotonic() + _TIMEOUT_S
        pause_s = 0.0005
        while self._unacknowledged():
            self._check()
            if time.monotonic() > end_s:
                raise NotTakenError("the other side takes nothing")
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.05)
        self._check()
        return 0

    def _unacknowledged(self) -> int:
        """The bytes that the other side's kernel has not acknowledged."""
        assert self._socket is not None  # noqa: S101 - for the type checker
        found: int = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))[0]
        return found

    def _check(self) -> None:
        """Notice that the other side has closed the connection. Nothing else ever comes from there."""
        assert self._socket is not None  # noqa: S101 - for the type checker
        if not self._is_stream:
            return
        ready = select.poll()
        ready.register(self._socket.fileno(), select.POLLIN | select.POLLRDHUP)
        found = ready.poll(0)
        if found and found[0][1] & (select.POLLRDHUP | select.POLLHUP | select.POLLERR):
            if self._context is not None:
                # A server of TLS 1.3 says only now that it wants another certificate.
                with tls.told(), suppress(BlockingIOError, ssl.SSLWantReadError):
                    self._socket.setblocking(False)
                    self._socket.recv(1)
            raise NotTakenError("the connection was closed")

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def line(record: Mapping[str, Any], origin: Origin) -> bytes:
    """A record as a message of RFC 5424."""
    ts_ns = _time_of(record)
    seconds, ns = divmod(ts_ns, 1_000_000_000)
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{ns // 1000:06}Z"
    host = _UNPRINTABLE.sub("_", origin.host)[:255] or "-"
    kind = record.get("action") or record["type"]
    head = f"<{_priority(record)}>1 {at} {host} rawtp {record.get('pid') or '-'} {kind} - @cee:".encode("ascii")
    return head + shortened(record, MAX_BYTES - len(head))


def _local_line(record: Mapping[str, Any]) -> bytes:
    """A record as syslog(3) writes it to the local socket."""
    at = time.strftime("%b %e %H:%M:%S", time.localtime(_time_of(record) // 1_000_000_000))
    head = f"<{_priority(record)}>{at} rawtp[{os.getpid()}]: @cee:".encode("ascii", "replace")
    return head + shortened(record, MAX_BYTES - len(head))


def _time_of(record: Mapping[str, Any]) -> int:
    times = (record.get(key) for key in ("ts_ns", "to_ns", "through_ns", "start_ns", "after_ns"))
    return next((int(found) for found in times if found is not None), time.time_ns())


def _priority(record: Mapping[str, Any]) -> int:
    is_bad = record["type"] in {"gap", "loss", "unshipped", "quarantined"}
    return _DAEMON * 8 + (_WARNING if is_bad else _NOTICE)


def _local(path: str) -> tuple[socket.socket, bool]:
    """A local socket, of datagrams or else of a stream, and whether it is the latter."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        made = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
        made.settimeout(_TIMEOUT_S)
        try:
            made.connect(path)
        except OSError as error:
            made.close()
            if error.errno != errno.EPROTOTYPE:
                raise
            continue
        return made, kind == socket.SOCK_STREAM
    raise OSError(errno.EPROTOTYPE, os.strerror(errno.EPROTOTYPE), path)
