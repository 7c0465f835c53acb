"""An HTTP server for alerts, on loopback."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from helpers.support import HANG_S

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator


class Server:
    """An HTTP server on loopback, which answers as it is told and keeps what it gets."""

    def __init__(self, answers: list[tuple[int, dict[str, str]]]) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answers = answers
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), body))
                status, headers = outer.answers.pop(0) if outer.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]


@contextmanager
def serving(*answers: int | tuple[int, dict[str, str]], context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server([answer if isinstance(answer, tuple) else (answer, {}) for answer in answers])
    if context is not None:
        server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    thread = threading.Thread(target=server.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.server.shutdown()
        server.server.server_close()
        thread.join(HANG_S)
