"""Writes metrics into a file, as node_exporter's textfile collector reads it."""

from __future__ import annotations

import contextlib
import os

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write(path: str, text: str) -> None:
    """Put this text in place of the file. A reader finds the old one or the new one, whole.

    Raises:
        OSError: it cannot be written.
    """
    directory, name = os.path.split(path)
    # The collector reads *.prom alone.
    beside = os.path.join(directory, f".{name}.{os.getpid()}")  # noqa: PTH118 - start-up time
    try:
        fd = os.open(beside, _FLAGS, 0o644)
    except FileExistsError:  # of a process of this number that was killed
        os.unlink(beside)  # noqa: PTH108
        fd = os.open(beside, _FLAGS, 0o644)
    try:
        with os.fdopen(fd, "wb") as file:
            # Whatever the umask is, node_exporter has another user.
            os.fchmod(file.fileno(), 0o644)
            file.write(text.encode())
        os.rename(beside, path)  # noqa: PTH104
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)  # noqa: PTH108
        raise
