"""A broker's client, at a socket that is no broker's."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rawtp._privilege import broker_client, protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HANG_S = 60.0
pytestmark = pytest.mark.timeout(3 * HANG_S)

REQUEST: dict[str, Any] = {"syscalls": ["unlink"]}


class Full:
    """A listener whose backlog is full."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.listener = self.socket()
        self.listener.bind(self.path)
        self.listener.listen(0)
        self.peers: list[socket.socket] = []
        while True:
            peer = self.socket()
            peer.setblocking(False)
            self.peers.append(peer)
            try:
                peer.connect(self.path)
            except BlockingIOError:
                return

    def socket(self) -> socket.socket:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        made.settimeout(HANG_S)
        return made

    def drain(self) -> None:
        for _ in self.peers[:-1]:
            self.listener.accept()[0].close()


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Full]:
    made = Full(tmp_path / "socket")
    yield made
    for peer in (made.listener, *made.peers):
        peer.close()


def failure(do: Callable[[], object]) -> BaseException:
    try:
        do()
    except BaseException as error:
        return error
    raise AssertionError("it went well")


def test_a_client_waits_while_the_backlog_is_full(full: Full) -> None:
    found: list[BaseException] = []
    client = threading.Thread(
        target=lambda: found.append(failure(lambda: broker_client.obtain(full.path, REQUEST))), daemon=True
    )
    client.start()
    time.sleep(0.3)
    assert client.is_alive()  # an EAGAIN would be here by now
    full.drain()
    peer, _ = full.listener.accept()
    peer.settimeout(HANG_S)
    assert json.loads(peer.recv(1 << 16))["syscalls"] == ["unlink"]
    peer.send(protocol.encode_error(PermissionError("it has come through")))
    client.join(HANG_S)
    peer.close()
    assert [(type(error), str(error)) for error in found] == [(PermissionError, "it has come through")]


def test_but_not_for_ever(full: Full, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_client, "_CONNECT_S", 0.2)
    began = time.monotonic()
    with pytest.raises(TimeoutError) as raised:
        broker_client.obtain(full.path, REQUEST)
    assert time.monotonic() - began >= 0.2
    assert str(raised.value) == f"[Errno 110] cannot ask the broker at {full.path}: its backlog was full for 0.2 s"


def test_ctrl_c_ends_the_waiting(full: Full) -> None:
    program = """
import sys
from rawtp._privilege import broker_client
print("waits", flush=True)
broker_client.obtain(sys.argv[1], {})
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, full.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "waits\n"
        time.sleep(0.2)
        assert client.poll() is None
        client.send_signal(signal.SIGINT)
        _, error = client.communicate(timeout=HANG_S)
    assert error.splitlines()[-1] == "KeyboardInterrupt"
    assert client.returncode == -signal.SIGINT


@pytest.mark.parametrize("is_read", [False, True])
def test_the_reason_arrives_though_the_request_was_not_read(tmp_path: Path, is_read: bool) -> None:
    """Closed with something unread, a socket gives its peer a reset before what was sent."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        found: list[BaseException] = []
        client = threading.Thread(
            target=lambda: found.append(failure(lambda: broker_client.obtain(path, REQUEST))), daemon=True
        )
        client.start()
        peer, _ = listener.accept()
        peer.settimeout(HANG_S)
        peer.recv(1 << 16, 0 if is_read else socket.MSG_PEEK)  # it is there
        peer.send(protocol.encode_error(PermissionError("too many")))
        peer.close()
        client.join(HANG_S)
    assert [(type(error), str(error)) for error in found] == [(PermissionError, "too many")]


def test_a_reset_without_a_word(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        found: list[BaseException] = []
        client = threading.Thread(
            target=lambda: found.append(failure(lambda: broker_client.obtain(path, REQUEST))), daemon=True
        )
        client.start()
        peer, _ = listener.accept()
        peer.settimeout(HANG_S)
        peer.recv(1 << 16, socket.MSG_PEEK)
        peer.close()
        client.join(HANG_S)
    assert [str(error) for error in found] == [f"the broker at {path} ended without an answer"]


def test_a_last_word_is_not_lost_by_what_the_other_side_has_sent_meanwhile() -> None:
    """The broker's side of it, for clients that are not this one."""
    for sent in range(3):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for number in range(sent):
            theirs.send(b"request %d" % number)
        ours.send(b"no")
        protocol.hear_no_more(ours)
        with pytest.raises(BrokenPipeError):
            theirs.send(b"more")
        ours.close()
        assert (theirs.recv(100), theirs.recv(100)) == (b"no", b"")
        theirs.close()
