"""``rawtp top`` counts what a real tracer sees: of real files, and without a loss."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import rawtp
from helpers.support import assert_ledger
from rawtp._top.feed import Feed
from rawtp._top.model import FIELDS, Model, event_of

pytestmark = pytest.mark.kernel


def test_deletions_of_real_files_are_in_their_rows(tmp_path: Path) -> None:
    place = tmp_path / "[red]place"
    place.mkdir()
    with rawtp.Tracer(rawtp.LOSS, fields=FIELDS, pid=os.getpid()) as tracer:
        knows_sizes = tracer.coverage["truth"]["hook"] is not None
        feed = Feed(tracer, Model(time.monotonic()))
        feed.start()
        for number in range(7):
            file = place / str(number)
            file.write_bytes(b"x" * 1000)
            file.unlink()
        for _ in range(2):
            (place / "gone").unlink(missing_ok=True)
        feed.finish()
    assert feed.failure is None
    assert feed.has_ended
    row = feed.model.tables["directory"].get(os.fspath(place))
    assert row is not None
    assert (row.events, row.failed, row.gone()) == (9, 2, 7000 if knows_sizes else None)
    assert [event_of(recent)["errno"] for recent in row.recent] == [None] * 7 + ["ENOENT"] * 2
    [process] = [one for one in feed.model.tables["process"] if one.names[0] == os.getpid()]
    assert process.events == feed.model.total.events >= 9
    assert process.names[2] == Path("/proc/self/comm").read_text().rstrip("\n")
    assert feed.counts()["delivered"] == feed.model.total.events


def test_a_burst_is_counted_to_the_last_event() -> None:
    with rawtp.Tracer(rawtp.DELETE, fields=FIELDS, pid=os.getpid(), ring_bytes=64 << 20) as tracer:
        feed = Feed(tracer, Model(time.monotonic(), 8))
        feed.start()
        for number in range(20_000):
            Path(f"/nonexistent/{number % 50}/x").unlink(missing_ok=True)
        feed.finish()
        stats = tracer.stats()
    assert_ledger(stats)
    assert stats.lost_ring == 0
    assert feed.model.total.events == stats.delivered == 20_000
    for table in feed.model.tables.values():
        assert len(table) <= 8
        others = 0 if table.others is None else table.others.events
        assert sum(row.events for row in table) + others == 20_000
