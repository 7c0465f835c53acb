"""The events of a recorder's log, each once, by a history that the test makes up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawtp._record import follower
from rawtp._record.follower import Follower

S = 1_000_000_000


class Batch:
    def __init__(self, events: list[dict[str, Any]]) -> None:
        self._events = events

    def __len__(self) -> int:
        return len(self._events)

    def _dicts(self, first: int, count: int) -> list[dict[str, Any]]:
        return [dict(event) for event in self._events[first : first + count]]


class History:
    """What is acknowledged, in the order in which it was."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.columns: list[str] = []
        self.error: Exception | None = None

    def add(self, ts_s: float, session: int = 1) -> None:
        seq = len(self.events)
        self.events.append({"ts_ns": int(ts_s * S), "cpu": 0, "seq": seq, "via": "syscall", "session": session})

    def scan(self, columns: list[str], *, since_ns: int) -> Iterator[Batch]:
        self.columns = columns
        found = [event for event in self.events if event["ts_ns"] >= since_ns]
        yield Batch(found[::2])
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        yield Batch(found[1::2])


@pytest.fixture
def history(monkeypatch: pytest.MonkeyPatch) -> History:
    made = History()
    monkeypatch.setattr(follower, "HistoryReader", lambda _: made)
    return made


def given_at(reader: Follower, through_s: float) -> list[int]:
    return [event["seq"] for events in reader.events(int(through_s * S)) for event in events]


def test_each_once(history: History) -> None:
    reader = Follower("/x", 1, ("path", "pid"), 0)
    history.add(1)
    history.add(2)
    assert sorted(given_at(reader, 3)) == [0, 1]
    history.add(2.5)
    assert given_at(reader, 4) == [2]
    assert given_at(reader, 5) == []
    # Names as they are, and what tells events apart.
    assert history.columns == ["path", "pid", "path_bytes", "ts_ns", "cpu", "seq", "via", "session"]


def test_a_call_that_took_long_is_found_later(history: History) -> None:
    reader = Follower("/x", 1, (), 0)
    history.add(10)
    given_at(reader, 11)
    for second in range(12, 50):
        given_at(reader, second)
    # It began half a minute ago.
    history.add(20)
    found: list[int] = []
    for second in range(50, 90):
        found += given_at(reader, second)
    assert found == [1]


def test_other_sessions_are_others(history: History) -> None:
    reader = Follower("/x", 2, (), 0)
    history.add(1)
    history.add(1, session=2)
    assert given_at(reader, 2) == [1]


def test_after_an_error_the_rest_is_found(history: History) -> None:
    reader = Follower("/x", 1, (), 0)
    for _ in range(4):
        history.add(1)
    history.error = OSError("an error that passes")
    looks = reader.events(100 * S)
    found = [event["seq"] for event in next(looks)]
    with pytest.raises(OSError, match="passes"):
        next(looks)
    assert found + given_at(reader, 101) == [0, 2, 1, 3]


def test_it_remembers_no_more_than_so_many(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "MAX_REMEMBERED", 100)
    reader = Follower("/x", 1, (), 0)
    found: list[int] = []
    for second in range(40):
        for number in range(50):
            history.add(second + number / 50)
        found += given_at(reader, second + 1)
        assert len(reader._seen) <= 250
    assert sorted(found) == [*range(2000)]
    assert reader.forgot


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 25), st.booleans()), max_size=60))
def test_whatever_the_order_each_comes_once(steps: list[tuple[int, int, bool]]) -> None:
    """Events come late by up to 25 s, and looks at any time."""
    history = History()
    reader = Follower("/x", 1, (), 0)
    found: list[int] = []
    now = 100
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(follower, "HistoryReader", lambda _: history)
        for step, late, looks in steps:
            now += step
            history.add(now - late)
            if looks:
                found += given_at(reader, now)
        # The next deep look has the rest.
        for _ in range(2):
            now += 31
            found += given_at(reader, now)
    assert sorted(found) == [*range(len(steps))]
