"""Gives what comes next: events of logs and sealed files, sealed files as they are, lines of the journal; and the names
of containers, for who takes files."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from rawtp._containers import table
from rawtp._core import RawtpError
from rawtp._errors import reason
from rawtp._feed import by_time
from rawtp._feed.catalogue import TOLD
from rawtp.sinks.base import Delivery, File, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from typing import Any

    from rawtp._core import HistoryBatch, HistoryReader
    from rawtp._feed.catalogue import Catalogue, SealedFile, SealedLog
    from rawtp._feed.position import Place, Position

_DECODED_ROWS = 4096


class Feed:
    """Gives what is not acknowledged yet. Resuming the iterator acknowledges what it gave.

    ``is_by_time``: the events of a sealed file come in the order of their times. ``wants`` says of which sessions
    anything is given; without it, of all. ``say`` writes a line for people.
    """

    def __init__(
        self,
        reader: HistoryReader,
        catalogue: Catalogue,
        position: Position,
        *,
        takes_files: bool,
        max_records: int,
        say: Callable[[str], None],
        is_by_time: bool = False,
        wants: Callable[[int], bool] | None = None,
    ) -> None:
        self._reader = reader
        self._catalogue = catalogue
        self._is_by_time = is_by_time
        self._wants = wants
        self._position = position
        self._takes_files = takes_files
        self._max_records = max_records
        self._say = say
        self._lines: list[dict[str, Any]] = []
        self._epoch: int | None = None
        self._trouble: str | None = None

    def refresh(self) -> None:
        """Look at the directory again.

        Raises:
            OSError: it cannot be read.
        """
        fresh = self._catalogue.refresh()
        if self._catalogue.epoch != self._epoch:
            self._epoch, self._lines = self._catalogue.epoch, []
            # Another journal, or one without that line, is told from its beginning.
            known = [at for at, line in enumerate(fresh) if _line_id(line) == self._position.journal]
            fresh = fresh[known[-1] + 1 :] if known else fresh
        self._lines += fresh

    def items(self) -> Iterator[Delivery | File]:
        """What is there now, and not acknowledged."""
        yield from self._journal()
        sessions = [session for session in self._catalogue.sessions() if self._wants is None or self._wants(session)]
        for session in sessions:
            yield from self._session(session)
        self._position.keep(sessions)
        if self._takes_files:
            yield from self._containers()

    def _containers(self) -> Iterator[Delivery]:
        """The names of containers, which sealed files do not have."""
        session = self._catalogue.last_session()
        if session is None:
            return
        origin = self._origin(session)
        place = self._position.containers
        try:
            for lines, behind in table.lines_after(self._catalogue.directory, (place[0], place[1]) if place else None):
                if lines:
                    yield Delivery(origin, [_of_container(line, origin) for line in lines])
                self._position.containers = [*behind]
        except OSError as error:
            if self._trouble != (text := reason(error)):
                self._say(f"{table.NAME}, the names of containers, cannot be read: {text}")
            self._trouble = text

    def _journal(self) -> Iterator[Delivery]:
        """The lines of the journal."""
        lines = self._lines
        while lines:
            some, rest = lines[: self._max_records], lines[self._max_records :]
            told = [line for line in some if line.get("type") in TOLD and self._is_wanted(line)]
            for origin, records in _by_origin(told, self._catalogue.origins):
                yield Delivery(origin, records)
            self._position.journal = _line_id(some[-1])
            self._lines = lines = rest

    def _is_wanted(self, line: dict[str, Any]) -> bool:
        return self._wants is None or self._wants(int(line.get("session") or 0))

    def _session(self, session: int) -> Iterator[Delivery | File]:
        place = self._position.place(session)
        while True:
            log = self._catalogue.sealed.get(session, {}).get(place.log)
            later = [number for number in self._catalogue.numbers(session) if number > place.log]
            if log is not None:
                yield from self._sealed(session, place, log)
                place.next_log(place.log + 1)
            elif place.log in self._catalogue.logs.get(session, ()):
                if self._takes_files or not (yield from self._log(session, place)):
                    break
                place.next_log(place.log + 1)
            elif later:
                # A number that a failed write has used up, or a log that somebody has removed: the journal says so.
                place.next_log(min(later))
            else:
                break
        self._catalogue.forget_sealed(session, place.log)

    def _log(self, session: int, place: Place) -> Generator[Delivery, None, bool]:
        """The events of a log that are acknowledged. Returns whether it is finished, and all of it was given."""
        end, end_batch = self._bounds(session, place.log)
        while True:
            try:
                found = self._reader._log(session, place.log, place.offset, place.batch, end=end, end_batch=end_batch)
            except FileNotFoundError:  # sealed: the next look finds the file
                return False
            except RawtpError as error:
                if end_batch is None:
                    return False
                self._say(f"left out: {error}")
                return True
            if found is None:
                return end_batch is not None
            batch, number, behind = found
            if number != place.batch:
                place.batch, place.row = number, 0
            while place.row < len(batch):
                part = batch._slice(place.row, self._max_records)
                events = part.to_dicts()
                yield self._delivery(session, part._metadata(), events, part)
                place.seen.add(events)
                place.rows += len(part)
                place.row += len(part)
            place.batch, place.row, place.offset = number + 1, 0, behind

    def _bounds(self, session: int, number: int) -> tuple[int | None, int | None]:
        """The offset at which what is acknowledged of a log ends, and the batch at which a finished one does."""
        behind = self._catalogue.sealed.get(session, {}).get(number + 1)
        end_batch = behind.first_batch if behind else self._reader._first_batch(session, number + 1)
        if end_batch is not None:
            return None, end_batch
        if not (self._catalogue.is_recording and session == self._catalogue.last_session()):
            return None, None
        acknowledged = self._reader._acknowledged(session)
        # A log before the current one is being sealed.
        return (acknowledged[1] if acknowledged and acknowledged[0] == number else 0), None

    def _sealed(self, session: int, place: Place, log: SealedLog) -> Iterator[Delivery | File]:
        if place.rows and place.rows == log.rows and not self._takes_files:
            return
        shipped = place.rows
        for file in log.files:
            done = place.files.get(file.name, 0)
            from_log, shipped = min(shipped, file.rows), max(shipped - file.rows, 0)
            if done >= file.rows:
                continue
            reason = self._catalogue.gone.get(file.name)
            if reason is None:
                try:
                    yield from self._file(session, place, file)
                    continue
                except FileNotFoundError:
                    reason = "expired"
                except RawtpError as error:
                    self._say(f"left out: {error}")
                    reason = "damaged"
            missing = file.rows - max(done, from_log)
            if missing > 0:
                yield self._unshipped(session, file, missing, reason)
            place.files[file.name] = file.rows

    def _file(self, session: int, place: Place, file: SealedFile) -> Iterator[Delivery | File]:
        opened = self._reader._sealed(file.description)
        if self._takes_files:
            yield File(self._origin(session), file.name, opened.content())
            place.files[file.name] = file.rows
            return
        if self._is_by_time:
            # What is given is not the beginning of the file, and is known by its keys alone.
            for metadata, events in by_time.slices(opened, place.seen, self._max_records):
                yield self._delivery(session, metadata, events)
                place.seen.add(events)
                place.rows += len(events)
            place.files[file.name] = file.rows
            return
        done = place.files.get(file.name, 0)
        while (batch := opened.read(done, _DECODED_ROWS)) is not None:
            for first in range(0, len(batch), self._max_records):
                part = batch._slice(first, self._max_records)
                events = [event for event in part.to_dicts() if event not in place.seen]
                if events:
                    yield self._delivery(session, part._metadata(), events, part)
                done += len(part)
                place.files[file.name] = done

    def _unshipped(self, session: int, file: SealedFile, rows: int, reason: str) -> Delivery:
        origin = self._origin(session)
        record = {
            "type": "unshipped",
            "key": origin.line_key(f"unshipped:{file.name}"),
            "count": rows,
            "from_ns": file.first_ns,
            "to_ns": file.last_ns,
            "reason": reason,
            "file": file.name,
            **_of_origin(origin),
        }
        return Delivery(origin, [record])

    def _origin(self, session: int) -> Origin:
        return self._catalogue.origins.get(session) or Origin("", "", session, "")

    def _delivery(
        self,
        session: int,
        metadata: Mapping[str, str],
        events: list[dict[str, Any]],
        batch: HistoryBatch | None = None,
    ) -> Delivery:
        known = self._origin(session)
        origin = Origin(
            metadata.get("rawtp:machine_id", known.machine_id),
            metadata.get("rawtp:boot_id", known.boot_id),
            session,
            metadata.get("rawtp:host", known.host),
        )
        more = {"type": "event", "machine_id": origin.machine_id, "boot_id": origin.boot_id}
        for event in events:
            event["key"] = origin.event_key(event)
            event.update(more)
        return Delivery(origin, events, batch)


def _line_id(line: dict[str, Any]) -> list[int]:
    """The identity of a line of the journal."""
    return [int(line.get("session") or 0), int(line.get("line") or 0)]


def _of_container(line: dict[str, Any], origin: Origin) -> dict[str, Any]:
    # The same line has the same key, whichever recorder has written it down.
    digest = hashlib.sha256(json.dumps(line, sort_keys=True).encode("ascii")).hexdigest()[:16]
    of = {"machine_id": origin.machine_id, "host": origin.host}
    return {"type": "container", "key": f"{origin.machine_id}:container:{digest}", **line, **of}


def _of_origin(origin: Origin) -> dict[str, Any]:
    return origin._asdict()


def _by_origin(
    lines: list[dict[str, Any]], origins: dict[int, Origin]
) -> Iterator[tuple[Origin, list[dict[str, Any]]]]:
    """The lines of the journal as records, those of one recording together."""
    found: dict[int, list[dict[str, Any]]] = {}
    for line in lines:
        found.setdefault(int(line.get("session") or 0), []).append(line)
    for session, of_session in found.items():
        origin = origins.get(session) or Origin("", "", session, "")
        yield (
            origin,
            [
                {
                    **{key: value for key, value in line.items() if key not in {"xxh64", "fields", "coverage"}},
                    "key": origin.line_key(line.get("line")),
                    **_of_origin(origin),
                }
                for line in of_session
            ],
        )
