"""The server of metrics: what it answers, and what cannot hold it up."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest

from helpers.support import HANG_S
from rawtp._metrics import server as module
from rawtp._metrics.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "_REQUEST_S", 0.5)
    with closing(Server("127.0.0.1", 0, lambda openmetrics: f"openmetrics {openmetrics}\n")) as made:
        made.start()
        yield made


def asked(server: Server, method: str, target: str, **headers: str) -> tuple[int, str, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG_S)) as connection:
        connection.request(method, target, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers["Content-Type"], response.read()


def raw(server: Server, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), HANG_S) as connection:
        answer = b""
        # It may have closed before all was sent, and then the kernel throws away what there is.
        with suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):
                answer += more
        return answer


def test_the_format_is_the_one_that_is_asked_for(server: Server) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    assert asked(server, "GET", "/metrics", Accept=accept) == (
        200,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        b"openmetrics True\n",
    )
    assert asked(server, "GET", "/metrics") == (
        200,
        "text/plain; version=0.0.4; charset=utf-8",
        b"openmetrics False\n",
    )
    assert asked(server, "GET", "/metrics?x=1")[0] == 200
    assert asked(server, "HEAD", "/metrics")[::2] == (200, b"")
    assert server.url == f"http://127.0.0.1:{server.port}/metrics"


@pytest.mark.parametrize(
    "target", ["/", "/etc/passwd", "/metrics/", "/metrics/../../etc/passwd", "//metrics", "/%6d", "*"]
)
def test_there_is_nothing_else(server: Server, target: str) -> None:
    status, kind, body = asked(server, "GET", target)
    assert (status, kind, body) == (404, "text/plain; charset=utf-8", b"404 Not Found\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_it_is_only_read(server: Server, method: str) -> None:
    assert asked(server, method, "/metrics")[0] == 405


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1", 400),
        (b"GET /metrics HTTP/2\r\n\r\n", 400),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET /metrics HTTP/1.1\r\n" + b"a: b\r\n" * 10_000 + b"\r\n", 431),
        (b"GET /metrics HTTP/1.1\r\n\xff\xfe\r\n\r\n", 200),
        (b"GET /metrics HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_what_is_no_request(server: Server, data: bytes, status: int) -> None:
    answer = raw(server, data)
    # Where not all was read, the kernel may have thrown the answer away.
    assert answer.startswith(b"HTTP/1.1 %d " % status) or (status == 431 and answer == b"")
    assert asked(server, "GET", "/metrics")[0] == 200


def test_who_says_nothing_holds_nobody_up_for_long(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as silent:
        begin_s = time.monotonic()
        assert asked(server, "GET", "/metrics")[0] == 200
        assert time.monotonic() - begin_s < HANG_S
        assert silent.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_who_sends_a_byte_now_and_then_has_no_more_time(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        answer = b""
        end_s = time.monotonic() + HANG_S
        while not answer and time.monotonic() < end_s:
            slow.sendall(b"G")
            slow.settimeout(0.05)
            try:
                answer = slow.recv(1000)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_who_does_not_read_holds_nobody_up_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REQUEST_S", 0.5)
    with closing(Server("127.0.0.1", 0, lambda _: "x" * (64 << 20))) as server:
        server.start()
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", server.port))
            deaf.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert asked(server, "HEAD", "/metrics")[0] == 200


def test_a_defect_is_an_answer() -> None:
    def broken(_: bool) -> str:
        raise ZeroDivisionError

    with closing(Server("127.0.0.1", 0, broken)) as server:
        server.start()
        assert asked(server, "GET", "/metrics") == (500, "text/plain; charset=utf-8", b"500 Internal Server Error\n")
        assert asked(server, "GET", "/metrics")[0] == 500


def test_an_address_that_is_taken(server: Server) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        Server("127.0.0.1", server.port, lambda _: "")


def test_it_can_be_closed_before_it_has_begun() -> None:
    Server("127.0.0.1", 0, lambda _: "").close()
