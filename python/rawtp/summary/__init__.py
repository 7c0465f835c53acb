"""Counts of deletions by process, by directory and by result, in bounded memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rawtp.formats.escape import quoted_name
from rawtp.summary.directories import DirectoryCounts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rawtp.event import Event

_ROWS = 10
_MAX_KEPT = 2048  # then the rarer half is folded into one


class Summary:
    """Counts by process, by directory, by result."""

    fields = (
        "pid",
        "uid",
        "comm",
        "action",
        "syscall",
        "path",
        "path_kind",
        "real_path",
        "name_status",
        "ret",
        "errno",
    )

    def __init__(self) -> None:
        self._processes: Counter[tuple[str, int, int]] = Counter()
        self._folded = 0
        self._directories = DirectoryCounts()
        self._results: Counter[tuple[str, str]] = Counter()

    def add(self, events: Iterable[Event]) -> None:
        """Count these events, too."""
        for event in events:
            ret = event["ret"]
            result = "?" if ret is None else "ok" if ret >= 0 else event["errno"] or str(ret)
            self._results[event["action"] or event["syscall"] or "?", result] += 1
            self._processes[event["comm"], event["pid"], event["uid"]] += 1
            if len(self._processes) > _MAX_KEPT:
                self._fold()
            if ret == 0 and event["action"] in {"delete", "rmdir"}:
                self._directories.add(_path(event), is_directory=event["action"] == "rmdir")

    def lines(self) -> list[str]:
        """The tables as text."""
        return [
            line
            for title, rows in self.sections()
            for line in (title + ":", *(f"  {count:>9}  {text}" for count, text in rows))
        ]

    def sections(self) -> list[tuple[str, list[tuple[int, str]]]]:
        """Three tables, or those of them that have rows: a title; how many of what, the most first."""
        rows = [
            (count, f"{quoted_name(comm)} (pid {pid}, uid {uid})")
            for (comm, pid, uid), count in self._processes.most_common(_ROWS)
        ]
        rest = sum(self._processes.values()) - sum(count for count, _ in rows)
        if rest + self._folded:
            rows.append((rest + self._folded, "by others"))
        results = [(count, f"{action}: {result}") for (action, result), count in self._results.most_common()]
        directories = [(count, _directory_name(path)) for path, count in self._directories.top(_ROWS)]
        tables = [("by process", rows), ("deleted, by directory", directories), ("by result", results)]
        return [(title, rows) for title, rows in tables if rows]

    def _fold(self) -> None:
        kept = self._processes.most_common(_MAX_KEPT // 2)
        self._folded += sum(self._processes.values()) - sum(count for _, count in kept)
        self._processes = Counter(dict(kept))


def _path(event: Event) -> str | None:
    """The path of what was deleted, else what the process said, if that is whole."""
    if event["real_path"] is not None:
        return event["real_path"]
    return event["path"] if event["name_status"] == "ok" and event["path_kind"] not in {None, "partial"} else None


def _directory_name(path: str | None) -> str:
    return "(no whole path)" if path is None else quoted_name(path)
