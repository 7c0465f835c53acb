"""JSON lines: every value comes back, and bytes that are no text are not lost."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.samples import EMPTIED, EXCHANGED, LINKED, MOVED, PUNCHED, RM, WITHOUT_FACTS
from rawtp.event import Event
from rawtp.formats.jsonl import JsonLines, document
from rawtp.formats.jsonl import line as reference
from rawtp.formats.timestamp import Clock

KEYS = tuple(RM)


def line(event: Event) -> str:
    """The line, after a check that the fast way to it gives the same as the plain one."""
    text = JsonLines(KEYS).events([event])
    assert text == reference(event, KEYS)
    assert text.endswith("}\n")
    return text[:-1]


def with_names(comm: bytes, filename: bytes) -> Event:
    return {**RM, "comm": os.fsdecode(comm), "filename": os.fsdecode(filename)}


def as_json(event: Event) -> dict[str, object]:
    """JSON has no tuples, and large numbers come as text, too."""
    keys: dict[str, object] = {"type": "event"}
    for key, value in event.items():
        keys[key] = value
        if type(value) is int and abs(value) >= 2**53:
            keys[f"{key}_str"] = str(value)
    return {
        **keys,
        "argv": list(event["argv"] or ()),
        "ancestors": [[pid, comm, argv and list(argv)] for pid, comm, argv in event["ancestors"]],
        "parent_argv": list(event["parent_argv"] or ()),
    }


def test_the_whole_line() -> None:
    assert line(RM) == (
        '{"type":"event","ts_ns":1700000000123999999,"ts_ns_str":"1700000000123999999","duration_ns":5200,"cpu":1,"seq":7,"lost":0,"pid":12345,"tid":12345,"ppid":12000,'
        '"uid":1000,"gid":1000,"comm":"rm","parent_comm":"bash","exe":"/usr/bin/rm","argv":["rm","/tmp/test.txt"],'
        '"argv_truncated":false,"euid":1000,"fsuid":1000,"fsgid":1000,"auid":1000,"session_id":3,"start_ns":1700000000100000000,"start_ns_str":"1700000000100000000","ns_pid":12345,'
        '"pid_ns":4026531836,"mnt_ns":4026531832,"cgroup_id":4242,"container_id":null,"pod_id":null,'
        '"unit":"session-3.scope","syscall":"unlinkat","abi":"x86_64","via":"syscall","action":"delete","dfd":-100,'
        '"flags":0,"range_start":null,"range_length":null,"filename":"/tmp/test.txt","new_filename":null,"path":"/tmp/test.txt","new_path":null,'
        '"path_kind":"absolute","host_path":null,"real_path":"/tmp/test.txt","new_real_path":null,'
        '"real_path_by":"kernel","dev":2049,"ino":131074,"generation":3735928559,"nlink":1,"size":4096,"mode":33188,'
        '"file_type":"file","owner":1000,"mtime_ns":1699999999000000001,"mtime_ns_str":"1699999999000000001","replaced":null,"replaced_ino":null,'
        '"replaced_size":null,"replaced_nlink":null,"length":null,"exchange":false,"name_status":"ok","ret":0,"errno":null,'
        '"ancestors":[[12000,"bash",["bash","./clean.sh"]],[1,"systemd",null]],"parent_argv":["bash","./clean.sh"],'
        '"cwd":"/home/me","user":"me","login":"me","freed":true,'
        '"args":{"dirfd":-100,"pathname":"file","flags":null}}'
    )


def test_arguments_that_are_no_text_come_in_base64_one_by_one() -> None:
    loaded = json.loads(line({**RM, "argv": ("rm", os.fsdecode(b"caf\xe9"))}))
    assert (loaded["argv"], loaded["argv_bytes"]) == (["rm", "caf\\xe9"], ["cm0=", "Y2Fm6Q=="])
    assert "argv_bytes" not in json.loads(line({**RM, "argv": ("rm", r"\xe9")}))
    loaded = json.loads(line({**RM, "ancestors": ((7, os.fsdecode(b"\xe9"), ("sh", "\udcff")), (1, "init", None))}))
    assert loaded["ancestors"] == [[7, "\\xe9", ["sh", "\\xff"]], [1, "init", None]]
    assert loaded["ancestors_bytes"] == [[7, "6Q==", ["c2g=", "/w=="]], [1, "aW5pdA==", None]]


def test_the_sample_has_every_key() -> None:
    assert list(RM) == list(get_type_hints(Event))


def test_numbers_that_a_double_cannot_hold_come_as_text_too() -> None:
    for number in (2**53 - 1, 1 - 2**53, 0, True):
        assert "ino_str" not in json.loads(line({**RM, "ino": number}))
    for number in (2**53, -(2**53), 2**64 - 1, -(2**63)):
        for key in ("ino", "cgroup_id", "seq", "ret"):
            loaded = json.loads(line({**RM, key: number}))  # type: ignore[misc]
            assert (loaded[key], loaded[f"{key}_str"]) == (number, str(number))
    loaded = json.loads(line({**RM, "args": {"fd": 3, "offset": 2**60, "path": "\udcff", "flags": ("A",)}}))
    assert loaded["args_str"] == {"offset": str(2**60)}
    assert list(loaded)[-3:] == ["args", "args_bytes", "args_str"]


@pytest.mark.parametrize("program", [["jq", "-r"], ["node", "-e"]])
def test_what_reads_numbers_as_doubles_has_the_digits(program: list[str]) -> None:
    if shutil.which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed")
    node = "const e = JSON.parse(require('fs').readFileSync(0)); console.log(BigInt(e.ts_ns_str) + 1n + '')"
    jq = ".ts_ns_str"
    done = subprocess.run(
        [*program, jq if program[0] == "jq" else node], input=line(RM), capture_output=True, text=True, check=True
    )
    expected = RM["ts_ns"] + (program[0] == "node")
    assert done.stdout == f"{expected}\n"


def test_a_document_has_the_digits_as_well() -> None:
    assert document("gap", {"from_ns": 2**60, "count": 3}) == (
        '{"type":"gap","from_ns":1152921504606846976,"from_ns_str":"1152921504606846976","count":3}\n'
    )


def test_an_unknown_name_is_null() -> None:
    loaded = json.loads(line({**RM, "filename": None, "name_status": "fault"}))
    assert loaded["filename"] is None
    assert "filename_bytes" not in loaded


def test_bytes_that_are_no_text_come_in_base64_too() -> None:
    loaded = json.loads(line(with_names(b"r\xf0m", b"caf\xe9\n")))
    assert loaded["comm"] == r"r\xf0m"
    assert loaded["filename"] == "caf\\xe9\n"
    assert loaded["comm_bytes"] == "cvBt"
    assert loaded["filename_bytes"] == "Y2Fm6Qo="
    bytes_keys = {"comm": ["comm_bytes"], "filename": ["filename_bytes"]}
    str_keys = {name: [f"{name}_str"] for name in ("ts_ns", "start_ns", "mtime_ns")}
    assert list(loaded) == ["type"] + [
        key for name in RM for key in (name, *bytes_keys.get(name, ()), *str_keys.get(name, ()))
    ]


def test_only_the_lossy_text_gets_a_second_key() -> None:
    loaded = json.loads(line(with_names(b"rm", b"\xff")))
    assert [key for key in loaded if key.endswith("_bytes")] == ["filename_bytes"]


def test_text_that_only_looks_lossy_gets_none() -> None:
    for name in (rb"\xff", rb"\udcff", "\U00010000".encode(), "\U0010fcff".encode()):
        loaded = json.loads(line(with_names(b"rm", name)))
        assert loaded == as_json(with_names(b"rm", name))


@given(st.binary(max_size=15), st.binary())
def test_every_value_comes_back(comm: bytes, filename: bytes) -> None:
    event = with_names(comm, filename)
    text = line(event)
    assert text.isascii()
    assert "\n" not in text
    loaded = json.loads(text)
    json.dumps(loaded, ensure_ascii=False).encode("utf-8")
    for key, original in (("comm", comm), ("filename", filename)):
        encoded = loaded.pop(f"{key}_bytes", None)
        if encoded is None:
            assert loaded[key].encode() == original
        else:
            assert base64.b64decode(encoded, validate=True) == original
            assert loaded[key] == original.decode("utf-8", "backslashreplace")
            loaded[key] = os.fsdecode(original)
    assert loaded == as_json(event)
    assert list(loaded) == list(as_json(event))


@given(st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=4), st.sampled_from([0, 0, 3])), max_size=20))
def test_templates_change_nothing(rows: list[tuple[bytes, bytes, int]]) -> None:
    events: list[Event] = [
        {**with_names(comm, filename), "lost": lost, "seq": seq, "duration_ns": None if lost else seq}
        for seq, (comm, filename, lost) in enumerate(rows)
    ]
    for keys in (KEYS, ("filename", "comm"), ("seq",), ("uid",), ("path", "ts_ns", "path_kind")):
        for clock in (None, Clock(utc=True)):
            expected = "".join(
                (f'{{"type":"lost","count":3,"cpu":1,"via":"syscall","seq":{event["seq"]}}}\n' if event["lost"] else "")
                + reference(event, keys, clock)
                for event in events
            )
            assert JsonLines(keys, clock).events(events) == expected


def test_templates_hold_for_files() -> None:
    events: list[Event] = [
        {**event, "seq": seq, "size": seq, "ino": seq, "real_path": path, "mtime_ns": seq}
        for seq, event in enumerate([RM, LINKED, MOVED, EXCHANGED, EMPTIED, PUNCHED, WITHOUT_FACTS] * 2)
        for path in (None, "/%s", os.fsdecode(b"/\xff"))
    ]
    lines = JsonLines(KEYS)
    assert lines.events(events) == "".join(reference(event, KEYS) for event in events)
    # One for each of the processes and calls, however the files differ.
    assert len(lines._templates._kept) == 7


def test_a_percent_sign_is_no_hole() -> None:
    event: Event = {**RM, "comm": "%s%%", "filename": "%d", "argv": ("%(x)s",)}
    loaded = json.loads(line(event))
    assert (loaded["comm"], loaded["filename"], loaded["argv"]) == ("%s%%", "%d", ["%(x)s"])


def test_templates_are_bounded() -> None:
    lines = JsonLines(("comm", "seq"))
    for number in range(3000):
        assert json.loads(lines.events([{**RM, "comm": str(number)}]))["comm"] == str(number)
    assert len(lines._templates._kept) <= 1024


def test_every_line_says_what_it_is() -> None:
    lines = JsonLines(("comm",), Clock(utc=True))
    assert lines.begin({"host": "h", "fields": ["x"]}) == '{"type":"session","host":"h","fields":["comm"]}\n'
    assert lines.event(RM) == '{"type":"event","time":"2023-11-14T22:13:20.123999999Z","comm":"rm"}\n'
    assert lines.lost(2, RM) == '{"type":"lost","count":2,"cpu":1,"via":"syscall","seq":7}\n'
    assert lines.lost(2, None) == '{"type":"lost","count":2,"cpu":null,"via":null,"seq":null}\n'
    assert lines.end({"matched": 3, "missed": None}) == '{"type":"ledger","matched":3,"missed":null}\n'
