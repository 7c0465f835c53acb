"""Delivers what comes next, again until it is acknowledged, and keeps the position."""

from __future__ import annotations

import copy
import time
from collections import deque
from typing import TYPE_CHECKING

from rawtp._core import HistoryReader
from rawtp._errors import reason
from rawtp._feed.catalogue import Catalogue
from rawtp._feed.feed import Feed
from rawtp._feed.position import Position
from rawtp._ship.backoff import Backoff
from rawtp._ship.naming import Naming
from rawtp.sinks.base import File, NotTakenError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from rawtp._feed.position import PositionFile
    from rawtp._ship.stop import Stop
    from rawtp.sinks.base import Delivery, Receiver

_WRITE_S = 1.0
_POLL_S = 1.0


class Shipper:
    """Ships a directory to a receiver until it is told to stop. ``say`` writes a line for people."""

    def __init__(
        self,
        directory: str,
        receiver: Receiver,
        file: PositionFile,
        stop: Stop,
        say: Callable[[str], None],
    ) -> None:
        self._directory = directory
        self._receiver = receiver
        self._file = file
        self._stop = stop
        self._say = say
        self._backoff = Backoff()
        self._is_failing = False
        self._error: str | None = None
        self._written_s = float("-inf")
        self._is_dirty = False
        stored = file.read() or {}
        if (target := stored.get("target", receiver.target)) != receiver.target:
            raise ValueError(
                f"{file.path} is the position of {target}: choose another --name for {receiver.target}, "
                "to which all that is recorded will be shipped, or remove that file"
            )
        self._counts = {
            name: int(stored.get("counts", {}).get(name, 0))
            for name in ("records", "files", "bytes", "refused", "unshipped", "failures")
        }
        self._committed: dict[str, Any] = stored.get("position", {})
        self._position = Position(self._committed)
        self._unsettled: deque[tuple[float, dict[str, Any]]] = deque()
        self._is_noted = True
        self._naming = Naming(directory, stop, say)
        self._feed = self._new_feed()

    def _new_feed(self) -> Feed:
        reader = HistoryReader(self._directory)
        receiver = self._receiver
        return Feed(
            reader,
            Catalogue(reader, self._directory),
            self._position,
            takes_files=receiver.takes_files,
            max_records=receiver.max_records,
            say=self._say,
        )

    def run(self, *, once: bool = False) -> None:
        """Ship until the end is asked for; ``once``: until all that is there is acknowledged.

        Raises:
            OSError: the directory cannot be read, or the position cannot be written.
        """
        try:
            while not self._stop.asked:
                self._feed.refresh()
                if self._ship(self._feed.items()):
                    continue
                self._settle()
                self._write_if_due()
                if once and self._is_noted and not self._unsettled:
                    break
                self._stop.wait(_POLL_S)
        finally:
            with self._stop.writing():
                self._settle()
                self._write()
            self._receiver.close()

    def _ship(self, items: Iterator[Delivery | File]) -> bool:
        """Deliver these items. Returns whether there were any."""
        is_any = False
        for item in items:
            is_any = True
            if not isinstance(item, File):
                self._naming.add(item)
                if self._stop.asked:
                    # It may lack names that would have come in a moment, and is given again.
                    break
            if not self._deliver(item):
                # What was sent and may not have arrived is sent again.
                self._rewind()
                return True
            if self._stop.asked:
                # The generator acknowledges an item when it goes on, and this one was taken.
                next(items, None)
                break
            self._note()
            self._settle()
            self._write_if_due()
        self._note(at_once=True)
        return is_any

    def _deliver(self, item: Delivery | File) -> bool:
        """Deliver an item, as often as it takes. False: the end is asked for, or more than this must be sent again."""
        while True:
            try:
                self._receiver.open()
                if isinstance(item, File):
                    self._receiver.put(item)
                    self._counts["files"] += 1
                    self._counts["bytes"] += len(item.content)
                else:
                    refused = self._receiver.send(item)
                    self._counts["records"] += len(item.records) - refused
                    self._counts["refused"] += refused
                    self._count_unshipped(item.records)
                    if refused:
                        self._say(f"{self._receiver.target} has refused {refused} records for good")
            except OSError as error:
                if self._stop.asked:
                    return False
                self._fail(error)
                if self._stop.asked or self._receiver.settle_s:
                    return False
                continue
            self._backoff.after_success()
            if self._is_failing:
                self._is_failing, self._error = False, None
                self._say(f"{self._receiver.target} takes events again")
            self._is_dirty, self._is_noted = True, not self._receiver.settle_s
            return True

    def _count_unshipped(self, records: Sequence[dict[str, Any]]) -> None:
        for record in records:
            if record["type"] == "unshipped":
                self._counts["unshipped"] += record["count"]
                self._say(
                    f"{record['file']}: {record['count']} events were not shipped: the file is {record['reason']}"
                )

    def _fail(self, error: OSError) -> None:
        self._counts["failures"] += 1
        text = reason(error)
        if text != self._error:
            self._say(f"{self._receiver.target} takes nothing: {text}; it is tried again")
        self._is_failing, self._error = True, text
        self._receiver.close()
        with self._stop.writing():
            self._write()
        asked_s = error.retry_after_s if isinstance(error, NotTakenError) else None
        self._stop.wait(self._backoff.after_failure(asked_s))

    def _note(self, *, at_once: bool = False) -> None:
        """Note where the receiver is, for when that has settled. Once a second is enough: what is younger than a note
        is sent again."""
        if self._is_noted:
            return
        at_s = time.monotonic() + self._receiver.settle_s
        if at_once or not self._unsettled or at_s >= self._unsettled[-1][0] + _WRITE_S:
            self._unsettled.append((at_s, copy.deepcopy(self._position.to_dict())))
            self._is_noted = at_once

    def _settle(self) -> None:
        """Take what is old enough as acknowledged."""
        if not self._receiver.settle_s:
            return
        now_s = time.monotonic()
        while self._unsettled and self._unsettled[0][0] <= now_s:
            self._committed = self._unsettled.popleft()[1]
            self._is_dirty = True

    def _rewind(self) -> None:
        if not self._receiver.settle_s:
            return
        self._unsettled.clear()
        self._is_noted = True
        self._position = Position(self._committed)
        self._feed = self._new_feed()

    def _write_if_due(self) -> None:
        if self._is_dirty and time.monotonic() >= self._written_s + _WRITE_S:
            with self._stop.writing():
                self._write()

    def _write(self) -> None:
        position = self._committed if self._receiver.settle_s else self._position.to_dict()
        self._file.write(
            {
                "sink": self._receiver.name,
                "target": self._receiver.target,
                "written_ns": time.time_ns(),
                "failing": self._error if self._is_failing else None,
                "counts": self._counts,
                "position": position,
            }
        )
        self._written_s, self._is_dirty = time.monotonic(), False
