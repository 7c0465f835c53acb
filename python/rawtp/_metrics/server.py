"""Serves metrics by HTTP: one request at a time, each within a bounded time. It knows one path, and no file."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from typing import TYPE_CHECKING

from rawtp._metrics.exposition import OPENMETRICS, TEXT
from rawtp._signals import Blocked

if TYPE_CHECKING:
    from collections.abc import Callable

PATH = "/metrics"
_REQUEST_S = 2.0  # for the whole of a request and its answer
_MAX_REQUEST = 8192
_BACKLOG = 8
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
            431: "Request Header Fields Too Large", 500: "Internal Server Error"}  # fmt: skip


class Server:
    """Answers ``GET /metrics`` with what ``text`` gives: of True in OpenMetrics, of False in the older format.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(self, host: str, port: int, text: Callable[[bool], str]) -> None:
        self._text = text
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((host, port))
            self._listener.listen(_BACKLOG)
            self._listener.setblocking(False)
        except OSError:
            self._listener.close()
            raise
        self._host = f"[{host}]" if ":" in host else host
        self.port: int = self._listener.getsockname()[1]
        self._stop = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="rawtp-metrics", daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self._host}:{self.port}{PATH}"

    def start(self) -> None:
        """Begin to answer."""
        with Blocked():  # signals are the main thread's
            self._thread.start()

    def close(self) -> None:
        """End, within the time of a request."""
        os.eventfd_write(self._stop, 1)
        if self._thread.ident is not None:
            self._thread.join(2 * _REQUEST_S)
        self._listener.close()
        if not self._thread.is_alive():
            os.close(self._stop)

    def _run(self) -> None:
        poller = select.poll()
        poller.register(self._listener, select.POLLIN)
        poller.register(self._stop, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poller.poll()]
            if self._stop in ready:
                return
            try:
                connection, _ = self._listener.accept()
            except OSError:  # gone by then, or no descriptor is free, which may pass
                time.sleep(0.05)
                continue
            # Whoever asks: the next one is to be answered as well.
            with contextlib.suppress(OSError), connection:
                self._answer(connection, time.monotonic() + _REQUEST_S)

    def _answer(self, connection: socket.socket, end_s: float) -> None:
        status, is_head, openmetrics = _request(connection, end_s)
        body = b""
        if status == 200:
            try:
                body = self._text(openmetrics).encode()
            except Exception:  # a defect must not end the answering
                status = 500
        kind = (OPENMETRICS if openmetrics else TEXT) if status == 200 else "text/plain; charset=utf-8"
        if status != 200:
            body = f"{status} {_REASONS[status]}\n".encode()
        allow = "Allow: GET, HEAD\r\n" if status == 405 else ""
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{allow}"
            "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        )
        _send(connection, head.encode("ascii") + (b"" if is_head else body), end_s)


def _request(connection: socket.socket, end_s: float) -> tuple[int, bool, bool]:
    """Read a request's head: the status to answer with, whether it is HEAD, and whether OpenMetrics is understood."""
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) >= _MAX_REQUEST:
            return 431, False, False
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            return 408, False, False
        connection.settimeout(left_s)
        try:
            more = connection.recv(_MAX_REQUEST)
        except TimeoutError:
            return 408, False, False
        if not more:
            return 400, False, False
        data += more
    first, *headers = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return 400, False, False
    method, target, _ = words
    if method not in {"GET", "HEAD"}:
        return 405, False, False
    if target.partition("?")[0] != PATH:
        return 404, method == "HEAD", False
    accepts = "".join(value for name, _, value in (line.partition(":") for line in headers) if name.lower() == "accept")
    return 200, method == "HEAD", "application/openmetrics-text" in accepts.lower()


def _send(connection: socket.socket, data: bytes, end_s: float) -> None:
    # A reader who takes a byte now and then has no more time than others. For an error there is always a moment.
    rest = memoryview(data)
    end_s = max(end_s, time.monotonic() + 0.2)
    while rest:
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            return
        connection.settimeout(left_s)
        rest = rest[connection.send(rest) :]
    connection.shutdown(socket.SHUT_WR)
