"""Recorded events, and a history that only pretends."""

from __future__ import annotations

import os
from typing import Any, ClassVar

import rawtp
from helpers.samples import MOVED, RM

HOST = os.uname().nodename
SESSION = 1_699_999_000_000_000_000
SECOND_NS = 1_000_000_000


def recorded(event: rawtp.Event = RM, **changes: Any) -> dict[str, Any]:
    """An event as it comes out of a history: the keys that are not recorded are None."""
    return {
        "session": SESSION,
        "host": HOST,
        **event,
        **dict.fromkeys(("parent_argv", "cwd", "user", "login", "freed")),
        "name": event["real_path"],
        "relation": "path",
        **changes,
    }


DELETED = recorded(
    ancestors=((12000, "sh", ("sh", "clean.sh")), (800, "cron", None)), auid=1000, uid=0, euid=0, fsuid=0
)
REPLACED = recorded(MOVED, seq=6, ts_ns=RM["ts_ns"] - 5 * SECOND_NS, relation="before", name="/srv/new")


class PretendHistory:
    """Answers with what it was given."""

    answer: ClassVar[list[dict[str, Any]]] = [DELETED, REPLACED]
    found_gaps: ClassVar[list[dict[str, Any]]] = []
    found_losses: ClassVar[list[dict[str, Any]]] = []
    damaged: ClassVar[list[str]] = []
    watched: ClassVar[list[tuple[int, int]]] = [(SESSION, RM["ts_ns"] + 60 * SECOND_NS)]
    asked: ClassVar[list[tuple[str, tuple[Any, ...], dict[str, Any]]]]

    directory: ClassVar[str]
    root = "/"

    def __init__(self, directory: str, *, root: str | None = None) -> None:
        type(self).directory = directory
        self.root = root or "/"
        type(self).asked = []

    def _who(self, *arguments: Any, **named: Any) -> tuple[list[dict[str, Any]], list[str]]:
        self.asked.append(("who", arguments, named))
        return self.answer[: named["limit"]], self.damaged

    def scan(self, *arguments: Any, **named: Any) -> PretendScan:
        self.asked.append(("scan", arguments, named))
        return PretendScan([self.answer])

    def gaps(self, *window: Any) -> list[dict[str, Any]]:
        self.asked.append(("gaps", window, {}))
        return self.found_gaps

    def containers(self) -> list[dict[str, Any]]:
        return []

    def losses(self, *window: Any) -> list[dict[str, Any]]:
        return self.found_losses

    def coverage(self) -> list[tuple[int, int]]:
        return self.watched

    def sessions(self) -> list[dict[str, Any]]:
        info = '{"kernel":"6.18\\u001b[31m","version":"0.1.0","filters":{"uid":[0]}}'
        times = {"session": SESSION, "start_ns": SESSION, "through_ns": SESSION + SECOND_NS, "closed": False}
        return [{**times, "host": HOST, "boot_id": "b", "machine_id": "m", "info": info}]

    def is_recording(self) -> bool:
        return True

    def stats(self) -> dict[str, Any]:
        counts = {"segments": 2, "segment_bytes": 4096, "wal_files": 1, "wal_bytes": 100, "events": 100}
        times = {"first_ns": SESSION, "last_ns": SESSION + 86_400 * SECOND_NS}
        return {**counts, **times, "quarantined": 1, "expired": 3, "journal_lines": 9, "journal_damaged_lines": 0}

    def verify(self) -> list[str]:
        return ["events/\x1b[31m.parquet"]


class PretendScan:
    """Batches of one damaged file, and of one that is well."""

    damaged: ClassVar[list[str]] = ["events/x.parquet"]

    def __init__(self, batches: list[list[dict[str, Any]]]) -> None:
        self._steps: list[Any] = [rawtp.RawtpError("events/x.parquet: is damaged"), *map(PretendBatch, batches)]

    def __iter__(self) -> PretendScan:
        return self

    def __next__(self) -> PretendBatch:
        if not self._steps:
            raise StopIteration
        step = self._steps.pop(0)
        if isinstance(step, Exception):
            raise step
        assert isinstance(step, PretendBatch)
        return step


class PretendBatch:
    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._events = events

    def __len__(self) -> int:
        return len(self._events)

    def _dicts(self, first: int, count: int) -> list[dict[str, Any]]:
        return self._events[first : first + count]
