"""The live view's lines: which counts, in which words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from helpers.samples import RM
from rawtp.notebook import _live

NONE = dict.fromkeys(("filtered", "lost_ring", "lost_state", "missed", "lost_exits", "unfollowed"), 0)


class Batch:
    """What a live view asks of a batch."""

    def __init__(self, *pids: int, outcomes: tuple[int, int] | None = (0, 0)) -> None:
        self._events = [{**RM, "pid": pid} for pid in pids]
        self._result = outcomes
        self.made = 0

    def __len__(self) -> int:
        return len(self._events)

    def _dicts(self, first: int, count: int) -> list[Any]:
        found = self._events[first : first + count]
        self.made += len(found)
        return found

    def _outcomes(self) -> tuple[int, int] | None:
        return self._result


def tally(rows: int, *batches: Batch) -> _live.Tally:
    made = _live.Tally(rows)
    assert [made.add(cast("Any", batch)) for batch in batches] == [len(batch) for batch in batches]
    return made


def test_the_latest_are_kept_and_all_are_counted() -> None:
    batches = Batch(1), Batch(2, 3, 4, 5, outcomes=(3, 0)), Batch(), Batch(6, outcomes=(1, 0))
    made = tally(3, *batches)
    assert [event["pid"] for event in made.recent] == [4, 5, 6]
    assert str(made) == "6 events (the latest 3 are shown), 4 failed"
    # What is not shown becomes no dict.
    assert [batch.made for batch in batches] == [1, 3, 0, 1]


@pytest.mark.parametrize(
    ("batch", "before", "text"),
    [
        (Batch(), 0, "0 events"),
        (Batch(1), 0, "1 event"),
        (Batch(1, 2), 1, "2 events, 1 of them from before the start"),
        (Batch(1, 2, outcomes=(0, 2)), 0, "2 events, 2 without a known result"),
        (Batch(1, 2, outcomes=None), 0, "2 events"),
    ],
)
def test_its_words(batch: Batch, before: int, text: str) -> None:
    made = tally(9, batch)
    made.before = before
    assert str(made) == text
    assert made.since_start == len(batch) - before


@pytest.mark.parametrize(
    ("events", "seconds", "text"),
    [(0, 0.0, "0.0"), (3, 2.0, "1.5"), (99, 10.0, "9.9"), (100, 10.0, "10"), (2_000_000, 1.0, "2,000,000")],
)
def test_rates(events: int, seconds: float, text: str) -> None:
    assert _live._rate(events, seconds) == f"{text} a second"


@pytest.mark.parametrize(
    ("filters", "left_out", "text"),
    [
        ("", 0, "no filter"),
        ("", 2, "no filter; 2 other calls left out"),
        ('path="/srv"', 0, 'filter: path="/srv"'),
        ("pid=1", 1, "filter: pid=1; 1 other call left out"),
    ],
)
def test_filters(filters: str, left_out: int, text: str) -> None:
    assert _live._filters(cast("Any", SimpleNamespace(_filters=filters)), {**NONE, "filtered": left_out}) == text


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({}, ""),
        ({"filtered": 5}, ""),
        ({"lost_ring": 1}, "1 event lost"),
        ({"lost_ring": 1, "lost_state": 2, "missed": 3}, "3 events lost, missed 3"),
        ({"lost_exits": 4, "unfollowed": 5}, "lost_exits 4, unfollowed 5"),
    ],
)
def test_losses(counts: dict[str, int], text: str) -> None:
    assert _live._losses({**NONE, **counts}) == text
