"""What ``rawtp top`` counts, without a tracer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from helpers.samples import EMPTIED, RM
from rawtp._top.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rawtp.event import Event

LEDGER: dict[str, int | None] = {
    **dict.fromkeys(("filtered", "lost_ring", "lost_state", "pending", "buffered", "discarded", "missed"), 0),
    **dict.fromkeys(("lost_exits", "unfollowed"), 0),
    "matched": 6,
    "delivered": 6,
}


class PretendSource:
    """Counts that a test changes, at a time that a test sets."""

    def __init__(self, now_s: float = 100.0) -> None:
        self.now_s = now_s
        self.model = Model(now_s)
        self.lock = threading.Lock()
        self.has_ended = False
        self.ledger = dict(LEDGER)

    def clock(self) -> float:
        return self.now_s

    def counts(self) -> Mapping[str, int | None]:
        return self.ledger

    def add(self, *events: Event) -> None:
        self.model.add(events, self.now_s)


def deleted(path: str, size: int | None = 1024, pid: int = 10, comm: str = "rm", **changes: object) -> Event:
    """A deletion by a process."""
    found: Event = {**RM, "path": path, "real_path": path, "filename": path, "size": size, "pid": pid, "comm": comm}
    found["argv"] = (comm, path)
    return {**found, **changes}  # type: ignore[typeddict-item]


def refused(path: str, pid: int = 10, comm: str = "rm", **changes: object) -> Event:
    """A deletion that failed."""
    return deleted(path, None, pid, comm, **{"ret": -13, "errno": "EACCES", "nlink": None, **changes})


def emptied(path: str, size: int | None, pid: int = 20, comm: str = "logger") -> Event:
    """A truncation of all of a file."""
    return {**EMPTIED, "path": path, "real_path": path, "size": size, "pid": pid, "comm": comm, "argv": (comm,)}
