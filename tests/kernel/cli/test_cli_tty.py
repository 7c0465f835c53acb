"""The command line on a terminal: a table that no file name can write on."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.support import SLOWER, UNLINK

pytestmark = pytest.mark.kernel

PATIENCE_S = 30.0 * SLOWER
HEADER = "TIME             PID    UID COMM            SYSCALL     RESULT       PATH"


class Terminal:
    """The far end of a terminal, with all that was ever written to it."""

    def __init__(self, fd: int, process: subprocess.Popen[bytes]) -> None:
        self.fd = fd
        self.process = process
        self.written = b""

    def read(self, wait_s: float) -> bool:
        """Take what comes within this time; whether the near end is still open."""
        if select.select([self.fd], [], [], wait_s)[0]:
            try:
                self.written += os.read(self.fd, 65536)
            except OSError:  # EIO: the last process has closed it
                return False
        return True

    def until_shown(self, path: Path) -> None:
        """Delete this file until its row is there."""
        deadline_s = time.monotonic() + PATIENCE_S
        while f"{path}\r\n".encode() not in self.written:
            assert time.monotonic() < deadline_s, self.written
            assert self.process.poll() is None, self.written
            path.touch()
            path.unlink()
            self.read(0.05)

    def all_shown(self, last: Path) -> None:
        """Delete this file, once, and read up to its row: behind it there is none."""
        last.touch()
        last.unlink()
        deadline_s = time.monotonic() + PATIENCE_S
        while f"{last}\r\n".encode() not in self.written:
            assert time.monotonic() < deadline_s, self.written
            self.read(0.05)

    def press(self, keys: bytes) -> int:
        """Type, read up to the end, and return the exit code."""
        os.write(self.fd, keys)
        deadline_s = time.monotonic() + PATIENCE_S
        while self.read(0.05):
            assert time.monotonic() < deadline_s, self.written
        return self.process.wait(PATIENCE_S)

    def lines(self) -> list[str]:
        return self.written.decode().split("\r\n")


@contextmanager
def terminal(*arguments: str, columns: int = 200, **changes: str) -> Iterator[Terminal]:
    """The command line in a session whose terminal we hold the other end of; it sees only this process's deletions."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = ["setsid", "--ctty", sys.executable, "-m", "rawtp", "-p", str(os.getpid()), *arguments]
    environment = {**os.environ, "PYTHONUTF8": "1", **changes}
    try:
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
            os.close(theirs)
            try:
                yield Terminal(ours, process)
            finally:
                process.kill()
    finally:
        os.close(ours)


def test_a_terminal_gets_a_table(tmp_path: Path) -> None:
    with terminal(TZ="UTC") as tty:
        tty.until_shown(tmp_path / "file")
        code = tty.press(b"\x03")
    assert code == 0
    header, first, *_ = tty.lines()
    assert header == HEADER
    comm = Path("/proc/self/comm").read_text().rstrip("\n")
    assert first[13:] == f"{os.getpid():>7} {os.getuid():>6} {comm:<15} {UNLINK:<11} ok           {tmp_path}/file"
    assert tty.written.count(b"TIME") == 1


def test_ctrl_c_ends_it_with_the_ledger(tmp_path: Path) -> None:
    with terminal() as tty:
        tty.until_shown(tmp_path / "file")
        # The terminal throws away what was not read by the time of a ^C (termios(3), NOFLSH).
        tty.all_shown(tmp_path / "last")
        code = tty.press(b"\x03\x03\x03")
    assert code == 0
    assert b"Traceback" not in tty.written
    # The terminal echoes ^C at the start of a line; what comes after it starts on a line of its own.
    outcome, rest = tty.lines()[-2:]
    delivered = tty.written.count(f"{tmp_path}/file\r\n".encode()) + 1
    assert outcome == f"rawtp: {delivered} events delivered, 0 lost"
    assert b"matched" not in tty.written
    assert rest == ""


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"\x1b]0;owned\x07\x1b[2J\x1b[H", r"\x1b]0;owned\x07\x1b[2J\x1b[H"),
        (b"one\r\ntwo\x08\x7f", r"one\x0d\x0atwo\x08\x7f"),
        ("\x9b31m\u202egnp\u2066.\u2028".encode(), r"\u009b31m\u202egnp\u2066.\u2028"),
        (b"caf\xe9 \xff\\", r"caf\xe9 \xff\\"),
        ("e\u0301 日本".encode(), "e\u0301 日本"),
    ],
)
def test_no_name_acts_on_the_terminal(name: bytes, shown: str, tmp_path: Path) -> None:
    with terminal() as tty:
        tty.until_shown(tmp_path / "first")
        hostile = os.fsencode(tmp_path) + b"/" + name
        with open(hostile, "wb"):  # noqa: PTH123
            pass
        os.unlink(hostile)  # noqa: PTH108
        tty.until_shown(tmp_path / "last")
        code = tty.press(b"\x03")
    assert code == 0
    rows = [line for line in tty.lines() if f" {UNLINK} " in line]
    assert [row for row in rows if row.endswith(f" ok           {tmp_path}/{shown}")]
    assert all(line.isprintable() for line in tty.lines())


def test_a_thread_name_is_as_hostile(tmp_path: Path) -> None:
    comm = Path("/proc/self/comm")
    own = comm.read_text().rstrip("\n")
    with terminal() as tty:
        tty.until_shown(tmp_path / "first")
        comm.write_bytes(b"\x1b[31m\xff\n")
        try:
            (tmp_path / "file").touch()
            (tmp_path / "file").unlink()
        finally:
            comm.write_text(own)
        tty.until_shown(tmp_path / "last")
        tty.press(b"\x03")
    [row] = [line for line in tty.lines() if line.endswith(f"{tmp_path}/file")]
    assert r" \x1b[31m\xff\x0a " in row
    assert row.isprintable()


def test_jsonl_can_be_asked_for(tmp_path: Path) -> None:
    with terminal("-o", "jsonl") as tty:
        deadline_s = time.monotonic() + PATIENCE_S
        while not re.search(rb'\n\{"type":"event","ts_ns":.*/file",.*\}\r\n', tty.written):
            assert time.monotonic() < deadline_s, tty.written
            (tmp_path / "file").touch()
            (tmp_path / "file").unlink()
            tty.read(0.05)
        assert tty.press(b"\x03") == 0
    assert HEADER.encode() not in tty.written
