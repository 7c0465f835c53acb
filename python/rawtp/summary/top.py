"""The programs, directories and users with the most events, in bounded memory."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rawtp.summary.directories import DirectoryCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_MAX_KEPT = 4096  # then the rarer half is folded into one


class Top:
    """Counts by process name, by user, and by directory."""

    fields = ("comm", "uid", "action", "path", "path_kind", "real_path", "name_status", "ret")

    def __init__(self) -> None:
        self._processes: Counter[str] = Counter()
        self._users: Counter[int] = Counter()
        self._others = {"process": 0, "user": 0}
        self._directories = DirectoryCounts()

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Count these events, too."""
        for event in events:
            self._processes[event["comm"]] += 1
            self._users[event["uid"]] += 1
            if event["ret"] == 0 and event["action"] in {"delete", "rmdir"}:
                self._directories.add(_path(event), is_directory=event["action"] == "rmdir")
        if len(self._processes) > _MAX_KEPT:
            self._fold("process", self._processes)
        if len(self._users) > _MAX_KEPT:
            self._fold("user", self._users)

    def rows(self, count: int) -> dict[str, list[tuple[str | int | None, int]]]:
        """So many of each kind with their counts, the most first. ``None`` has all others together, and directories
        that are not known; the sums are exact."""
        tables: dict[str, list[tuple[str | int | None, int]]] = {}
        kinds: tuple[tuple[str, Counter[str] | Counter[int]], ...] = (
            ("process", self._processes),
            ("user", self._users),
        )
        for kind, counter in kinds:
            first = counter.most_common(count)
            rest = sum(counter.values()) - sum(number for _, number in first) + self._others[kind]
            tables[kind] = [*first, *([(None, rest)] if rest else [])]
        tables["directory"] = [*self._directories.top(count)]
        return tables

    def _fold(self, kind: str, counter: Counter[str] | Counter[int]) -> None:
        kept = counter.most_common(_MAX_KEPT // 2)
        self._others[kind] += sum(counter.values()) - sum(number for _, number in kept)
        counter.clear()
        counter.update(dict(kept))  # type: ignore[arg-type]


def _path(event: Mapping[str, Any]) -> str | None:
    """The path of what was deleted, else what the process said, if that is whole."""
    if event["real_path"] is not None:
        return event["real_path"]  # type: ignore[no-any-return]
    return event["path"] if event["name_status"] == "ok" and event["path_kind"] not in {None, "partial"} else None
