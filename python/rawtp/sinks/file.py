"""A regular file to append to, which is opened anew when its name belongs to another one."""

from __future__ import annotations

import errno
import os
import stat
import time

# Never through a link that someone else has put there, and without waiting for the reader of a fifo.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_LOOK_S = 0.1  # between looks at the name; one costs as much as some of the writes


class File:
    """A regular file of this name, which is appended to, and made for its owner only where there is none."""

    is_terminal = False
    encoding = "utf-8"

    def __init__(self, path: str) -> None:
        self.path = path
        self._hung_up = False
        self._looked_s = time.monotonic()
        self._fd, self.continues = _opened(path)

    def on_hangup(self, *_: object) -> None:
        """Handle SIGHUP: the file has another name by now."""
        self._hung_up = True

    def reopened(self, *, now: bool = False) -> bool:
        """Open the file of that name anew if the name is no longer this file's; tell whether it was.

        Looked at ten times a second at the most, and at once after SIGHUP or if ``now``. OSError: it cannot be opened.
        """
        now_s = time.monotonic()
        if not (now or self._hung_up or now_s >= self._looked_s + _LOOK_S):
            return False
        self._hung_up, self._looked_s = False, now_s
        if self._has_its_name():
            return False
        old = self._fd
        self._fd, self.continues = _opened(self.path)
        os.close(old)
        return True

    def _has_its_name(self) -> bool:
        own = os.fstat(self._fd)
        try:
            named = os.stat(self.path, follow_symlinks=False)  # noqa: PTH116 - for each batch of events
        except OSError:  # the attempt to open it raises the error
            return False
        return (named.st_dev, named.st_ino) == (own.st_dev, own.st_ino)

    def write(self, text: str, encoding: str | None = None) -> None:
        """Write all of it, in this encoding or in the file's own."""
        self.write_bytes(text.encode(encoding or self.encoding, "rawtp.escape"))

    def write_bytes(self, data: bytes) -> None:
        """Write all of it."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            error.filename = self.path
            raise


def _opened(path: str) -> tuple[int, bool]:
    """A descriptor, and whether something is in the file already."""
    try:
        fd = os.open(path, _FLAGS, 0o600)
    except OSError as error:
        reasons = {errno.ELOOP: "is a symbolic link", errno.ENXIO: "is no regular file", errno.EISDIR: "is a directory"}
        error.strerror = reasons.get(error.errno or 0, error.strerror)
        raise
    try:
        return fd, _continues(fd)
    except OSError as error:
        os.close(fd)
        error.filename = path
        raise


def _continues(fd: int) -> bool:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is no regular file")
    # A full disk has cut a line off. End it, so that the next event gets a line of its own.
    if status.st_size and os.pread(fd, 1, status.st_size - 1) != b"\n":
        os.write(fd, b"\n")
    return status.st_size > 0
