"""Counting and folding, by a clock that the test sets."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from helpers.samples import RM
from rawtp._alert.alert import Alert
from rawtp._alert.engine import Engine
from rawtp._alert.rules import Rule
from rawtp.event import Event

S = 1_000_000_000
NOW = 1_700_000_000 * S


def rule(**changes: Any) -> Rule:
    values: dict[str, Any] = {"name": "r", "conditions": (), "notify": ("n",), "cooldown_ns": 60 * S, **changes}
    return Rule(**values)


def at(seconds: float, **changes: Any) -> Event:
    return {**RM, "ts_ns": NOW + int(seconds * S), **changes}  # type: ignore[typeddict-item]


def told(alerts: list[Alert]) -> list[tuple[str, int]]:
    return [(alert.kind, alert.count) for alert in alerts]


def test_the_first_is_told_and_repeats_are_folded() -> None:
    engine = Engine([rule()])
    assert told(engine.events([at(0), at(1), at(2)], NOW + 2 * S)) == [("event", 1)]
    assert engine.held_back == 2
    assert told(engine.tick(NOW + 61 * S)) == []
    [repeat] = engine.tick(NOW + 62 * S)
    assert (repeat.kind, repeat.count) == ("repeat", 2)
    assert (repeat.first_ns, repeat.last_ns) == (NOW + S, NOW + 2 * S)
    # That has begun another cool-down.
    assert told(engine.events([at(63)], NOW + 63 * S)) == []
    assert told(engine.tick(NOW + 122 * S)) == [("repeat", 1)]
    # A quiet one, and the rule is as at the beginning.
    assert told(engine.tick(NOW + 182 * S)) == []
    assert told(engine.events([at(183)], NOW + 183 * S)) == [("event", 1)]


def test_a_cool_down_ends_with_an_event_as_well() -> None:
    engine = Engine([rule()])
    engine.events([at(0), at(1)], NOW + S)
    # It tells of the one before; the new one is held back by the next cool-down.
    assert told(engine.events([at(70)], NOW + 70 * S)) == [("repeat", 1)]
    assert engine.held_back == 1


def test_without_a_cool_down_each_is_told() -> None:
    engine = Engine([rule(cooldown_ns=0)])
    assert told(engine.events([at(0), at(0), at(0)], NOW)) == [("event", 1)] * 3
    assert engine.finish() == []


def test_mass_deletion() -> None:
    engine = Engine([rule(count=3, window_ns=10 * S, by=("pid",))])
    events = [at(second, pid=pid) for second in range(3) for pid in (1, 2)]
    [one, two] = engine.events(events, NOW + 3 * S)
    assert (one.kind, one.count, one.group, one.window_s) == ("count", 3, {"pid": 1}, 10.0)
    assert (two.count, two.group) == (3, {"pid": 2})
    assert told(engine.events([at(4, pid=1)] * 5, NOW + 4 * S)) == []
    assert told(engine.finish()) == [("repeat", 5)]


def test_too_slow_is_no_mass_deletion() -> None:
    engine = Engine([rule(count=3, window_ns=10 * S)])
    for second in range(0, 600, 5):
        assert engine.events([at(second)], NOW + second * S) == []


def test_a_directory_is_a_group() -> None:
    engine = Engine([rule(by=("directory",))])
    paths = ["/srv/a/1", "/srv/a/2", "/srv/b/1", "/x"]
    alerts = engine.events([at(0, real_path=path) for path in paths], NOW)
    assert [alert.group["directory"] for alert in alerts] == ["/srv/a", "/srv/b", "/"]


def test_what_was_lost_is_told() -> None:
    engine = Engine([rule(name="blind", is_loss=True), rule()])
    assert told(engine.events([at(0, lost=7)], NOW)) == [("event", 1), ("loss", 7)]
    assert told(engine.lost(3, NOW + S)) == []
    assert told(engine.finish()) == [("loss", 3)]


def test_a_clock_that_is_set_back_does_not_silence_it() -> None:
    engine = Engine([rule()])
    engine.events([at(0)], NOW)
    back = NOW - 86400 * S
    engine.events([{**RM, "ts_ns": back}], back)
    assert told(engine.tick(back)) == []
    assert told(engine.tick(back + 60 * S)) == [("repeat", 1)]


def test_groups_have_a_bound() -> None:
    engine = Engine([rule(by=("pid",))], max_groups=10)
    alerts = engine.events([at(0, pid=pid) for pid in range(100) for _ in range(3)], NOW)
    assert engine.evicted == 90
    # What was held back is told when a group is forgotten.
    assert Counter(kind for kind, _ in told(alerts)) == {"event": 100, "repeat": 90}
    assert sum(alert.count for alert in alerts + engine.finish()) == 300


def test_times_have_a_bound() -> None:
    engine = Engine([rule(count=100, window_ns=3600 * S, by=("pid",))], max_times=500)
    engine.events([at(0, pid=pid) for pid in range(100) for _ in range(10)], NOW)
    assert engine.evicted == 50


@given(
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), max_size=80),
)
def test_no_event_is_told_twice_or_forgotten(cooldown_s: int, steps: list[tuple[int, int, bool]]) -> None:
    """Whatever the times, groups and ticks: the counts add up."""
    engine = Engine([rule(cooldown_ns=cooldown_s * S, by=("pid",))], max_groups=2)
    alerts: list[Alert] = []
    now = 0
    for step, pid, ticks in steps:
        now += step
        alerts += engine.events([at(now, pid=pid)], NOW + now * S)
        if ticks:
            alerts += engine.tick(NOW + now * S)
        assert len(engine._groups) <= 2
    alerts += engine.finish()
    assert sum(alert.count for alert in alerts) == len(steps) == engine.counts["r"].matched
    by_pid: Counter[object] = Counter()
    for alert in alerts:
        by_pid[alert.group["pid"]] += alert.count
    assert by_pid == Counter(pid for _, pid, _ in steps)


@given(st.integers(2, 5), st.lists(st.integers(0, 4), max_size=80))
def test_a_window_fires_as_the_model_does(count: int, steps: list[int]) -> None:
    """Without a cool-down: whenever there are enough since the last alert."""
    engine = Engine([rule(count=count, window_ns=10 * S, cooldown_ns=0)])
    now, model, expected, found = 0, list[int](), list[int](), list[int]()
    for step in steps:
        now += step
        model = [time for time in [*model, now] if time > now - 10]
        if len(model) >= count:
            expected.append(now)
            model = []
        found += [now for _ in engine.events([at(now)], NOW + now * S)]
        engine.tick(NOW + now * S)
    assert found == expected
