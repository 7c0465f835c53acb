"""The table: exact lines, and names that cannot pretend."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.samples import RM
from rawtp.event import Event
from rawtp.formats.columns import header, row
from rawtp.formats.escape import printable, width

COMM_AT, ACTION_AT, NAME_AT = (header().index(title) for title in ("COMM", "ACTION", "PATH"))

# Where no path is known, the name is shown as it was passed.
UNRESOLVED: Event = {**RM, "path": None, "path_kind": None}


@pytest.fixture(autouse=True, scope="module")
def utc() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


def name_of(event: Event) -> str:
    return row(event)[NAME_AT:]


def test_the_whole_table() -> None:
    refused: Event = {**RM, "comm": "java", "syscall": "rmdir", "ret": -39, "errno": "ENOTEMPTY", "path": "/a b"}
    refused["action"] = "rmdir"
    unseen: Event = {**RM, "pid": 4194304, "uid": 65534, "syscall": "unlink", "ret": None, "duration_ns": None}
    renamed: Event = {**RM, "syscall": "renameat2", "action": "rename", "new_filename": "new", "new_path": "/tmp/new"}
    shrunk: Event = {**RM, "syscall": "ftruncate64", "action": "truncate", "filename": None, "path": "/tmp/log"}
    moved_up: Event = {**shrunk, "syscall": "fallocate", "action": "collapse"}
    handled: Event = {**shrunk, "syscall": "open_by_handle_at", "ret": 3, "path": None, "path_kind": None}
    queue: Event = {**RM, "syscall": "mq_unlink", "filename": "jobs", "path": None, "path_kind": None}
    assert [header(), *map(row, (RM, refused, unseen, renamed, shrunk, moved_up, handled, queue))] == [
        "TIME             PID    UID COMM            ACTION   SYSCALL     RESULT       PATH",
        "22:13:20.123   12345   1000 rm              delete   unlinkat    ok           /tmp/test.txt",
        "22:13:20.123   12345   1000 java            rmdir    rmdir       ENOTEMPTY    /a b",
        "22:13:20.123 4194304  65534 rm              delete   unlink      ?            /tmp/test.txt",
        "22:13:20.123   12345   1000 rm              rename   renameat2   ok           /tmp/test.txt -> /tmp/new",
        "22:13:20.123   12345   1000 rm              truncate ftruncate64 ok           /tmp/log",
        "22:13:20.123   12345   1000 rm              collapse fallocate   ok           /tmp/log",
        "22:13:20.123   12345   1000 rm              truncate open_by_handle_at ok           <fd>",
        "22:13:20.123   12345   1000 rm              delete   mq_unlink   ok           jobs",
    ]


def test_where_no_whole_path_is_known_the_name_is_shown() -> None:
    assert name_of({**RM, "filename": "x", "path": "deep/x", "path_kind": "partial"}) == "x"
    assert name_of({**RM, "filename": None, "path": None, "path_kind": None}) == "<fd>"
    half: Event = {**RM, "action": "rename", "filename": "a", "path": None, "path_kind": None}
    assert name_of({**half, "new_filename": "b", "new_path": "/b"}) == "a -> b"
    assert name_of({**RM, "path": "/a\x1b[31m"}) == r"/a\x1b[31m"


def test_the_time_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "NPT-05:45")
        time.tzset()
        assert row(RM).startswith("03:58:20.123 ")
    time.tzset()


def test_an_errno_without_a_name_shows_its_number() -> None:
    assert row({**RM, "ret": -512, "errno": None}).split()[6] == "-512"


@pytest.mark.parametrize(
    ("filename", "status", "shown"),
    [
        (None, "fault", "<fault>"),
        ("<fault>", "ok", '"<fault>"'),
        ('"<fault>"', "ok", r'"\"<fault>\""'),
        ("", "ok", '""'),
        ('""', "ok", r'"\"\""'),
        (" ", "ok", '" "'),
        (" lead", "ok", '" lead"'),
        ("trail ", "ok", '"trail "'),
        ('in"side', "ok", 'in"side'),
        ("<name", "ok", '"<name"'),
        ("name<truncated>", "ok", "name<truncated>"),
        ("aaa", "truncated", '"aaa"<truncated>'),
        ('"aaa"<truncated>', "ok", r'"\"aaa\"<truncated>"'),
        ("\x1b]0;owned\x07", "ok", r"\x1b]0;owned\x07"),
        ("one\n22:13:20.123", "ok", r"one\x0a22:13:20.123"),
        ("caf\udce9", "ok", r"caf\xe9"),
        ("back\\slash", "ok", r"back\\slash"),
    ],
)
def test_names(filename: str | None, status: str, shown: str) -> None:
    event: Event = {**UNRESOLVED, "filename": filename, "name_status": status}  # type: ignore[typeddict-item]
    assert name_of(event) == shown


def test_a_name_longer_than_any_terminal_stays_whole() -> None:
    assert name_of({**UNRESOLVED, "filename": "x" * 4095}) == "x" * 4095


def test_comm_is_escaped_and_quoted_like_a_name() -> None:
    assert row({**RM, "comm": "\x1b[31m"})[COMM_AT:ACTION_AT] == r"\x1b[31m".ljust(16)
    assert row({**RM, "comm": ""})[COMM_AT:ACTION_AT] == '""'.ljust(16)
    assert row({**RM, "comm": "\udcff"})[COMM_AT:ACTION_AT] == r"\xff".ljust(16)


@pytest.mark.parametrize("comm", ["rm", "日本", "e\u0301", "\u0301", "\u1112\u1161\u11ab", "é" * 7, "🦀", "a\u200bb"])
def test_columns_stay_aligned(comm: str) -> None:
    before, _, _ = row({**RM, "comm": comm}).partition("delete")
    assert width(before) == ACTION_AT


NAMES = st.one_of(st.binary().map(os.fsdecode), st.sampled_from(["", '"', "<fault>", " a", '""', '"a"<truncated>']))
STATES = st.one_of(st.just((None, "fault")), st.tuples(NAMES, st.just("ok")), st.tuples(NAMES, st.just("truncated")))


@given(STATES, STATES)
def test_what_differs_looks_different(first: tuple[str | None, str], second: tuple[str | None, str]) -> None:
    shown = [
        name_of({**UNRESOLVED, "filename": filename, "name_status": status})  # type: ignore[typeddict-item]
        for filename, status in (first, second)
    ]
    assert (shown[0] == shown[1]) == (first == second)


@given(st.binary(max_size=15).map(os.fsdecode), NAMES)
def test_a_row_is_one_line_that_prints(comm: str, filename: str) -> None:
    shown = row({**RM, "comm": comm, "filename": filename})
    assert shown.isprintable()
    assert printable(shown.replace("\\", "/")) == shown.replace("\\", "/")
