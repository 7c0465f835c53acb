"""Keeps on the disk what was acknowledged: by a receiver, or by the alerts.

An event's place is its session, the number of its log, the number of its batch in that, and its row. A log that is
sealed while it is being delivered is found as a file of another order. So the events of the current log that were
acknowledged are known by their keys, too: as ranges of ``seq`` for each ``via`` and ``cpu``.
"""

from __future__ import annotations

import json
import os
import zlib
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

VERSION = 1
_MAX_RANGES = 10_000


class Seen:
    """Keys of events, as ranges of ``seq`` for each ``via`` and ``cpu``.

    The bound of their number gives the keys up: then what was acknowledged of a log is delivered again.
    """

    def __init__(self, ranges: Mapping[str, list[list[int]]] | None = None) -> None:
        self.ranges: dict[str, list[list[int]]] = {
            place: [*map(list, found)] for place, found in (ranges or {}).items()
        }
        self.is_given_up = ranges is None

    def add(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Add the keys of events."""
        if self.is_given_up:
            return
        found: dict[str, list[int]] = {}
        for event in events:
            found.setdefault(f"{event['via']}/{event['cpu']}", []).append(event["seq"])
        for place, numbers in found.items():
            numbers.sort()
            ranges = self.ranges.setdefault(place, [])
            fresh: list[list[int]] = []
            for number in numbers:
                if fresh and number <= fresh[-1][1] + 1:
                    fresh[-1][1] = max(fresh[-1][1], number)
                else:
                    fresh.append([number, number])
            self.ranges[place] = _merged(ranges, fresh)
        if sum(map(len, self.ranges.values())) > _MAX_RANGES:
            self.ranges, self.is_given_up = {}, True

    def __contains__(self, event: Mapping[str, Any]) -> bool:
        ranges = self.ranges.get(f"{event['via']}/{event['cpu']}")
        if not ranges:
            return False
        from bisect import bisect_right

        at = bisect_right(ranges, event["seq"], key=lambda found: found[0]) - 1
        return at >= 0 and ranges[at][0] <= event["seq"] <= ranges[at][1]


def _merged(ranges: list[list[int]], fresh: list[list[int]]) -> list[list[int]]:
    if not ranges or not fresh or fresh[0][0] > ranges[-1][1] + 1:
        return ranges + fresh
    if len(fresh) == 1 and fresh[0][0] >= ranges[-1][0]:
        ranges[-1][1] = max(ranges[-1][1], fresh[0][1])
        return ranges
    merged: list[list[int]] = []
    for one in sorted(ranges + fresh):
        if merged and one[0] <= merged[-1][1] + 1:
            merged[-1][1] = max(merged[-1][1], one[1])
        else:
            merged.append(list(one))
    return merged


class Place:
    """How far a session was acknowledged: all logs before ``log`` were, and of that one the batches before ``batch``,
    ``row`` rows of that, and ``files``: so many rows of each sealed file. ``rows`` events of the log were acknowledged
    before it was sealed, and ``seen`` are their keys."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        values = values or {"log": 1, "batch": 0, "row": 0, "offset": 0, "rows": 0, "seen": {}, "files": {}}
        self.log = int(values["log"])
        self.batch = int(values["batch"])
        self.row = int(values["row"])
        self.offset = int(values["offset"])
        self.rows = int(values["rows"])
        self.seen = Seen(values["seen"])
        self.files = {str(name): int(rows) for name, rows in values["files"].items()}

    def next_log(self, number: int) -> None:
        """Go on with another log."""
        self.log, self.row, self.offset, self.rows = number, 0, 0, 0
        self.seen, self.files = Seen({}), {}

    def to_dict(self) -> dict[str, Any]:
        """The values, for JSON."""
        seen = None if self.seen.is_given_up else self.seen.ranges
        numbers = {"log": self.log, "batch": self.batch, "row": self.row, "offset": self.offset, "rows": self.rows}
        return {**numbers, "seen": seen, "files": self.files}


class Position:
    """What a receiver has acknowledged of a directory."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        values = values or {}
        self._places = {int(session): Place(place) for session, place in values.get("sessions", {}).items()}
        self.journal: list[int] | None = values.get("journal")
        """The session and the number of the last line of the journal."""
        self.containers: list[int] | None = values.get("containers")
        """The inode of the file of containers' names, and the offset behind the last line, where files are taken."""

    def place(self, session: int) -> Place:
        """The place in a session."""
        return self._places.setdefault(session, Place())

    def keep(self, sessions: Iterable[int]) -> None:
        """Forget all other sessions, whose files are gone."""
        self._places = {session: self._places[session] for session in sessions if session in self._places}

    def to_dict(self) -> dict[str, Any]:
        """The values, for JSON."""
        sessions = {str(session): place.to_dict() for session, place in self._places.items()}
        of_containers = {} if self.containers is None else {"containers": self.containers}
        return {"sessions": sessions, "journal": self.journal, **of_containers}


class PositionFile:
    """A position's files, ``NAME.json`` and ``NAME.1.json``, which are overwritten in turn, so that one of them is
    whole whatever happens; and a lock, so that there is one process for each.

    Nothing is renamed, removed or cut off: the recorder would record that, and it would be shipped, and so on.

    Raises:
        BlockingIOError: another process has the lock.
        OSError: the directory cannot be written.
    """

    def __init__(self, directory: str, name: str) -> None:
        import fcntl

        with suppress(FileExistsError):
            os.makedirs(directory, mode=0o750)  # noqa: PTH103
        self.path = f"{directory}/{name}.json"
        self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._files: list[int] = []
        self._beat = 0
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            for slot in slots(name):
                self._files.append(os.open(slot, flags, 0o640, dir_fd=self._directory))
            fcntl.flock(self._files[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fsync(self._directory)
        except OSError:
            self.close()
            raise

    def read(self) -> dict[str, Any] | None:
        """The values that were written last; None when there are none.

        Raises:
            ValueError: both files are damaged, or of another version.
        """
        contents = [os.pread(fd, os.fstat(fd).st_size, 0) for fd in self._files]
        found = [values for values in map(parse, contents) if values is not None]
        if not found:
            if any(content.strip() for content in contents):
                raise ValueError(f"{self.path} is damaged, or of another version: remove it to begin anew")
            return None
        values = max(found, key=lambda one: one["beat"])
        self._beat = values["beat"]
        return values

    def write(self, values: Mapping[str, Any]) -> None:
        """Write the values to the older one of the files, and have it written to the disk."""
        self._beat += 1
        content = compose({"version": VERSION, "beat": self._beat, **values})
        fd = self._files[self._beat % 2]
        # What is behind it of a longer one before is blank.
        content = content.ljust(os.fstat(fd).st_size)
        written = 0
        while written < len(content):
            written += os.pwrite(fd, content[written:], written)
        os.fdatasync(fd)

    def close(self) -> None:
        """Close the files, and give the lock back."""
        for fd in self._files:
            os.close(fd)
        self._files = []
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1


def slots(name: str) -> tuple[str, str]:
    """The names of a position's two files."""
    return f"{name}.json", f"{name}.1.json"


def compose(values: Mapping[str, Any]) -> bytes:
    """The values as JSON whose last member is a checksum of all before it."""
    text = json.dumps(values, separators=(",", ":")).encode("ascii")[:-1]
    return text + b',"crc32":"%08x"}\n' % zlib.crc32(text)


def parse(content: bytes) -> dict[str, Any] | None:
    """The values of a file of :func:`compose`; None when it is not whole, or of another version."""
    text = content.partition(b"\n")[0]
    head, comma, sum_ = text.rpartition(b',"crc32":"')
    if not comma or sum_ != b'%08x"}' % zlib.crc32(head):
        return None
    values = json.loads(text)
    return values if isinstance(values, dict) and values.get("version") == VERSION else None
