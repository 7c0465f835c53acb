"""An alert, and how it is told: as a line, as JSON, as environment variables."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from rawtp.formats import ledger, story
from rawtp.formats.escape import printable, quoted_name
from rawtp.formats.jsonl import line
from rawtp.formats.raw_bytes import visible

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    from rawtp.event import Event

    Kind = Literal["event", "count", "repeat", "loss"]

FIELDS = (
    *("ts_ns", "cpu", "seq", "lost", "via", "pid", "ppid", "uid", "euid", "fsuid", "auid", "comm", "parent_comm"),
    *("exe", "argv", "argv_truncated", "container_id", "pod_id", "unit", "syscall", "action", "filename"),
    *("new_filename", "path", "new_path", "path_kind", "host_path", "real_path", "new_real_path", "real_path_by"),
    *("dev", "ino", "nlink", "size", "file_type", "replaced", "replaced_size", "replaced_nlink", "length", "exchange"),
    *("range_start", "range_length", "name_status", "ret", "errno"),
)
"""The keys of an event that an alert tells, and that conditions look at."""

NAMES = ("user", "login", "container_name", "pod", "namespace", "image")
"""What is looked up when an alert is sent; an alert has those that are known."""

_IN_ENVIRONMENT = (
    *("ts_ns", "pid", "ppid", "uid", "auid", "comm", "exe", "container_id", "pod_id", "unit", "syscall", "action"),
    *("path", "new_path", "real_path", "new_real_path", "size", "ret", "errno"),
)
_MAX_COMMAND = 120  # cells


@dataclass(frozen=True)
class Alert:
    """What a rule has to say.

    ``kind``: ``"event"``, an event that the rule matches; ``"count"``, enough of them within its window; ``"repeat"``,
    those since the alert before, which the rule's cool-down has held back; ``"loss"``, events that were lost.
    """

    rule: str
    kind: Kind
    count: int
    """The events that it stands for. The counts of a rule's alerts add up to its matches, but for those that a window
    let go."""
    first_ns: int
    last_ns: int
    """Unix times of the first and of the last of them."""
    group: Mapping[str, object]
    """The values that the rule counts by."""
    event: Event | None
    """The last of them; None for a loss."""
    window_s: float | None = None
    id: str = ""
    """Stays the same when it is sent again: see :func:`identity`."""
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str | None:
        """The key of its event, which tells it from every other one of any host. None where nothing is recorded."""
        return _key(self.event)

    def message(self) -> str:
        """One line, safe to write to a terminal."""
        what = "" if self.event is None else f"{_actor(self.event)} {story.deed(self.event)}"
        if self.kind == "loss":
            text = f"{ledger.events(self.count)} lost"
        elif self.kind == "count":
            text = f"{ledger.events(self.count)} within {self.window_s:g} s, the last: {what}"
        elif self.kind == "repeat":
            text = f"{ledger.counted(self.count, 'more event')}, the last: {what}"
        else:
            text = what
        return f"{printable(self.rule)}: {text}"

    def json(self, host: str) -> str:
        """One object of ASCII JSON, without a line's end."""
        document: dict[str, Any] = {
            "type": "alert",
            "version": 1,
            "id": self.id,
            "key": self.key,
            "host": visible(host),
            "rule": self.rule,
            "kind": self.kind,
            "count": self.count,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "message": self.message(),
            "group": {key: visible(value) if isinstance(value, str) else value for key, value in self.group.items()},
            "names": {key: visible(value) for key, value in self.names.items()},
        }
        text = json.dumps(document, separators=(",", ":"))
        if self.event is None:
            return text
        known = [key for key in FIELDS if key in self.event]
        # As JSON lines have it: undecoded bytes are seen, and exact in keys of their own.
        return f'{text[:-1]},"event":{line(self.event, known).rstrip()}}}'

    def environment(self, host: str) -> dict[str, str]:
        """Variables ``RAWTP_*``. What is not known has none. Names are the bytes that they are."""
        found: dict[str, object] = {
            "id": self.id,
            "key": self.key,
            "host": host,
            "rule": self.rule,
            "kind": self.kind,
            "count": self.count,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "message": self.message(),
            **self.names,
        }
        if self.event is not None:
            found |= {key: self.event.get(key) for key in _IN_ENVIRONMENT}
        return {
            f"RAWTP_{key.upper()}": str(value).replace("\0", "") for key, value in found.items() if value is not None
        }


def identity(rule: str, kind: Kind, count: int, event: Event | None) -> str:
    """An alert's number, in hexadecimal: by what is recorded, so that it is the same one after a kill; else random."""
    key = _key(event)
    if key is None:
        return os.urandom(16).hex()
    return sha256(f"{rule}\0{kind}\0{count}\0{key}".encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _key(event: Mapping[str, Any] | None) -> str | None:
    return None if event is None else event.get("key")


def _actor(event: Mapping[str, Any]) -> str:
    container = f", container {printable(event['container_id'][:12])}" if event.get("container_id") else ""
    who = story.command(event.get("argv"), event["comm"], _MAX_COMMAND)
    name = quoted_name(event["comm"])
    shown = who if who.startswith(name) else f"{name} [{who}]"
    return f"{shown} (pid {event['pid']}, user {event['uid']}{container})"
