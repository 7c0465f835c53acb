"""The counts of ``rawtp top``: sums that are exact, in memory that has a bound."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.samples import EXCHANGED, LINKED, MOVED, PUNCHED, RM, WITHOUT_FACTS
from helpers.tops import deleted, emptied, refused
from rawtp._report.losses import path_and_bytes
from rawtp._top.model import SHOWN, Model, event_of
from rawtp._top.row import MAX_RECENT, WINDOW_S, Row
from rawtp._top.table import OTHERS, Table
from rawtp._top.view import VIEWS
from rawtp.event import Event

BEGIN_S = 50.5


class Step(NamedTuple):
    wait_s: float
    pid: int
    directory: str
    container: str | None
    size: int | None
    fails: bool

    def event(self) -> Event:
        path = f"{self.directory}/x"
        made = refused(path) if self.fails else deleted(path, self.size)
        return {**made, "pid": self.pid, "container_id": self.container, "unit": self.container}


DIRECTORIES = st.lists(st.sampled_from("abc"), max_size=4).map(lambda names: "".join(f"/{name}" for name in names))
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from((0.0, 0.0, 0.25, 1.0, 7.5)),
        st.integers(1, 20),
        DIRECTORIES,
        st.sampled_from([None, *"abcdefghi"]),
        st.none() | st.integers(0, 1000),
        st.booleans(),
    )
)


def counted(steps: list[Step], max_rows: int) -> tuple[Model, float]:
    model, now_s = Model(BEGIN_S, max_rows), BEGIN_S
    for step in steps:
        now_s += step.wait_s
        model.add([step.event()], now_s)
    return model, now_s


def rows_of(table: Table) -> list[Row]:
    return [*table, *([] if table.others is None else [table.others])]


@given(STEPS, st.integers(2, 6), st.floats(0, 10))
def test_the_sums_are_exact_whatever_is_folded(steps: list[Step], bound: int, later_s: float) -> None:
    model, now_s = counted(steps, bound)
    now_s += later_s
    worked = [step for step in steps if not step.fails]
    expected = (
        len(steps),
        len(steps) - len(worked),
        sum(step.size or 0 for step in worked),
        sum(step.size is None for step in worked),
    )
    assert (model.total.events, model.total.failed, model.total.bytes, model.total.unsized) == expected
    for table in model.tables.values():
        rows = rows_of(table)
        assert len(table) <= bound
        sums = [sum(getattr(row, name) for row in rows) for name in ("events", "failed", "bytes", "unsized")]
        assert tuple(sums) == expected
        rates = sum(row.rate(now_s, BEGIN_S) for row in rows)
        assert rates == pytest.approx(model.total.rate(now_s, BEGIN_S))


@given(STEPS)
def test_with_room_each_row_is_exact(steps: list[Step]) -> None:
    model, _ = counted(steps, 1000)
    for name, key in (
        ("process", lambda step: (step.pid, RM["start_ns"])),
        ("directory", lambda step: step.directory or "/"),
        ("container", lambda step: step.container),
        ("unit", lambda step: step.container),
    ):
        table = model.tables[name]
        assert table.others is None
        assert {row.key for row in table} == {key(step) for step in steps}
        for row in table:
            own = [step for step in steps if key(step) == row.key]
            assert row.events == len(own)
            assert row.failed == sum(step.fails for step in own)
            assert row.bytes == sum(step.size or 0 for step in own if not step.fails)
            assert not row.is_tree


@given(STEPS, st.floats(0, 10))
def test_a_rate_is_that_of_the_last_seconds(steps: list[Step], later_s: float) -> None:
    model, now_s = counted(steps, 1000)
    now_s += later_s
    times, at = [], BEGIN_S
    for step in steps:
        at += step.wait_s
        times.append(at)
    inside = [time for time in times if int(time) > int(now_s) - WINDOW_S]
    span_s = max(min(now_s - int(now_s) + WINDOW_S - 1, now_s - BEGIN_S), 1.0)
    assert model.total.rate(now_s, BEGIN_S) == pytest.approx(len(inside) / span_s)


@given(STEPS, st.integers(2, 6))
def test_a_row_keeps_its_last_events(steps: list[Step], bound: int) -> None:
    model, _ = counted(steps, bound)
    for table in model.tables.values():
        for row in rows_of(table):
            numbers = [number for number, _ in row.recent]
            assert numbers == sorted({*numbers})
            assert len(numbers) <= min(MAX_RECENT, row.events)
    table = model.tables["container"]
    for row in table:
        own = [number for number, step in enumerate(steps, 1) if step.container == row.key]
        # What was folded before is among the others'.
        assert [number for number, _ in row.recent] == own[-row.events :][-MAX_RECENT:]


@given(STEPS, STEPS, st.integers(2, 6))
def test_a_copy_stays_as_it_was(steps: list[Step], more: list[Step], bound: int) -> None:
    model, now_s = counted(steps, bound)

    def described(which: Model) -> list[Any]:
        return [
            (name, row.key, row.names, row.events, row.failed, row.bytes, row.unsized, [*row.recent], row.rate(now_s))
            for name, table in which.tables.items()
            for row in rows_of(table)
        ]

    copy, before = model.copy(), described(model)
    assert described(copy) == before
    for step in more:
        model.add([step.event()], now_s + 3)
    assert described(copy) == before
    assert [*model.copy(["unit"]).tables] == ["unit"]


def test_the_tables_are_those_of_the_views() -> None:
    assert tuple(Model(0.0).tables) == VIEWS


def test_rm_rf_is_one_tree() -> None:
    model = Model(0.0, 100)
    model.add([deleted("/var/log/app.log")] * 5, 1.0)
    for directory in range(1000):
        model.add([deleted(f"/home/u/tree/{directory}/{file}") for file in range(3)], 1.0)
    table = model.tables["directory"]
    assert len(table) <= 100
    tree = table.get("/home/u/tree")
    assert tree is not None
    assert tree.is_tree
    below = [row for row in table if str(row.key).startswith("/home/u/tree/")]
    assert tree.events + sum(row.events for row in below) == 3000
    log = table.get("/var/log")
    assert log is not None
    assert (log.events, log.is_tree, table.others) == (5, False, None)


def test_who_is_at_it_stays() -> None:
    model = Model(0.0, 4)
    for pid in (1, 2, 3):
        model.add([deleted("/x", pid=pid)] * 100, 1.0)
    model.add([deleted("/x", pid=4)], 20.0)
    model.add([deleted("/x", pid=5)], 20.0)
    table = model.tables["process"]
    assert {row.names[0] for row in table} >= {4, 5}
    assert table.others is not None
    assert table.get(OTHERS) is table.others
    assert table.others.events == 200


def test_a_process_is_its_pid_and_its_start() -> None:
    model = Model(0.0)
    model.add([RM, {**RM, "start_ns": RM["start_ns"] + 1}, {**RM, "comm": "sh", "argv": None}], 1.0)
    rows = [*model.tables["process"]]
    assert [(row.events, row.names) for row in rows] == [
        (2, (12345, 1000, "sh", None)),
        (1, (12345, 1000, "rm", ("rm", "/tmp/test.txt"))),
    ]


@pytest.mark.parametrize(
    ("event", "path", "size"),
    [
        (RM, "/tmp/test.txt", 4096),
        ({**RM, "nlink": 2}, "/tmp/test.txt", 0),
        ({**RM, "file_type": "symlink"}, "/tmp/test.txt", 0),
        ({**RM, "action": "rmdir", "size": 4096}, "/tmp/test.txt", 0),
        ({**RM, "ret": -2, "errno": "ENOENT"}, "/tmp/test.txt", 0),
        ({**RM, "ret": None}, "/tmp/test.txt", None),
        ({**RM, "ret": None, "nlink": 2}, "/tmp/test.txt", 0),
        (WITHOUT_FACTS, "/tmp/test.txt", None),
        ({**WITHOUT_FACTS, "path": "deep", "path_kind": "partial"}, None, None),
        ({**WITHOUT_FACTS, "path": None, "path_kind": None}, None, None),
        (LINKED, "/srv/data/x", 4096),
        (MOVED, "/srv/db", 1_572_864),
        ({**MOVED, "replaced": False}, "/srv/new", 0),
        ({**MOVED, "replaced": None}, "/srv/new", None),
        (EXCHANGED, "/srv/new", 0),
        (emptied("/var/log/x", 5000), "/var/log/x", 5000),
        (emptied("/var/log/x", None), "/var/log/x", None),
        (PUNCHED, "/var/log/app.log", 4096),
        ({**RM, "action": None, "syscall": "mkdir", "size": None}, "/tmp/test.txt", 0),
    ],
)
def test_where_it_was_and_how_much_went(event: Event, path: str | None, size: int | None) -> None:
    assert path_and_bytes(event) == (path, size)
    model = Model(0.0)
    model.add([event], 1.0)
    [row] = model.tables["directory"]
    assert row.key == (None if path is None else path.rpartition("/")[0])
    assert row.gone() == size
    assert row.unsized == (size is None)


def test_a_size_that_is_not_known_is_none_beside_known_ones() -> None:
    row = Row("x")
    assert row.gone() == 0
    row.add(1, False, None)
    assert row.gone() is None
    row.add(1, False, 10)
    assert (row.gone(), row.unsized) == (10, 1)


def test_the_events_that_a_row_keeps() -> None:
    model = Model(0.0)
    model.add([RM], 1.0)
    [row] = model.tables["unit"]
    [recent] = row.recent
    assert event_of(recent) == {key: RM[key] for key in SHOWN}  # type: ignore[literal-required]
