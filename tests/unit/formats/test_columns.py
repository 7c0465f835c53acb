"""The table: exact lines, and names that cannot pretend."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.samples import EMPTIED, EXCHANGED, LINKED, MOVED, PUNCHED, RM, WITHOUT_FACTS
from rawtp.event import Event
from rawtp.formats.columns import Columns, header, paths, row
from rawtp.formats.escape import printable, size, width
from rawtp.formats.names import ASCII_FACT, gone

COMM_AT, ACTION_AT, NAME_AT = (header().index(title) for title in ("COMM", "ACTION", "PATH"))

# Where no path is known, the name is shown as it was passed.
UNRESOLVED: Event = {**WITHOUT_FACTS, "path": None, "path_kind": None}


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
    refused: Event = {
        **WITHOUT_FACTS,
        "comm": "java",
        "syscall": "rmdir",
        "ret": -39,
        "errno": "ENOTEMPTY",
        "path": "/a b",
    }
    refused["action"] = "rmdir"
    unseen: Event = {**RM, "pid": 4194304, "uid": 65534, "user": "nobody", "syscall": "unlink", "ret": None}
    renamed: Event = {
        **WITHOUT_FACTS,
        "syscall": "renameat2",
        "action": "rename",
        "new_filename": "new",
        "new_path": "/tmp/new",
    }
    shrunk: Event = {
        **WITHOUT_FACTS,
        "syscall": "ftruncate64",
        "action": "truncate",
        "filename": None,
        "path": "/tmp/log",
    }
    moved_up: Event = {**shrunk, "syscall": "fallocate", "action": "collapse"}
    handled: Event = {**shrunk, "syscall": "open_by_handle_at", "ret": 3, "path": None, "path_kind": None}
    queue: Event = {**WITHOUT_FACTS, "syscall": "mq_unlink", "filename": "jobs", "path": None, "path_kind": None}
    assert [header(), *map(row, (RM, refused, unseen, renamed, shrunk, moved_up, handled, queue))] == [
        "TIME             PID USER     COMM            ACTION   SYSCALL     RESULT       PATH",
        "22:13:20.123   12345 me       rm              delete   unlinkat    ok           /tmp/test.txt",
        "22:13:20.123   12345 me       java            rmdir    rmdir       ENOTEMPTY    /a b",
        "22:13:20.123 4194304 nobody   rm              delete   unlink      ?            /tmp/test.txt",
        "22:13:20.123   12345 me       rm              rename   renameat2   ok           /tmp/test.txt -> /tmp/new",
        "22:13:20.123   12345 me       rm              truncate ftruncate64 ok           /tmp/log",
        "22:13:20.123   12345 me       rm              collapse fallocate   ok           /tmp/log",
        "22:13:20.123   12345 me       rm              truncate open_by_handle_at ok           <fd>",
        "22:13:20.123   12345 me       rm              delete   mq_unlink   ok           jobs",
    ]


BELOW_CRON = ((12000, "clean.sh", ("sh", "./clean.sh")), (812, "cron", ("cron",)), (1, "systemd", None))


def test_a_wide_terminal_has_the_chain_and_what_went() -> None:
    made = Columns(screen=lambda: 150)
    refused: Event = {**MOVED, "ancestors": (), "ret": -13, "errno": "EACCES"}
    events: list[Event] = [{**RM, "ancestors": BELOW_CRON}, {**EMPTIED, "ancestors": ()}, refused]
    assert (made.begin({}) + made.events(events)).splitlines() == [
        "TIME             PID USER     BY                                 ACTION   SYSCALL     RESULT            SIZE"
        " PATH",
        "22:13:20.123   12345 me       rm ← clean.sh ← cron               delete   unlinkat    ok             4.0 KiB"
        " /tmp/test.txt",
        "22:13:20.123   12345 me       truncate                           truncate ftruncate   ok             4.0 KiB"
        " /var/log/app.log (4.0 KiB -> 0)",
        "22:13:20.123   12345 me       mv                                 rename   renameat2   EACCES               -"
        " /srv/new -> /srv/db",
    ]
    ascii_only = Columns(screen=lambda: 150, fact=ASCII_FACT)
    assert "rm <- clean.sh <- cron" in ascii_only.event({**RM, "ancestors": BELOW_CRON})


@pytest.mark.parametrize(("screen", "has_chain"), [(None, False), (80, False), (149, False), (150, True), (300, True)])
def test_only_a_wide_terminal_asks_the_kernel_for_ancestors(screen: int | None, has_chain: bool) -> None:
    made = Columns(screen=None if screen is None else lambda: screen)
    assert ("ancestors" in made.fields) == has_chain
    assert set(made.fields) - {"ancestors"} == {*Columns.fields, "user"}
    assert "user" not in Columns.fields


def test_a_terminal_that_grows_has_no_chain_and_one_that_shrinks_loses_it() -> None:
    cells = [100]
    grown = Columns(screen=lambda: cells[0])
    cells[0] = 200
    assert grown.begin({}).split()[3] == "COMM"
    assert "ancestors" not in grown.fields
    shrunk = Columns(screen=lambda: cells[0])
    assert shrunk.begin({}).split()[3] == "BY"
    cells[0] = 80
    assert shrunk.event({**RM, "ancestors": BELOW_CRON}).split()[3] == "COMM"


@pytest.mark.parametrize(
    ("user", "shown"),
    [
        ("root", "root    "),
        ("www-data", "www-data"),
        ("systemd-network", "sys…work"),
        (None, "1000    "),
        ("12", '"12"    '),
        ("\x1b[2J", "\\x1b[2J "),
    ],
)
def test_users_have_names(user: str | None, shown: str) -> None:
    assert row({**RM, "user": user})[21:29] == shown
    without = {key: value for key, value in RM.items() if key != "user"}
    assert row(without)[21:29] == "1000    "  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "count"),
    [
        (RM, 4096),
        ({**RM, "nlink": 2}, None),
        ({**RM, "ret": -1}, None),
        ({**RM, "ret": None}, None),
        (WITHOUT_FACTS, None),
        ({**RM, "action": "rmdir"}, None),
        (MOVED, 1_572_864),
        ({**MOVED, "replaced_nlink": 2}, None),
        (EXCHANGED, None),
        (EMPTIED, 4096),
        ({**EMPTIED, "length": 96}, 4000),
        ({**EMPTIED, "size": None}, None),
        (PUNCHED, 4096),
    ],
)
def test_what_content_went(event: Event, count: int | None) -> None:
    assert gone(event) == count


def test_where_no_whole_path_is_known_the_name_is_shown() -> None:
    assert name_of({**WITHOUT_FACTS, "filename": "x", "path": "deep/x", "path_kind": "partial"}) == "x"
    assert name_of({**WITHOUT_FACTS, "filename": None, "path": None, "path_kind": None}) == "<fd>"
    half: Event = {**WITHOUT_FACTS, "action": "rename", "filename": "a", "path": None, "path_kind": None}
    assert name_of({**half, "new_filename": "b", "new_path": "/b"}) == "a -> b"
    assert name_of({**WITHOUT_FACTS, "path": "/a\x1b[31m"}) == r"/a\x1b[31m"


def test_the_fact_stands_behind_the_claim() -> None:
    assert name_of(LINKED) == "/home/me/link/x → /srv/data/x"
    partial: Event = {**LINKED, "path": "deep/x", "path_kind": "partial"}
    assert name_of(partial) == "link/x → /srv/data/x"
    assert name_of({**EMPTIED, "path": None, "size": None}) == "/var/log/app.log"
    moved: Event = {**MOVED, "path": "/link/new", "new_path": "/link/db", "replaced": False}
    assert name_of(moved) == "/link/new -> /link/db → /srv/new -> /srv/db"
    # Of one of them the path is not known.
    assert name_of({**moved, "new_real_path": None}) == "/link/new -> /link/db → /srv/new -> /link/db"
    assert name_of({**LINKED, "real_path": "/srv/\x1b[2J"}) == r"/home/me/link/x → /srv/\x1b[2J"
    assert row(LINKED, fact=ASCII_FACT).endswith(" /home/me/link/x => /srv/data/x")
    assert Columns(fact=ASCII_FACT).event(LINKED).isascii()


def test_what_the_kernel_does_by_itself_is_the_fact_alone() -> None:
    removed: Event = {
        **RM,
        "comm": "nfsd",
        "syscall": None,
        "via": "kernel",
        "filename": None,
        "path": None,
        "path_kind": None,
        "real_path": "/srv/x",
    }
    assert name_of(removed) == "/srv/x"
    assert row(removed)[ACTION_AT:].split()[:2] == ["delete", "-"]
    assert name_of({**removed, "action": "rename", "new_real_path": "/srv/y"}) == "/srv/x -> /srv/y"


def test_what_went_is_said() -> None:
    assert name_of(MOVED) == "/srv/new -> /srv/db (replaced 1.5 MiB)"
    assert name_of({**MOVED, "replaced_size": None}) == "/srv/new -> /srv/db (replaced a file)"
    assert name_of({**MOVED, "replaced_nlink": 3}) == "/srv/new -> /srv/db (replaced 1 of 3 links)"
    directory: Event = {**MOVED, "file_type": "directory", "replaced_nlink": 2}
    assert name_of(directory) == "/srv/new -> /srv/db (replaced a directory)"
    assert name_of(EXCHANGED) == "/srv/new <-> /srv/db"
    assert name_of(EMPTIED) == "/var/log/app.log (4.0 KiB -> 0)"
    assert name_of({**EMPTIED, "size": None}) == "/var/log/app.log"
    assert name_of(PUNCHED) == "/var/log/app.log (4.0 KiB at 8.0 KiB)"
    for event in (MOVED, EMPTIED, PUNCHED):
        assert not name_of({**event, "ret": -1, "errno": "EPERM"}).endswith(")")


def test_no_name_reads_like_a_fact_or_like_what_went() -> None:
    for name in ("a → /etc/shadow", "a => b", "a -> b", "a <-> b", "→ x", "a ->", "-> b", "x (replaced 1 KiB)"):
        assert name_of({**UNRESOLVED, "filename": name}) == f'"{name}"'
        assert name_of({**LINKED, "real_path": f"/{name}"}).endswith(f' → "/{name}"') == (name[0] not in "→-")
    for name in ("a->b", "(1)", "a (1).txt", "a→b"):
        assert name_of({**UNRESOLVED, "filename": name}) == name


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1023 * 1024, "1.0 MiB"),
        (-4096, "-4.0 KiB"),
        (2**63 - 1, "8.0 EiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("event", "rooms"),
    [
        (LINKED, {29: "/home/me/link/x → /srv/data/x", 28: "→ /srv/data/x", 12: "→ /srv…ata/x"}),
        (EMPTIED, {31: "/var/log/app.log (4.0 KiB -> 0)", 30: "/var/log/app.log", 15: "/var/lo…app.log"}),
        (EXCHANGED, {20: "/srv/new <-> /srv/db", 19: "/sr…new <-> /srv/db"}),
        ({**MOVED, "path": "/l/new"}, {40: "/l/new -> /srv/db → /srv/new -> /srv/db", 38: "→ /srv/new -> /srv/db"}),
    ],
)
def test_in_little_room_the_fact_stays(event: Event, rooms: dict[int, str]) -> None:
    assert {room: paths(event, room) for room in rooms} == rooms


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


def live(lines: int = 24) -> Columns:
    made = Columns(screen=lambda: 120, height=lambda: lines)
    made.begin({})
    return made


def test_repeats_are_folded_with_exact_counts() -> None:
    made = live()
    same: Event = {**RM, "ts_ns": RM["ts_ns"] + 1_000_000_000}
    text = made.events([RM, same, {**same, "seq": 9}, {**RM, "pid": 1}, {**RM, "pid": 1}])
    first, folded, second = text.splitlines()
    assert first.endswith("/tmp/test.txt")
    assert folded == "-- the same 2 times more, until 22:13:21.123 --"
    assert " 1 " in second
    assert made.wait_s == 1.0
    assert made.events([]) == "-- the same once more, until 22:13:20.123 --\n"
    assert made.wait_s is None
    assert (made.events([]), made.end({})) == ("", "")
    assert made.events([{**RM, "pid": 1}]) == ""
    assert made.end({}) == "-- the same once more, until 22:13:20.123 --\n"


def test_a_loss_between_repeats_is_told_in_its_place() -> None:
    made = live()
    lost: Event = {**RM, "lost": 4}
    lines = made.events([RM, RM, lost, RM]).splitlines()
    assert [line[:20] for line in lines[1:3]] == ["-- the same once mor", "-- lost 4 events her"]
    assert lines[3] == lines[0]
    assert made.end({}).startswith("-- the same once more")


def test_no_repeat_is_folded_where_rows_are_events() -> None:
    assert len(Columns().events([RM, RM]).splitlines()) == 2
    assert len(Columns(screen=lambda: 120).events([RM, RM]).splitlines()) == 2


def test_the_titles_come_again_after_a_screenful() -> None:
    made = live(10)
    lines = made.events([{**RM, "pid": pid} for pid in range(1, 21)]).splitlines()
    titles = [at for at, line in enumerate(lines) if line.startswith("TIME")]
    assert titles == [9, 19]
    assert len(lines) == 22


def test_repeats_without_end_are_told_every_five_seconds() -> None:
    made = live()
    many: list[Event] = [{**RM, "ts_ns": RM["ts_ns"] + second * 1_000_000_000} for second in range(14)]
    told = [line for line in made.events(many).splitlines() if line.startswith("--")]
    assert [line.split(" more")[0] for line in told] == ["-- the same 6 times", "-- the same 6 times"]
    assert made.end({}).startswith("-- the same once more")
