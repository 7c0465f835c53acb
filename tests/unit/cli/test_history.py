"""``rawtp history``: formats, filters and summaries, with a history that only pretends."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import Any

import pytest

import rawtp
from helpers.recorded import REPLACED, SESSION, PretendHistory, PretendScan, recorded
from helpers.samples import RM
from rawtp.cli import main, names

DAMAGED = "rawtp: events/x.parquet: is damaged\n"


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> type[PretendHistory]:
    history = type("History", (PretendHistory,), {})
    monkeypatch.setitem(vars(rawtp), "History", history)
    monkeypatch.setattr("rawtp.cli.archive.user_name", lambda uid, _root: {1000: "me"}.get(uid))
    return history


@pytest.fixture
def sound(pretend: type[PretendHistory], monkeypatch: pytest.MonkeyPatch) -> type[PretendHistory]:
    """Nothing is damaged."""

    class Scan(PretendScan):
        def __init__(self, batches: list[list[dict[str, Any]]]) -> None:
            super().__init__(batches)
            del self._steps[0]

    monkeypatch.setattr("helpers.recorded.PretendScan", Scan)
    return pretend


def test_json_lines_are_the_default_on_a_pipe(sound: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    sound.found_gaps = [{"from_ns": 1, "to_ns": 2, "reason": "died", "session": SESSION}]
    assert main(["history", "--until", "@1800000000"]) == 0
    out, err = capsys.readouterr()
    lines = list(map(json.loads, out.splitlines()))
    assert [line["type"] for line in lines] == ["query", "event", "event", "gap", "end"]
    assert lines[0]["version"] == rawtp.__version__
    keys = [key for key in lines[1] if not key.endswith("_str")]
    assert keys == ["type", *rawtp.ALL_FIELDS, "ancestors", "session", "host", *names.CONTAINER_NAMES]
    assert lines[-1] == {"type": "end", "events": 2, "damaged": 0}
    assert err == ""


def test_columns_have_a_line_for_each_day(sound: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    day = 86_400 * 10**9
    sound.answer = [recorded(), recorded(), recorded(ts_ns=RM["ts_ns"] + day)]
    assert main(["history", "-o", "columns", "--utc"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("TIME ")
    assert [lines[1], lines[4]] == ["2023-11-14", "2023-11-15"]
    assert lines[2].split() == ["22:13:20.123", "12345", "me", "rm", "delete", "unlinkat", "ok", "/tmp/test.txt"]
    assert len(lines) == 6
    assert err == "rawtp: 3 events\n"


def test_keys_are_what_is_read(sound: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "-o", "csv", "-f", "pid,path"]) == 0
    assert capsys.readouterr().out == "pid,path,bytes\r\n12345,/tmp/test.txt,\r\n12345,/srv/new,\r\n"
    [[columns]] = [arguments for name, arguments, _ in sound.asked if name == "scan"]
    assert columns == ["pid", "path", "path_bytes", "cpu", "seq", "lost", "via"]
    assert main(["history", "-o", "columns", "-f", "pid,comm"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["12345   rm", "12345   mv"]


def test_damage_is_told_and_stops_nothing(pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "-f", "pid"]) == 1
    out, err = capsys.readouterr()
    assert [json.loads(line)["type"] for line in out.splitlines()] == ["query", "event", "event", "end"]
    assert json.loads(out.splitlines()[-1])["damaged"] == 1
    assert err == DAMAGED


def test_filters(sound: type[PretendHistory]) -> None:
    arguments = ["-p", "1,2", "-u", "0", "--comm", "rm*", "--container", "abc", "--under", "/srv", "-s", "delete"]
    more = ["--action", "rename", "--outcome", "ok", "--limit", "5", "-r", "--since", "@1000001", "--until", "@1000002"]
    assert main(["history", *arguments, *more]) == 0
    [named] = [named for name, _, named in sound.asked if name == "scan"]
    assert named == {
        "since": 1_000_001 * 10**9,
        "until": 1_000_002 * 10**9,
        "under": "/srv",
        "glob": None,
        "pid": [1, 2],
        "uid": [0],
        "comm": ["rm*"],
        "container": ["abc"],
        "syscall": list(rawtp.DELETE),
        "action": ["rename"],
        "outcome": "ok",
        "newest_first": True,
        "limit": 5,
    }


def test_a_glob(sound: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "-o", "csv", "-f", "pid", "--glob", "/srv/{d*,x}", "--limit", "1"]) == 0
    assert capsys.readouterr().out.startswith("pid,bytes\r\n12345,\r\n")
    [(arguments, named)] = [(arguments, named) for name, arguments, named in sound.asked if name == "scan"]
    assert (named["under"], named["glob"], named["limit"]) == (None, "/srv/{d*,x}", 1)
    assert "real_path" not in arguments[0]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--glob", "/x/*", "--under", "/y"], "argument --glob: not with --under; the pattern says where it looks"),
        (["-o", "xml"], "argument -o/--output: invalid choice: 'xml'"),
        (["-o", "arrow", "--stats"], "argument -o/--output: arrow is for events"),
        (["--stats", "--gaps"], "argument --gaps: not allowed with argument --stats"),
        (["--top", "0"], "argument --top: '0' is not a whole number from 1 up"),
        (["-p", "x"], "argument -p/--pid: 'x' is not a process id"),
        (["--since", "1h", "--until", "2h"], "--until is before --since"),
    ],
)
def test_wrong_usage(
    arguments: list[str], complaint: str, pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_what_the_reader_refuses_is_wrong_usage(
    pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]
) -> None:
    def scan(self: PretendHistory, *_: object, **__: object) -> None:
        raise ValueError('unknown column "x"')

    pretend.scan = scan  # type: ignore[assignment]
    assert main(["history", "-p", "1"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.endswith('rawtp: error: unknown column "x"\n')) == ("", True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-f ts", "argument -f/--fields: unknown field 'ts'; did you mean 'ts_ns'? --fields help lists them"),
        ("--since 9999-01-01", "argument --since: '9999-01-01' is not a time"),
        ("--since @{future}", "is a time in the future\n"),
        ("--since 23:59:59.999999999", "; of the day before, it is 'yesterday 23:59:59.999999999'"),
        ("--since @5", "argument --since: '@5' is in January 1970: behind an @ comes a Unix time in seconds"),
        ("--top 3 -o csv", "argument -o/--output: csv is for events"),
    ],
)
def test_wrong_usage_of_what_is_recorded(
    arguments: str, message: str, pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["history", *arguments.format(future=int(time.time()) + 3600).split()]) == 2
    assert message in capsys.readouterr().err


def test_top(sound: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    sound.answer = [recorded(), recorded(), recorded(comm="x\x1b", uid=7, real_path="/srv/x"), REPLACED]
    assert main(["history", "--top", "1", "-o", "columns"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "by process:",
        "          2  rm",
        "          2  (others)",
        "by user:",
        "          3  me",
        "          1  (others)",
        "deleted, by directory:",
        "          3  /",
    ]
    assert main(["history", "--top", "9"]) == 0
    lines = list(map(json.loads, capsys.readouterr().out.splitlines()))
    assert lines[0] == {"type": "top", "by": "process", "name": "rm", "events": 2}
    assert {line["name"] for line in lines if line["by"] == "directory"} == {"/tmp", "/srv"}


def test_descriptions(pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "--stats", "-o", "columns", "--utc"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "recording: yes",
        "watched from 2023-11-14 21:56:40.000 to 2023-11-14 22:14:20.123",
        "sealed: 100 events, 2 files, 4.0 KiB",
        "not sealed yet: 1 log, 100 B",
        "per day: 100 events, 4.0 KiB",
        "per event: 41.0 bytes",
        "damaged, in quarantine: 1 file",
        "removed because of age or size: 3 files",
    ]
    assert main(["history", "--stats"]) == 0
    assert json.loads(capsys.readouterr().out)["is_recording"] is True
    assert main(["history", "--sessions", "-o", "columns", "--utc"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("2023-11-14 21:56:40.000 to 2023-11-14 21:56:41.000, host ")
    assert line.endswith('kernel 6.18\\x1b[31m, version 0.1.0, filters {"uid": [0]}, not closed')
    assert main(["history", "--gaps", "-o", "columns"]) == 0
    assert capsys.readouterr().out == "watched without a gap, and nothing was lost\n"
    assert main(["history", "--verify"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "damaged: events/\\x1b[31m.parquet",
        "damaged before, and in quarantine: 1 file; --gaps says of which time",
    ]


def test_csv_is_read_back(sound: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["history", "-o", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["real_path"] for row in rows] == ["/tmp/test.txt", "/srv/new"]
    assert {row["session"] for row in rows} == {str(SESSION)}
