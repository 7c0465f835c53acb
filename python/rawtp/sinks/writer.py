"""Writes to descriptors that may have no reader; a signal ends the wait for room."""

from __future__ import annotations

import codecs
import errno
import os
import select
import stat
import time
from typing import TYPE_CHECKING

from rawtp.formats.escape import escape_unencodable

if TYPE_CHECKING:
    from collections.abc import Callable

codecs.register_error("rawtp.escape", escape_unencodable)

_GRACE_S, _HASTE_S = 2.0, 1.0
_PTMX = os.makedev(5, 2)  # each open of it makes another terminal
# POLLOUT promises room for this much in a pipe (PIPE_BUF, pipe(7)), for more in a socket, and for a byte in a terminal.
_PIPE_BUF, _TERMINAL_BUF = 4096, 1


class StalledError(OSError):
    """Raised when the reader takes nothing and a signal asks for the end."""

    def __init__(self, name: str) -> None:
        super().__init__(errno.EAGAIN, "nobody reads it, and it is full", name)


class Patience:
    """The time to wait for a reader.

    For ever, until a signal asks for the end. From then on a reader has two seconds to take something, again and again.
    A second signal ends that: from then on only what is taken without a wait is written, for another second.
    """

    def __init__(self) -> None:
        self._asked_s: float | None = None
        self._asked_again_s: float | None = None
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def ask(self) -> None:
        """Note that a signal asks for the end, or asks again. Signal handlers may call it."""
        now_s = time.monotonic()
        if self._asked_s is None:
            self._asked_s = now_s
        elif self._asked_again_s is None:
            self._asked_again_s = now_s
        os.eventfd_write(self._wake, 1)

    def is_over(self) -> bool:
        """Tell whether the second signal was a second ago, after which nothing more is written."""
        return self._asked_again_s is not None and time.monotonic() >= self._asked_again_s + _HASTE_S

    def wait(self, fd: int, haste_s: float = 0.0) -> bool:
        """Wait until the descriptor has room or has lost its reader; tell whether that came in time.

        ``haste_s``: seconds from the second signal on in which it is still waited for.
        """
        begin_s = time.monotonic()
        ready = select.poll()
        ready.register(fd, select.POLLOUT)
        ready.register(self._wake, select.POLLIN)
        while True:
            left_s = self._left_s(begin_s, haste_s)
            # Python resumes a poll that a signal has interrupted, so the signal's handler wakes it by a descriptor.
            found = [one for one, _ in ready.poll(None if left_s is None else left_s * 1000)]
            if fd in found:
                return True
            if self._wake in found:
                os.eventfd_read(self._wake)
            elif left_s is not None and self._left_s(begin_s, haste_s) == 0:
                return False

    def _left_s(self, begin_s: float, haste_s: float) -> float | None:
        if self._asked_again_s is not None:
            return max(self._asked_again_s + haste_s - time.monotonic(), 0.0)
        if self._asked_s is None:
            return None
        return max(max(begin_s, self._asked_s) + _GRACE_S - time.monotonic(), 0.0)


class Writer:
    """Writes all of a text to a descriptor, or raises :class:`StalledError`.

    ``name`` is what errors call it. ``haste_s`` is for the last words: see :meth:`Patience.wait`.
    """

    def __init__(self, fd: int, name: str, patience: Patience, haste_s: float = 0.0) -> None:
        self._fd = fd
        self._name = name
        self._patience = patience
        self._haste_s = haste_s
        self._write = _without_waiting(fd)

    def write(self, data: bytes) -> None:
        """Write all of it. OSError: the kernel's, with the name."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._write(rest) :]
            except BlockingIOError:
                if not self._patience.wait(self._fd, self._haste_s):
                    raise StalledError(self._name) from None
            except OSError as error:
                error.filename = self._name
                raise


def _without_waiting(fd: int) -> Callable[[memoryview], int]:
    """A write(2) that raises BlockingIOError where it would wait, and leaves the description that others share alone.

    Python goes on with a write that a signal has interrupted, and so none may wait for a reader.
    """
    status = os.fstat(fd)
    is_terminal = os.isatty(fd)
    if not (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode) or is_terminal):
        return lambda data: os.write(fd, data)
    try:
        if is_terminal and status.st_rdev == _PTMX:
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
        another = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # a socket, no /proc, another user's pipe or terminal, or nobody reads it
        most = _TERMINAL_BUF if is_terminal else _PIPE_BUF
        return lambda data: _write_if_ready(fd, data[:most])
    return lambda data: os.write(another, data)


def _write_if_ready(fd: int, data: memoryview) -> int:
    ready = select.poll()
    ready.register(fd, select.POLLOUT)
    if not ready.poll(0):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return os.write(fd, data)
