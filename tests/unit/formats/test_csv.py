"""CSV: what the standard library reads back is what was there."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.samples import RM
from rawtp.event import Event
from rawtp.formats.csv import Csv
from rawtp.formats.timestamp import Clock

KEYS = tuple(RM)


def records(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def record(event: Event, *keys: str) -> dict[str, str]:
    made = Csv(keys or KEYS)
    header, fields = records(made.begin({}) + made.event(event))
    return dict(zip(header, fields, strict=True))


def test_the_whole_record() -> None:
    made = Csv(("comm", "pid", "argv", "argv_truncated", "new_filename", "ancestors"), Clock(utc=True))
    assert made.begin({}) == "time,comm,pid,argv,argv_truncated,new_filename,ancestors,bytes\r\n"
    assert made.event(RM) == (
        '2023-11-14T22:13:20.123999999Z,rm,12345,"[""rm"",""/tmp/test.txt""]",false,,'
        '"[[12000,""bash"",[""bash"",""./clean.sh""]],[1,""systemd"",null]]",\r\n'
    )
    assert made.fields == ("comm", "pid", "argv", "argv_truncated", "new_filename", "ancestors", "ts_ns")
    assert made.begin({}, continues=True) == ""


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("plain", "plain"),
        ("", '""'),
        ('a"b', '"a""b"'),
        ("a,b", '"a,b"'),
        ("a\r\nb\t", '"a\r\nb\t"'),
        (" lead", '" lead"'),
        ("=1+1", "=1+1"),
        ("@SUM(A1)", "@SUM(A1)"),
        ("caf\xe9", "caf\xe9"),
    ],
)
def test_names_that_stay_as_they_are(name: str, field: str) -> None:
    assert Csv(("filename", "pid")).event({**RM, "filename": name}) == f"{field},12345,\r\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"caf\xe9", "caf\\xe9"), (b"\x1b[31m", "\\x1b[31m"), ("\x9b".encode(), "\\u009b"), (b"\x7f\n", "\\x7f\n")],
)
def test_what_is_shown_otherwise_comes_exactly_too(name: bytes, shown: str) -> None:
    found = record({**RM, "filename": os.fsdecode(name)}, "filename", "comm")
    assert (found["filename"], found["comm"]) == (shown, "rm")
    assert {key: base64.b64decode(text) for key, text in json.loads(found["bytes"]).items()} == {"filename": name}


def test_templates_change_nothing() -> None:
    rows: list[Event] = [
        {**RM, "comm": comm, "filename": filename, "duration_ns": None, "seq": seq}
        for seq in (1, 2)
        for comm in ("rm", "%s", "a,b", "\udce9")
        for filename in ("x", "%d", None, "", '"', "\udce9", "\x1b")
    ]
    for keys in (KEYS, ("filename", "comm"), ("seq",), ("comm",)):
        for clock in (None, Clock(utc=True)):
            made = Csv(keys, clock)
            assert made.events(rows) == "".join(Csv(keys, clock).event(row) for row in rows)
            found = records(made.events(rows))
            assert [len(fields) for fields in found] == [len(keys) + 1 + bool(clock)] * len(rows)
            if "comm" in keys:
                at = keys.index("comm") + bool(clock)
                assert [fields[at] for fields in found] == [
                    "\\xe9" if row["comm"] == "\udce9" else row["comm"] for row in rows
                ]


def test_a_real_path_that_is_no_text_comes_exactly_too() -> None:
    found = record({**RM, "real_path": os.fsdecode(b"/caf\xe9")}, "path", "real_path", "exchange", "size")
    assert found == {
        "path": "/tmp/test.txt",
        "real_path": "/caf\\xe9",
        "exchange": "false",
        "size": "4096",
        "bytes": '{"real_path":"L2NhZuk="}',
    }


def test_arguments_that_are_no_text() -> None:
    found = record({**RM, "argv": ("rm", os.fsdecode(b"\xe9"), "\x1b")}, "argv")
    assert json.loads(found["argv"]) == ["rm", "\\xe9", "\x1b"]
    assert json.loads(found["bytes"]) == {"argv": ["cm0=", "6Q==", "Gw=="]}


NAMES = st.one_of(st.none(), st.binary(), st.text('\r\n\t",; =\x00\x1b\x9b\u202e\xe9a').map(str.encode))


@given(st.binary(max_size=15), NAMES, st.lists(st.binary(max_size=5), max_size=3))
def test_every_value_comes_back(comm: bytes, filename: bytes | None, argv: list[bytes]) -> None:
    event: Event = {
        **RM,
        "comm": os.fsdecode(comm),
        "filename": None if filename is None else os.fsdecode(filename),
        "argv": tuple(map(os.fsdecode, argv)),
    }
    text = Csv(KEYS).event(event)
    text.encode("utf-8")
    assert not {char for char in text if ord(char) < 32 or 127 <= ord(char) < 160} - set("\r\n\t")
    assert len(records(text)) == 1
    found = record(event)
    exact: dict[str, Any] = json.loads(found["bytes"] or "{}")
    for key, original in (("comm", comm), ("filename", filename or b"")):
        if key in exact:
            assert base64.b64decode(exact[key], validate=True) == original
        else:
            assert found[key].encode() == original
    words = exact.get("argv")
    assert (
        [base64.b64decode(word) for word in words] if words else [word.encode() for word in json.loads(found["argv"])]
    ) == argv
    assert found["ts_ns"] == str(RM["ts_ns"])


def test_arguments_of_ancestors_that_are_no_text() -> None:
    lossy = os.fsdecode(b"\xe9")
    found = record({**RM, "ancestors": ((7, "sh", ("sh", lossy)), (1, "x", None))}, "ancestors", "cwd", "user")
    assert json.loads(found["ancestors"]) == [[7, "sh", ["sh", "\\xe9"]], [1, "x", None]]
    assert json.loads(found["bytes"]) == {"ancestors": [[7, "c2g=", ["c2g=", "6Q=="]], [1, "eA==", None]]}
    assert (found["cwd"], found["user"]) == ("/home/me", "me")
    found = record({**RM, "parent_argv": ("a\tb", lossy), "cwd": None, "login": None}, "parent_argv", "cwd", "login")
    assert (json.loads(found["parent_argv"]), found["cwd"], found["login"]) == (["a\tb", "\\xe9"], "", "")
    assert json.loads(found["bytes"]) == {"parent_argv": ["YQli", "6Q=="]}
