"""The command line on a terminal that is drawn: what stands where on the screen."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import struct
import termios
import time

import pytest

from helpers.support import on_one_cpu
from helpers.terminals import PATIENCE_S, WHO, attempt, drawn, terminal, until

pytestmark = pytest.mark.kernel

LONG = "/nonexistent/" + "long" * 30 + "/the-end"


def test_the_screen_of_80_columns() -> None:
    with terminal(columns=80, TZ="UTC") as tty:
        until(tty, lambda: attempt(LONG), b"the-end")
        tty.press(b"\x03")
    title, row, *_ = drawn(tty, 80)
    assert title == "TIME         PID USER     COMM            ACTION   RESULT    PATH"
    assert re.match(r"\d\d:\d\d:\d\d ", row)
    assert row[9:] == f"{WHO} delete   ENOENT    /nonexist…g/the-end"
    assert len(row) == 80


def test_the_screen_of_120_columns() -> None:
    with terminal(columns=120, TZ="UTC") as tty:
        until(tty, lambda: attempt(LONG), b"the-end")
        tty.press(b"\x03")
    title, row, *_ = drawn(tty, 120)
    assert title == "TIME             PID USER     COMM            ACTION   SYSCALL     RESULT       PATH"
    assert len(row) == 120
    assert row.endswith("the-end")
    assert "…" in row


def test_it_follows_the_size() -> None:
    with terminal(columns=300) as tty:
        until(tty, lambda: attempt(LONG), LONG.encode())
        fcntl.ioctl(tty.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        until(tty, lambda: attempt(LONG), "/nonexist…g/the-end\r\n".encode())
        assert tty.process.poll() is None
        assert tty.press(b"\x03") == 0
    assert tty.written.count(b"TIME") == 2


@pytest.mark.parametrize(
    ("arguments", "no_color", "coloured"),
    [
        ([], "", True),
        ([], "1", False),
        (["--color", "never"], "", False),
        (["--color", "always"], "1", True),
    ],
)
def test_colours_of_failures(arguments: list[str], no_color: str, coloured: bool) -> None:
    with terminal(*arguments, NO_COLOR=no_color, TERM="xterm") as tty:
        until(tty, lambda: attempt("/nonexistent/x"), b"/nonexistent/x")
        tty.press(b"\x03")
    assert (b"\x1b[31mENOENT\x1b[0m" in tty.written) == coloured
    assert (b"\x1b" in tty.written) == coloured


def test_chosen_keys() -> None:
    with terminal("-f", "pid,errno,filename", columns=60) as tty:
        until(tty, lambda: attempt("/nonexistent/\x1b[2J" + "x" * 100), "…".encode())
        tty.press(b"\x03")
    title, row, *_ = drawn(tty, 60)
    assert title == "pid     errno           filename"
    start = f"{os.getpid():<7} ENOENT          /nonexistent/\\x1"
    assert row.startswith(start)
    assert len(row) == 60


def test_a_loss_stands_in_its_place() -> None:
    with on_one_cpu(), terminal("--ring-bytes", "65536", "--color", "always") as tty:
        until(tty, lambda: attempt("/nonexistent/before"), b"before")
        tty.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, tty.process.pid, os.WSTOPPED | os.WNOWAIT)
        for number in range(5000):
            attempt(f"/nonexistent/{number}")
        tty.process.send_signal(signal.SIGCONT)
        until(tty, lambda: attempt("/nonexistent/after"), b"after")
        tty.press(b"\x03")
    lines = tty.written.decode().split("\r\n")
    [at] = [number for number, line in enumerate(lines) if "-- lost" in line][:1]
    assert lines[at].startswith("\x1b[1;33m-- lost ")
    assert lines[at].endswith(" --\x1b[0m")
    assert "/nonexistent/" in lines[at - 1]
    assert "/nonexistent/" in lines[at + 1]
    assert not [line for line in lines if line.startswith("rawtp: lost")]


def test_quiet_is_quiet() -> None:
    with terminal("-q", "-d", "0.5") as tty:
        deadline_s = time.monotonic() + PATIENCE_S
        while tty.read(0.05):
            assert time.monotonic() < deadline_s
            attempt("/nonexistent/x")
        assert tty.process.wait(PATIENCE_S) == 0
    assert tty.written == b""
