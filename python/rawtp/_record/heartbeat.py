"""Proves that the hooks see what happens: calls of this process's own, which must come back through the pipeline."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from typing import Any

    State = Literal["waiting", "ok", "late", "none"]

COMM = "rawtp-record"
"""The name of the recorder's main thread, which makes the calls."""

# Failures of a beat that say nothing about the hooks: the directory is gone or full, and no call may have been made.
_NOT_MADE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}


class Heartbeat:
    """Makes a call every ``interval_s`` seconds, and judges by their count whether they come back.

    It goes by counts, and not by times, because clocks can be set.
    """

    def __init__(
        self, call: Callable[[], None] | None, reason: str | None, interval_s: float, patience_s: float
    ) -> None:
        self._call = call
        self.reason = reason
        """Why there is none; None where there is one."""
        self._interval_s = interval_s
        self._patience_s = patience_s
        self._next_s = 0.0
        self._waits_since_s: float | None = None
        self._seen = 0
        self.state: State = "waiting" if call else "none"
        self.last_s: float | None = None
        """The monotonic time at which one was last seen to have come back."""

    def tick(self, now_s: float, seen: int) -> bool:
        """Make a call if it is time; tell whether one has come back since the last tick. ``seen``: how many have in
        all."""
        came_back = seen > self._seen
        if came_back:
            self._seen = seen
            self._waits_since_s = None
            self.state, self.last_s = "ok", now_s
        elif self._waits_since_s is not None and now_s - self._waits_since_s > self._patience_s:
            self.state = "late"
        if self._call is not None and now_s >= self._next_s:
            self._next_s = now_s + self._interval_s
            if self._beat() and self._waits_since_s is None:
                self._waits_since_s = now_s
        return came_back

    def _beat(self) -> bool:
        assert self._call is not None  # noqa: S101 - for the type checker
        try:
            self._call()
        except OSError as error:
            # A name that is not there is what most beats are about.
            return error.errno not in _NOT_MADE
        return True


def name_thread() -> None:
    """Give the calling thread, which must be the main one, the name :data:`COMM`: a filter by name goes by it."""
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as file:  # noqa: PTH123 - start-up time
            file.write(COMM)
    except OSError:  # no /proc; it is only a name
        pass


def choose(
    syscalls: Collection[str], filters: Mapping[str, Any], path: str
) -> tuple[Callable[[], None] | None, str | None]:
    """The call that such a tracer sees, as a function, or the reason why there is none.

    It names a missing file, so that it writes nothing to the disk; where only calls that succeed are watched, one
    that it makes before.
    """
    if (reason := _left_out(filters, path)) is not None:
        return None, reason
    succeeds = filters.get("outcome") == "ok"
    for name, call in _succeeding(path).items() if succeeds else _failing(path).items():
        if name in syscalls:
            return call, None
    return None, "none of the calls that are watched can be made as one"


def admitted(filters: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The filters with this process's own calls on ``path`` let through."""
    more: dict[str, list[Any]] = {"pid": [os.getpid()], "comm": [COMM], "path": [_as_filtered(filters, path)]}
    return {
        name: [*value, *more[name]] if name in more and isinstance(value, list) else value
        for name, value in filters.items()
    }


def _as_filtered(filters: Mapping[str, Any], path: str) -> str | None:
    """The path as filters name it, which is the host's; None where the host has none."""
    if "path" not in filters or "root" not in filters:
        return path
    from rawtp._core import _host_path

    return _host_path(filters["root"], path)


def _left_out(filters: Mapping[str, Any], path: str) -> str | None:
    if filters.get("exclude_self"):
        return "--exclude-self leaves the recorder out"
    if filters.get("cgroup"):
        return "--cgroup leaves the recorder out"
    if filters.get("uid") and not {os.getuid(), os.geteuid()} & {*filters["uid"]}:
        return "--user leaves the recorder out"
    if _as_filtered(filters, path) is None:
        return "--path leaves the recorder's directory out, which is not below --root"
    return None


def _failing(path: str) -> dict[str, Callable[[], None]]:
    # With a descriptor Python makes the call that takes one; the path is absolute, so that it is not looked at.
    at = {"dir_fd": 0}
    return {
        "unlinkat": lambda: os.unlink(path, **at),
        "unlink": lambda: os.unlink(path),  # noqa: PTH108
        "rmdir": lambda: os.rmdir(path),  # noqa: PTH106
        "renameat": lambda: os.rename(path, path, src_dir_fd=0, dst_dir_fd=0),
        "rename": lambda: os.rename(path, path),  # noqa: PTH104
        "truncate": lambda: os.truncate(path, 0),
    }


def _succeeding(path: str) -> dict[str, Callable[[], None]]:
    def made(remove: Callable[[], None]) -> Callable[[], None]:
        def beat() -> None:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            remove()

        return beat

    failing = _failing(path)
    return {name: made(failing[name]) for name in ("unlinkat", "unlink")}
