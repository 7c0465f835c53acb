"""The files of a recorder's directory, as its journal and the directory of its logs tell them."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rawtp.sinks.base import Origin

if TYPE_CHECKING:
    from rawtp._core import HistoryReader

_LOG = re.compile(r"(\d{19})-(\d{6,})\.arrows")
_STEM = re.compile(r"(\d{19})-(\d{6,})")

TOLD = ("session", "through", "gap", "loss", "quarantined", "clock", "directory")
"""The types of lines that are delivered. The others are about files that a receiver does not have."""


@dataclass
class SealedFile:
    """A sealed file, as the journal describes it."""

    name: str
    rows: int
    first_ns: int
    last_ns: int
    description: str


@dataclass
class SealedLog:
    """A log that is sealed, and the files that have its events."""

    first_batch: int
    files: list[SealedFile] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The number of its events."""
        return sum(file.rows for file in self.files)


class Catalogue:
    """Knows what is sealed, what retention has removed, and which logs there are."""

    def __init__(self, reader: HistoryReader, directory: str) -> None:
        self._reader = reader
        self.directory = directory
        self._journal = os.path.join(directory, "journal.jsonl")  # noqa: PTH118
        self.epoch = 0
        """Rises when another recorder begins anew in the same place."""
        self._forget()

    def _forget(self) -> None:
        self.epoch += 1
        self._inode: int | None = None
        self._offset = 0
        self.origins: dict[int, Origin] = {}
        """The sessions, in the order in which they began."""
        self.sealed: dict[int, dict[int, SealedLog]] = {}
        self.logs: dict[int, set[int]] = {}
        self.gone: dict[str, str] = {}
        """The sealed files that were removed or moved away, and why."""
        self.is_recording = False

    def refresh(self) -> list[dict[str, Any]]:
        """Look again. Returns the lines of the journal that are new.

        Raises:
            OSError: the directory cannot be read.
        """
        self.is_recording = self._reader.is_recording()
        # First the logs, then the journal: a log that is missing was sealed, and its line is in the journal.
        logs: dict[int, set[int]] = {}
        with os.scandir(os.path.join(self.directory, "wal")) as entries:  # noqa: PTH118
            for entry in entries:
                if found := _LOG.fullmatch(entry.name):
                    logs.setdefault(int(found[1]), set()).add(int(found[2]))
        status = os.stat(self._journal)  # noqa: PTH116
        if self._inode is not None and (status.st_ino != self._inode or status.st_size < self._offset):
            # Another recorder has begun anew in the same place.
            self._forget()
            self.is_recording = self._reader.is_recording()
        self._inode = status.st_ino
        self.logs = logs
        fresh = []
        while True:
            texts, end = self._reader._journal(self._offset)
            for text in texts:
                values = json.loads(text)
                self._add(values)
                fresh.append(values)
            if end == self._offset:
                return fresh
            self._offset = end

    def last_session(self) -> int | None:
        """The session that began last."""
        return next(reversed(self.origins), None)

    def sessions(self) -> list[int]:
        """All sessions of which there may be events, the earliest first."""
        others = {*self.sealed, *self.logs} - self.origins.keys()
        return [*sorted(others), *self.origins]

    def numbers(self, session: int) -> set[int]:
        """The numbers of a session's logs, sealed or not."""
        return {*self.sealed.get(session, ()), *self.logs.get(session, ())}

    def forget_sealed(self, session: int, below: int) -> None:
        """Forget the sealed logs below a number, which were delivered."""
        sealed = self.sealed.get(session, {})
        for number in [number for number in sealed if number < below]:
            for file in sealed.pop(number).files:
                self.gone.pop(file.name, None)

    def _add(self, line: dict[str, Any]) -> None:
        kind = line.get("type")
        if kind == "session":
            session = int(line["session"])
            self.origins[session] = Origin(
                str(line.get("machine_id", "")), str(line.get("boot_id", "")), session, str(line.get("host", ""))
            )
        elif kind == "sealed":
            if found := _STEM.fullmatch(str(line.get("log"))):
                files = [
                    SealedFile(
                        str(one["file"]), int(one["rows"]), int(one["first_ns"]), int(one["last_ns"]), json.dumps(one)
                    )
                    for one in line.get("files", ())
                ]
                log = SealedLog(int(line.get("first_batch") or 0), files)
                self.sealed.setdefault(int(found[1]), {})[int(found[2])] = log
        elif kind in {"expired", "quarantined"}:
            self.gone[str(line.get("file"))] = "expired" if kind == "expired" else "damaged"
