"""What lstat(2) says of a file before a call, beside what its event says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import rawtp

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYTHING = rawtp.DELETE + rawtp.RENAME + rawtp.TRUNCATE


class Facts(NamedTuple):
    """A file, and the one name of it that no symbolic link leads to."""

    real_path: str | None
    dev: int | None
    ino: int | None
    nlink: int | None
    size: int | None
    mode: int | None
    owner: int | None
    mtime_ns: int | None


def facts(path: Path) -> Facts:
    """Those of a file as it is now. A symbolic link as the last component is itself."""
    real_path = os.path.realpath(path.parent) + "/" + path.name
    stat = path.lstat()
    return Facts(
        real_path, stat.st_dev, stat.st_ino, stat.st_nlink, stat.st_size, stat.st_mode, stat.st_uid, stat.st_mtime_ns
    )


def told(event: rawtp.Event) -> Facts:
    """Those that an event has."""
    return Facts(
        event["real_path"],
        event["dev"],
        event["ino"],
        event["nlink"],
        event["size"],
        event["mode"],
        event["owner"],
        event["mtime_ns"],
    )


def in_fork(action: Callable[[], object]) -> int:
    """Does it in a fork, whose pid it gives. Errors of the system's are no matter."""
    pid = os.fork()
    if not pid:
        try:
            action()
        except OSError:
            pass
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    return pid
