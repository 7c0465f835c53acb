"""Where events go: standard output, or a file that can be opened anew."""

from __future__ import annotations

import codecs
import errno
import os
import select
import stat

from rawtp.formats.text import escape_unencodable

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    from typing import TextIO

codecs.register_error("rawtp.escape", escape_unencodable)

# Never through a link that someone else has put there, and without waiting for the reader of a fifo.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class Standard:
    """Standard output."""

    continues = False

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.is_terminal = stream.isatty()
        try:
            self._fd: int | None = stream.fileno()
        except OSError:  # in a test or a notebook, standard output may be no file
            self._fd = None

    def width(self) -> int:
        """The terminal's, now: asked each time, it follows a change of size by itself."""
        try:
            return os.get_terminal_size(self._fd or 1).columns or 80
        except OSError:
            return 80

    def reopened(self) -> bool:
        """Never."""
        return False

    def write(self, text: str, encoding: str | None = None) -> None:
        """All of it, in this encoding or in the stream's own."""
        if self._fd is None:
            self._stream.write(text)
            self._stream.flush()
        else:
            _write_all(self._fd, text.encode(encoding or self._stream.encoding, "rawtp.escape"))


class File:
    """A regular file of this name, which is appended to, and made for its owner only where there is none."""

    is_terminal = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._stale = False
        self._fd, self.continues = _opened(path)

    def on_hangup(self, *_: object) -> None:
        """SIGHUP: the file has another name by now."""
        self._stale = True

    def reopened(self) -> bool:
        """Open the file of that name anew, if that was asked for since the last time; whether it was."""
        if not self._stale:
            return False
        self._stale = False
        old = self._fd
        self._fd, self.continues = _opened(self._path)
        os.close(old)
        return True

    def write(self, text: str, encoding: str | None = None) -> None:
        """All of it, in this encoding or in UTF-8."""
        try:
            _write_all(self._fd, text.encode(encoding or "utf-8", "rawtp.escape"))
        except OSError as error:
            error.strerror = f"{self._path}: {error.strerror}"
            raise


def _opened(path: str) -> tuple[int, bool]:
    """A descriptor, and whether something is in the file already."""
    try:
        fd = os.open(path, _FLAGS, 0o600)
    except OSError as error:
        reasons = {errno.ELOOP: "is a symbolic link", errno.ENXIO: "is no regular file", errno.EISDIR: "is a directory"}
        reason = reasons.get(error.errno or 0)
        error.strerror = f"{path} {reason}" if reason else f"{path}: {error.strerror}"
        raise
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, f"{path} is no regular file")
    # Where a disk was full a line was cut off: what comes now is to be one of its own.
    if status.st_size and os.pread(fd, 1, status.st_size - 1) != b"\n":
        os.write(fd, b"\n")
    return fd, status.st_size > 0


def _write_all(fd: int, data: bytes) -> None:
    # CPython's buffered writer drops the rest of what a signal interrupts: Ctrl-C must not cost a slow reader any.
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:  # another process has made the terminal or pipe that we share non-blocking
            select.select([], [fd], [])
