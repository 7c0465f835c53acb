"""``rawtp ship`` in this process, and an HTTP server that answers as it is told."""

from __future__ import annotations

import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.receivers import Server
from helpers.recordings import HANG_S, delete, recording
from rawtp._feed.position import PositionFile
from rawtp._ship.shipper import Shipper
from rawtp._ship.stop import Stop
from rawtp.sinks.base import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawtp.sinks.base import Delivery


class Memory(Receiver):
    """Keeps what it gets."""

    name, target = "memory", "memory:"

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []

    def send(self, delivery: Delivery) -> int:
        self.got += delivery.records
        return 0

    @property
    def keys(self) -> list[str]:
        return [record["key"] for record in self.got if record["type"] == "event"]


def ship(directory: Path, state: Path, receiver: Receiver, say: Callable[[str], None] = print) -> None:
    """Ships until all is acknowledged, in this process."""
    file = PositionFile(str(state), receiver.name)
    try:
        Shipper(str(directory), receiver, file, Stop(), say).run(once=True)
    finally:
        file.close()


class Answers(Server):
    """An HTTP server that answers as it is told, and notes the times and the sizes."""

    def __init__(self, place: Path, answer: Callable[[int], tuple[int, dict[str, str]]], context: Any = None) -> None:
        super().__init__(place)
        self.bodies: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.bodies.append(body)
                outer.headers = dict(self.headers)
                status, headers = answer(len(outer.bodies))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.headers: dict[str, str] = {}
        self.scheme = "http" if context is None else "https"

    @property
    def options(self) -> list[str]:
        return ["--otlp", f"{self.scheme}://localhost:{self.port}/here"]

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self._server.shutdown()
        self._server.server_close()


def small(directory: Path, work: Path) -> None:
    work.mkdir()
    with recording(directory) as recorder:
        delete(work, *range(20))
        recorder.sync(HANG_S)
