"""A plain table of the keys that the user names."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rawtp.formats import ledger
from rawtp.formats.ansi import LOSS, Colours
from rawtp.formats.base import Format
from rawtp.formats.escape import pad, quoted_name, shortened, width
from rawtp.formats.timestamp import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rawtp.event import Event

# The width of nearly all values. A wider one pushes the rest of its row to the right.
_WIDTHS = {
    **dict.fromkeys(("ts_ns", "start_ns", "mtime_ns"), 19),
    **dict.fromkeys(("pid", "tid", "ppid", "ns_pid", "dfd", "cgroup_id"), 7),
    **dict.fromkeys(("pid_ns", "mnt_ns", "duration_ns", "syscall", "range_start", "range_length", "ino"), 11),
    **dict.fromkeys(("generation", "size", "length", "file_type"), 10),
    "action": 8,
    **dict.fromkeys(("comm", "parent_comm", "errno"), 15),
    **dict.fromkeys(("filename", "new_filename", "path", "new_path", "host_path", "exe", "argv", "unit"), 32),
    **dict.fromkeys(("real_path", "new_real_path"), 32),
    "seq": 9,
}
_MIN_LAST = 16


class Table(Format):
    """A table of these keys, in this order; ``-`` is an unknown value. The last column has the rest of a terminal's
    line."""

    def __init__(
        self,
        keys: Sequence[str],
        clock: Clock | None = None,
        screen: Callable[[], int] | None = None,
        colours: Colours | None = None,
    ) -> None:
        self._keys = tuple(keys)
        self.fields = (*self._keys, "ts_ns") if clock else self._keys
        self._clock = clock
        self._screen = screen
        self._colours = colours or Colours(use=False)

    def begin(self, session: Mapping[str, object], *, continues: bool = False) -> str:
        """The titles: the keys themselves."""
        return self._row(["time"] if self._clock else [], list(self._keys))

    def event(self, event: Event) -> str:
        """One row."""
        moment = [self._clock.of_day(event["ts_ns"])] if self._clock else []
        return self._row(moment, [cell(event[key]) for key in self._keys])  # type: ignore[literal-required]

    def lost(self, count: int, event: Event | None) -> str:
        """A row that says so, on a terminal; elsewhere rows are events."""
        if self._screen is None:
            return ""
        where = f" on CPU {event['cpu']}" if event else ""
        return self._colours.paint(LOSS, f"-- lost {ledger.events(count)} here{where} --") + "\n"

    def _row(self, moment: list[str], cells: list[str]) -> str:
        before = [pad(text, 12) for text in moment]
        before += [
            pad(text, max(len(key), _WIDTHS.get(key, 4))) for key, text in zip(self._keys[:-1], cells[:-1], strict=True)
        ]
        start = " ".join([*before, ""])
        last = cells[-1]
        if self._screen:
            last = shortened(last, max(self._screen() - width(start), _MIN_LAST))
        return f"{start}{last}\n"


def cell(value: object) -> str:
    """A value as it stands in the table: safe to write to a terminal."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return '"-"' if value == "-" else quoted_name(value)
    if isinstance(value, bytes):
        return cell(os.fsdecode(value))
    if isinstance(value, dict):
        return ", ".join(f"{key}={cell(one)}" for key, one in value.items())
    if isinstance(value, tuple):
        return "[" + ", ".join(map(cell, value)) + "]"
    return str(value).lower()
