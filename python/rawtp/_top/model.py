"""Everything that ``rawtp top`` counts."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

from rawtp._report.losses import path_and_bytes
from rawtp._top.row import Row
from rawtp._top.table import DirectoryTable, Table
from rawtp.formats.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from rawtp._top.row import Recent

SHOWN = Columns.fields
"""The keys of the events that a row keeps."""

FIELDS = (*SHOWN, "start_ns", "argv", "container_id", "pod_id", "unit")
"""The keys that events must have."""

_shown = itemgetter(*SHOWN)


class Model:
    """Counts by process, directory, container and unit, each in a table that has a bound, and of all.

    It knows no clock: times are seconds of any clock that does not go back, 0 or later. One thread at a time uses it.
    """

    def __init__(self, begin_s: float, max_rows: int | None = None) -> None:
        bound = {} if max_rows is None else {"max_rows": max_rows}
        self.begin_s = begin_s
        """When the counting began."""
        self.total = Row(None)
        """All events."""
        self.tables: dict[str, Table] = {
            "process": Table(**bound),
            "directory": DirectoryTable(**bound),
            "container": Table(**bound),
            "unit": Table(**bound),
        }

    def add(self, events: Iterable[Mapping[str, Any]], now_s: float) -> None:
        """Count these events, as of now."""
        second = int(now_s)
        total = self.total
        processes, directories, containers, units = self.tables.values()
        for event in events:
            ret = event["ret"]
            failed = ret is not None and ret < 0
            path, size = path_and_bytes(event)
            total.add(second, failed, size)
            recent: Recent = (total.events, _shown(event))
            directory = None if path is None else path.rpartition("/")[0] or "/"
            process = processes.row((event["pid"], event["start_ns"]), second)
            process.names = (event["pid"], event["uid"], event["comm"], event["argv"])
            container = containers.row(event["container_id"], second)
            container.names = (event["container_id"], event["pod_id"])
            for row in (process, directories.row(directory, second), container, units.row(event["unit"], second)):
                row.add(second, failed, size)
                row.recent.append(recent)

    def copy(self, names: Iterable[str] | None = None) -> Model:
        """A model with the same counts, which this one's growth does not change; only with the tables of these names,
        where there are any."""
        made = Model(self.begin_s)
        made.total = self.total.copy()
        made.tables = {name: self.tables[name].copy() for name in (self.tables if names is None else names)}
        return made


def event_of(recent: Recent) -> dict[str, Any]:
    """The event that a row keeps, with the keys of :data:`SHOWN`."""
    return dict(zip(SHOWN, recent[1], strict=True))
