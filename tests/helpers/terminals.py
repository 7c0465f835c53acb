"""The command line on a terminal of its own, and what is on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import pwd
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
import pytest

from helpers.support import SLOWER
from rawtp.formats.escape import shortened

PATIENCE_S = 30.0 * SLOWER
COMM = Path("/proc/self/comm").read_text().rstrip("\n")


def own_user() -> str:
    """This user's name, as far as a row shows it; the number where there is none."""
    try:
        return shortened(pwd.getpwuid(os.getuid()).pw_name, 8)
    except KeyError:
        return str(os.getuid())


WHO = f"{os.getpid():>7} {own_user():<8} {COMM:<15}"
"""What a row says of this process."""


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
def terminal(*arguments: str, columns: int = 500, **changes: str) -> Iterator[Terminal]:
    """The command line in a session whose terminal we hold the other end of; it sees only this process's deletions.

    It is as wide as any path of a test beside any chain of processes, so that no row is shortened unless a test asks.
    """
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


def drawn(tty: Terminal, columns: int, lines: int = 24) -> list[str]:
    """The screen, without the blanks at the ends of its lines."""
    screen = pyte.Screen(columns, lines)
    pyte.ByteStream(screen).feed(tty.written)
    return [line.rstrip() for line in screen.display if line.strip()]


def until(tty: Terminal, act: Callable[[], None], seen: bytes) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while seen not in tty.written:
        assert time.monotonic() < deadline_s, tty.written
        assert tty.process.poll() is None, tty.written
        act()
        tty.read(0.05)


def attempt(path: str) -> None:
    """Delete what is not there."""
    with pytest.raises(OSError, match=os.strerror(2)):
        os.unlink(path)  # noqa: PTH108
