"""Chosen keys as a table, and what fits a terminal."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.samples import RM, WITHOUT_FACTS
from rawtp.event import Event
from rawtp.formats.ansi import FAILURE, LOSS, Colours
from rawtp.formats.columns import Columns, header, row
from rawtp.formats.escape import printable, shortened, width
from rawtp.formats.table import Table, cell
from rawtp.formats.timestamp import Clock

COLOURS = Colours(use=True)
REFUSED: Event = {**RM, "ret": -2, "errno": "ENOENT"}


def test_the_whole_table() -> None:
    table = Table(("pid", "comm", "errno", "argv"), Clock(utc=True))
    assert table.begin({}) + table.events([RM, {**RM, "comm": "\x1b[2J", "errno": "ENOENT", "argv": None}]) == (
        "time         pid     comm            errno           argv\n"
        "22:13:20.123 12345   rm              -               [rm, /tmp/test.txt]\n"
        "22:13:20.123 12345   \\x1b[2J         ENOENT          -\n"
    )
    assert table.fields == ("pid", "comm", "errno", "argv", "ts_ns")
    assert Table(("pid",)).begin({}) == "pid\n"


def test_cells() -> None:
    assert [cell(value) for value in (None, "-", "", True, 5, ("a", (1, "\n")))] == [
        *("-", '"-"', '""', "true", "5", "[a, [1, \\x0a]]")
    ]


def test_the_last_column_fits() -> None:
    table = Table(("pid", "path"), screen=lambda: 30)
    row = table.event({**RM, "path": "/" + "a" * 50 + "z"})
    assert row == "12345   /aaaaaaaaa…aaaaaaaaaaz\n"
    assert width(row.rstrip("\n")) == 30


@pytest.mark.parametrize(
    ("screen", "room"), [(130, 50), (110, 30), (109, 48), (80, 19), (77, 16), (70, 16), (20, 16), (1, 16)]
)
def test_a_path_has_what_is_left(screen: int, room: int) -> None:
    row = Columns(Clock(utc=True), lambda: screen).event({**WITHOUT_FACTS, "path": "/" + "a" * 90 + "/end"})
    path = row.rstrip("\n").rpartition(" ")[2]
    assert len(path) == room
    assert (path[0], path[-4:]) == ("/", "/end")
    assert "…" in path


def test_titles_follow_the_width() -> None:
    cells = [120]
    made = Columns(Clock(utc=True), lambda: cells[0])
    wide = "TIME             PID USER     COMM            ACTION   SYSCALL     RESULT       PATH\n"
    narrow = "TIME         PID USER     COMM            ACTION   RESULT    PATH\n"
    assert made.begin({}) == wide
    assert made.event(RM) == (
        "22:13:20.123   12345 me       rm              delete   unlinkat    ok           /tmp/test.txt\n"
    )
    cells[0] = 80
    assert made.event(RM) == narrow + "22:13:20   12345 me       rm              delete   ok        /tmp/test.txt\n"
    assert made.event(RM) == "22:13:20   12345 me       rm              delete   ok        /tmp/test.txt\n"
    cells[0] = 120
    assert made.event(RM).startswith(wide)


@pytest.mark.parametrize("screen", [None, 1, 40, 80, 109, 110, 300])
def test_a_truncation_is_told_from_a_deletion_at_every_width(screen: int | None) -> None:
    truncated: Event = {**RM, "syscall": "openat", "action": "truncate"}
    rows = [row(event, Clock(utc=True), screen).split() for event in (RM, truncated)]
    assert [line[4] for line in rows] == ["delete", "truncate"]
    is_wide = screen is None or screen >= 110
    assert [line[5] for line in rows] == (["unlinkat", "openat"] if is_wide else ["ok", "ok"])
    assert header(screen).split()[4:6] == ["ACTION", "SYSCALL" if is_wide else "RESULT"]


def test_both_paths_of_a_rename_have_a_share() -> None:
    event: Event = {**WITHOUT_FACTS, "action": "rename", "path": "/" + "a" * 90, "new_filename": "b", "new_path": "/b"}
    row = Columns(Clock(utc=True), lambda: 110).event(event).rstrip("\n")
    assert len(row) == 110
    assert row.endswith("a -> /b")
    row = Columns(Clock(utc=True), lambda: 110).event({**event, "new_path": "/" + "b" * 90}).rstrip("\n")
    assert len(row) == 110
    assert row.endswith(" /aaaaa…aaaaaa -> /bbbbb…bbbbbb")


def test_without_a_terminal_nothing_is_cut_and_no_loss_is_a_row() -> None:
    long: Event = {**WITHOUT_FACTS, "path": "/" + "a" * 4000, "lost": 2}
    [row] = Columns(Clock(utc=True)).events([long]).splitlines()
    assert row.endswith(" /" + "a" * 4000)
    [row] = Table(("path",)).events([long]).splitlines()
    assert row == "/" + "a" * 4000


def test_losses_stand_in_their_place() -> None:
    for made in (Columns(screen=lambda: 120), Table(("path",), screen=lambda: 80)):
        made.begin({})
        first, loss, last = made.events([RM, {**RM, "lost": 2, "cpu": 3}]).splitlines()
        assert (first.endswith("/tmp/test.txt"), last.endswith("/tmp/test.txt")) == (True, True)
        assert loss == "-- lost 2 events here on CPU 3 --"
        assert made.lost(1, None) == "-- lost 1 event here --\n"


def test_only_failures_and_losses_are_coloured() -> None:
    made = Columns(Clock(utc=True), lambda: 120, COLOURS)
    assert "\x1b" not in made.begin({}) + made.event(RM)
    assert f" {FAILURE}ENOENT\x1b[0m       /tmp/test.txt\n" in made.event(REFUSED)
    assert made.lost(1, None) == f"{LOSS}-- lost 1 event here --\x1b[0m\n"
    plain = Columns(Clock(utc=True), lambda: 120).event(REFUSED)
    assert made.event(REFUSED).replace(FAILURE, "").replace("\x1b[0m", "") == plain


@given(st.binary().map(os.fsdecode), st.integers(2, 40))
def test_shortened_text_fits_and_keeps_its_ends(name: str, cells: int) -> None:
    text = printable(name)
    found = shortened(text, cells)
    assert width(found) <= cells
    if width(text) <= cells:
        assert found == text
    else:
        start, _, end = found.rpartition("…") if text.count("…") == 0 else (found[:1], "", "")
        assert text.startswith(start)
        assert text.endswith(end)


def test_wide_characters_are_counted_as_they_are_drawn() -> None:
    assert shortened("日本日本日本", 8) == "日…日本"
    assert width(shortened("日本日本日本", 8)) == 7


@pytest.mark.parametrize("keys", [("pid", "comm", "path"), ("path", "pid"), ("argv",)])
@given(st.binary(max_size=15), st.binary())
def test_a_row_is_one_line_that_prints(keys: tuple[str, ...], comm: bytes, path: bytes) -> None:
    event: Event = {**RM, "comm": os.fsdecode(comm), "path": os.fsdecode(path), "argv": (os.fsdecode(path),)}
    for screen in (None, lambda: 60):
        row = Table(keys, screen=screen).event(event)
        assert row[-1] == "\n"
        assert row[:-1].isprintable()
