"""What a command made go: events to losses, in bounded memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_LISTED = 20_000
"""The number of different losses that are kept. Others are counted only."""

KINDS = ("deleted", "removed", "overwritten", "truncated", "moved")
"""``removed`` is of directories; ``moved`` is a rename that replaced nothing, as far as that is known."""

FIELDS = (
    *("ts_ns", "pid", "comm", "argv", "action", "syscall", "filename", "new_filename", "path", "new_path", "path_kind"),
    *("real_path", "new_real_path", "nlink", "size", "mtime_ns", "length", "file_type", "range_length", "replaced"),
    *("replaced_size", "replaced_nlink", "exchange", "name_status", "ret", "errno"),
)
"""The keys that are looked at. One that an event does not have is not known."""


@dataclass
class Loss:
    """A name or content that went, once or several times."""

    kind: str
    """One of :data:`KINDS`."""
    path: str | None
    """The file, by what the kernel did where that is known, else by what the process said; ``None`` where neither
    is."""
    other: str | None
    """Of ``moved`` the new path; of ``overwritten`` the path that the replacement had before."""
    is_whole: bool
    """Whether ``path`` is absolute; else it is the name as passed."""
    bytes: int | None
    """What content went, all times together; ``None`` where that is not known of one of them."""
    first_ns: int
    """Unix time in nanoseconds."""
    pid: int
    """The process that did it first, in the host's pid namespace."""
    comm: str
    argv: tuple[str, ...] | None
    mtime_ns: int | None
    size: int | None
    """The file's size before it first went."""
    count: int = 1
    failing: list[str] = field(default_factory=list)
    """The conditions that it meets."""

    @property
    def is_of_content(self) -> bool:
        """Whether there is content to look for elsewhere."""
        return self.kind in {"deleted", "overwritten", "truncated"} and self.is_whole


class Losses:
    """The losses of a command, as its events come."""

    def __init__(self) -> None:
        self.count = 0
        """Calls that made something go, or whose result is not known."""
        self.failed = 0
        """Attempts that failed."""
        self.bytes = 0
        """Content that went, as far as it is known."""
        self.unknown_sizes = 0
        """Calls of which it is not known."""
        self.unlisted = 0
        """Calls whose loss is not in the list, because that is full."""
        self.by_kind: Counter[str] = Counter()
        self._listed: dict[tuple[str, str | None, str | None], Loss] = {}

    @property
    def listed(self) -> list[Loss]:
        """The losses, in the order in which each was first seen."""
        return list(self._listed.values())

    def add(self, events: Iterable[Mapping[str, Any]]) -> list[Loss]:
        """Take these events, and give a loss for each that is one, with its own size; listed or not."""
        found = []
        for event in events:
            if event.get("action", "") is None:  # it makes nothing go
                continue
            ret = event.get("ret")
            if ret is not None and ret < 0:
                self.failed += 1
                continue
            loss = _loss(event)
            found.append(loss)
            self.count += 1
            self.by_kind[loss.kind] += 1
            if loss.bytes is None:
                self.unknown_sizes += 1
            else:
                self.bytes += loss.bytes
        return found

    def keep(self, loss: Loss) -> None:
        """List it, once its conditions are known."""
        key = loss.kind, loss.path, loss.other
        known = self._listed.get(key)
        if known is not None:
            known.count += 1
            known.bytes = None if known.bytes is None or loss.bytes is None else known.bytes + loss.bytes
            known.failing += [one for one in loss.failing if one not in known.failing]
        elif len(self._listed) < MAX_LISTED:
            self._listed[key] = loss
        else:
            self.unlisted += 1


def path_and_bytes(event: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """The path of the file that an event made something go of, or would have; ``None`` where no absolute one is known.
    And how many bytes of content went, 0 where the call failed or makes nothing go; ``None`` where that is not known.
    """
    replaces = event["action"] == "rename" and event["replaced"]
    path, is_whole = _path(event, "new_" if replaces else "")
    ret = event["ret"]
    if event["action"] is None or (ret is not None and ret < 0):
        size: int | None = 0
    else:
        size = _bytes(event, "overwritten" if replaces else _KINDS.get(event["action"], "truncated"))
        if ret is None and size:
            size = None
    return path if is_whole else None, size


def _loss(event: Mapping[str, Any]) -> Loss:
    old, whole = _path(event, "")
    kind, path, other = _KINDS.get(event["action"], "truncated"), old, None
    if event["action"] == "rename":
        new, new_whole = _path(event, "new_")
        if event.get("replaced"):
            kind, path, other, whole = "overwritten", new, old, new_whole
        else:
            kind, other = "moved", new
    return Loss(
        kind=kind,
        path=path,
        other=other,
        is_whole=whole,
        bytes=_bytes(event, kind),
        first_ns=event["ts_ns"],
        pid=event["pid"],
        comm=event["comm"],
        argv=event.get("argv"),
        # Of a rename these are of the file that was moved.
        mtime_ns=None if kind == "overwritten" else event.get("mtime_ns"),
        size=event.get("replaced_size") if kind == "overwritten" else event.get("size"),
    )


_KINDS = {"delete": "deleted", "rmdir": "removed", "rename": "moved"}


def _path(event: Mapping[str, Any], prefix: str) -> tuple[str | None, bool]:
    """The path, and whether it is a whole one."""
    real = event.get(f"{prefix}real_path")
    if real is not None:
        return real, True
    path = event.get(f"{prefix}path")
    if path is not None and event.get("path_kind") not in {None, "partial"} and event.get("name_status") == "ok":
        return path, True
    return path or event.get(f"{prefix}filename"), False


def _bytes(event: Mapping[str, Any], kind: str) -> int | None:
    """How much content went; a file with other links keeps it."""
    if kind == "removed":
        return 0
    if kind == "moved":
        return None if event.get("replaced") is None and not event.get("exchange") else 0
    if kind == "overwritten":
        links, size = event.get("replaced_nlink"), event.get("replaced_size")
        return 0 if links is not None and links > 1 else size
    size, links = event.get("size"), event.get("nlink")
    if kind == "deleted":
        if event.get("file_type") not in {None, "file"} or (links is not None and links > 1):
            return 0
        return size
    if event["action"] == "truncate":
        length = event.get("length")
        return None if size is None or length is None else max(size - length, 0)
    return event.get("range_length")
