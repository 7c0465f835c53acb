"""Puts the events of a sealed file, which has the order of their paths, in the order of their times."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from rawtp._core import HistoryBatch, HistoryFile
    from rawtp._feed.position import Seen

_DECODED_ROWS = 4096
MAX_KEPT = 8192
"""The events that are kept as dicts at once, which is some 40 MB. A file with more is read once for each so many."""


def slices(file: HistoryFile, seen: Seen, most: int) -> Iterator[tuple[dict[str, str], list[dict[str, Any]]]]:
    """The events that are not in ``seen``, the earliest first: the file's metadata, and lists of at most ``most``.

    Raises:
        RawtpError: the file cannot be decoded.
        OSError: it cannot be read.
    """
    rows, times = array("q"), array("q")
    metadata: dict[str, str] = {}
    kept: list[dict[str, Any]] = []
    for first, batch in _batches(file):
        metadata = batch._metadata()
        for at, event in enumerate(batch.to_dicts()):
            if event not in seen:
                rows.append(first + at)
                times.append(event["ts_ns"])
                kept.append(event)
        if len(rows) > MAX_KEPT:
            kept = []
    if len(rows) <= MAX_KEPT:
        yield from _parts(metadata, kept, most)
        return
    order = sorted(range(len(rows)), key=times.__getitem__)
    for begin in range(0, len(order), MAX_KEPT):
        wanted = sorted(rows[at] for at in order[begin : begin + MAX_KEPT])
        yield from _parts(metadata, _of_rows(file, wanted), most)


def _parts(
    metadata: dict[str, str], events: list[dict[str, Any]], most: int
) -> Iterator[tuple[dict[str, str], list[dict[str, Any]]]]:
    events.sort(key=lambda event: event["ts_ns"])
    for begin in range(0, len(events), most):
        yield metadata, events[begin : begin + most]


def _of_rows(file: HistoryFile, rows: list[int]) -> list[dict[str, Any]]:
    """The events of these rows, which are sorted."""
    found: list[dict[str, Any]] = []
    at = 0
    while at < len(rows):
        first = rows[at] - rows[at] % _DECODED_ROWS
        batch = file.read(first, _DECODED_ROWS)
        if batch is None:
            break
        while at < len(rows) and rows[at] < first + _DECODED_ROWS:
            found += batch._dicts(rows[at] - first, 1)
            at += 1
    return found


def _batches(file: HistoryFile) -> Iterator[tuple[int, HistoryBatch]]:
    first = 0
    while (batch := file.read(first, _DECODED_ROWS)) is not None:
        yield first, batch
        first += len(batch)
