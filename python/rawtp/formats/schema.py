"""Common ground of the formats that follow other people's schemas: nested objects, one a line.

:class:`Documents` encodes what the events of a process have in common once. The functions give the values that such
schemas ask for.
"""

from __future__ import annotations

import json
import os
import shlex
from abc import ABC, abstractmethod
from operator import itemgetter
from typing import TYPE_CHECKING

from rawtp.formats.base import Format
from rawtp.formats.raw_bytes import exact, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from rawtp.event import Event

FIELDS = (
    *("ts_ns", "duration_ns", "cpu", "seq", "lost", "pid", "tid", "ppid", "uid", "gid", "comm", "parent_comm", "exe"),
    *("argv", "euid", "fsuid", "fsgid", "auid", "session_id", "start_ns", "ns_pid", "container_id", "pod_id", "unit"),
    *("syscall", "abi", "via", "action", "range_start", "range_length", "filename", "new_filename"),
    *("path", "new_path", "path_kind", "host_path", "real_path", "new_real_path", "real_path_by", "dev", "ino"),
    *("generation", "nlink", "size", "mode", "file_type", "owner", "mtime_ns", "replaced", "replaced_ino"),
    *("replaced_size", "replaced_nlink", "length", "exchange", "name_status", "ret", "errno"),
)
"""The keys that an object is made of."""

PROCESS = (
    *("pid", "tid", "ppid", "uid", "gid", "comm", "parent_comm", "exe", "argv", "euid", "auid", "session_id"),
    *("start_ns", "ns_pid", "container_id", "pod_id"),
)
"""The keys that stay the same for as long as a thread is what it is."""

EXTRA = ("ancestors", "parent_argv", "cwd", "user", "login")
"""The keys that an object has when they are asked for."""

_TEXTS = (
    *("comm", "parent_comm", "exe", "argv", "filename", "new_filename", "path", "new_path", "host_path", "real_path"),
    "new_real_path",
)
_MAX_KEPT = 1024  # of at most some 20 KB each
_encode = json.JSONEncoder(separators=(",", ":")).encode


CREATIONS = ("mkdir", "mkdirat", "mknod", "mknodat", "link", "linkat", "symlink", "symlinkat")
"""The calls that make a name."""
ATTRIBUTES = (
    *("setxattr", "lsetxattr", "fsetxattr", "setxattrat", "removexattr", "lremovexattr", "fremovexattr"),
    *("removexattrat", "utime", "utimes", "futimesat", "utimensat", "utimensat_time64"),
)
"""The calls that change what is written about a file."""
PERMISSIONS = (
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat", "chown32", "lchown32"),
    "fchown32",
)
"""The calls that change who may use a file."""


class Documents(Format, ABC):
    """A format of one object a line, for events only. It encodes what they have in common once for each process.

    ``extra`` are those of :data:`EXTRA` that the events have, too.
    """

    def __init__(self, extra: Sequence[str] = ()) -> None:
        self.fields = (*FIELDS, *extra)
        self._extra = tuple(extra)
        self._process_of = itemgetter(*PROCESS, *extra)
        self._kept: dict[object, str] = {}

    @abstractmethod
    def common(self, event: Event) -> dict[str, object]:
        """The part of an event's object that depends on the keys of :data:`PROCESS` and :data:`EXTRA` alone."""

    @abstractmethod
    def own(self, event: Event) -> dict[str, object]:
        """The rest of the object, under other keys."""

    def event(self, event: Event) -> str:
        """One event."""
        process = self._process_of(event)
        if (common := self._kept.get(process)) is None:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            common = self._kept[process] = _encode(self.common(event))
        return f"{_encode(self.own(event))[:-1]},{common[1:]}\n"

    def more(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The values of :data:`EXTRA`: ``None`` for those that were not asked for."""
        return {key: event[key] if key in self._extra else None for key in EXTRA}

    def exact_bytes(self, event: Mapping[str, object]) -> dict[str, object]:
        """The bytes of names that are not UTF-8."""
        return exact(event, (*_TEXTS, *self._extra))


def known(**values: object) -> dict[str, object]:
    """Leave out the values that are not known, and empty objects."""
    return {key: value for key, value in values.items() if value is not None and value != {}}


def whole_path(event: Event) -> str | None:
    """The path as the process said it, where it is whole."""
    return _whole(event, event["path"])


def whole_new_path(event: Event) -> str | None:
    """The new path as the process said it, where both are whole."""
    return _whole(event, event["new_path"])


def _whole(event: Event, path: str | None) -> str | None:
    whole = event["name_status"] == "ok" and event["path_kind"] not in {None, "partial"}
    return visible(path) if path is not None and whole else None


def file_path(event: Event) -> str | None:
    """The path of the file: the real one, else the one that the process said."""
    real = event["real_path"]
    return whole_path(event) if real is None else visible(real)


def new_file_path(event: Event) -> str | None:
    """The new path of the file, in the same way."""
    real = event["new_real_path"]
    return whole_new_path(event) if real is None else visible(real)


def claims_and_facts(event: Event) -> dict[str, object]:
    """What the process said, and what neither schema has a name for of what the kernel did."""
    found: dict[str, object] = {
        "range_start": event["range_start"],
        "range_length": event["range_length"],
        "length": event["length"],
        "filename": text(event["filename"]),
        "new_filename": text(event["new_filename"]),
        "path": whole_path(event),
        "new_path": whole_new_path(event),
        "host_path": text(event["host_path"]),
        "path_kind": event["path_kind"],
        "name_status": event["name_status"],
        "real_path_by": event["real_path_by"],
    }
    if event["ino"] is not None:
        found |= {"generation": event["generation"], "nlink": event["nlink"]}
    if event["action"] == "rename":
        found |= {
            "new_real_path": text(event["new_real_path"]),
            "exchange": event["exchange"],
            "replaced": event["replaced"],
            "replaced_ino": event["replaced_ino"],
            "replaced_size": event["replaced_size"],
            "replaced_nlink": event["replaced_nlink"],
        }
    return found


def parts(path: str | None, filename: str | None) -> tuple[str | None, str | None]:
    """The directory, if the path is known, and the name in it, of the name as passed if need be."""
    text = path if path is not None else visible(filename) if filename is not None else None
    if text is None:
        return None, None
    directory, _, name = (text.rstrip("/") or "/").rpartition("/")
    return (directory or "/") if path is not None else None, name or "/"


def words(argv: tuple[str, ...] | None) -> list[str] | None:
    """The arguments as text."""
    return None if argv is None else [visible(word) for word in argv]


def command_line(argv: tuple[str, ...] | None) -> str | None:
    """The arguments as a shell would take them."""
    return None if argv is None else shlex.join(map(visible, argv))


def text(value: str | None) -> str | None:
    """The value as text that UTF-8 can have."""
    return None if value is None else visible(value)


def message(event: Event) -> str | None:
    """The errno in words."""
    ret = event["ret"]
    return os.strerror(-ret) if ret is not None and ret < 0 else None
