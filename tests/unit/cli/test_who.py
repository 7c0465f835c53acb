"""``rawtp who``: its text, its JSON lines and its exit codes, with a history that only pretends."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rawtp
from helpers.recorded import DELETED, SECOND_NS, SESSION, PretendHistory, PretendScan, recorded
from helpers.samples import EMPTIED, EXCHANGED, LINKED, PUNCHED, RM
from rawtp.cli import invocation, main
from rawtp.formats import story
from rawtp.formats.timestamp import Clock

UTC = Clock(utc=True)
TS = RM["ts_ns"]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> type[PretendHistory]:
    history = type("History", (PretendHistory,), {})
    monkeypatch.setitem(vars(rawtp), "History", history)
    return history


@pytest.fixture(autouse=True)
def users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rawtp.cli.archive.user_name", lambda uid, _root: {0: "root", 1000: "me"}.get(uid))


def test_an_answer(pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["who", "--utc", "/tmp/test.txt"]) == 0
    assert capsys.readouterr() == (
        "2023-11-14 22:13:20.123  deleted /tmp/test.txt\n"
        "    by    rm /tmp/test.txt ← sh clean.sh ← cron\n"
        "    user  root (0), logged in as me (1000), pid 12345\n"
        "    in    session-3.scope\n"
        "    file  4.0 KiB, its last link\n"
        "\n"
        "2023-11-14 22:13:15.123  renamed /srv/new -> /srv/db\n"
        "    by    rm /tmp/test.txt ← bash ./clean.sh ← systemd\n"
        "    user  me (1000), pid 12345\n"
        "    in    session-3.scope\n"
        "    file  4.0 KiB, replaced a file of 1.5 MiB\n"
        "    why   the file had this name before: /srv/new\n"
        "\n"
        "only what these filters let through was recorded: uid 0\n"
        "watched from 2023-11-14 21:56:40.000 to 2023-11-14 22:14:20.123\n",
        "",
    )
    [(_, arguments, named), (_, window, _)] = pretend.asked
    assert arguments == ("/tmp/test.txt",)
    assert named == {"since": None, "until": None, "limit": 11, "failed": False}
    assert window == (None, None)
    assert pretend.directory == "/var/lib/rawtp"


def test_what_is_asked(pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--since", "@1700000000", "--until", "@1800000000", "--limit", "1", "--all", "--directory", "/x"]
    assert main(["who", "x", *arguments]) == 0
    since, until = 1_700_000_000 * SECOND_NS, 1_800_000_000 * SECOND_NS
    assert pretend.asked[0] == ("who", ("x",), {"since": since, "until": until, "limit": 2, "failed": True})
    assert pretend.asked[1] == ("gaps", (since, until), {})
    assert pretend.directory == "/x"
    out = capsys.readouterr().out
    assert "there are earlier events; --limit shows more" in out
    assert out.count("    by ") == 1


def test_nothing_found(pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    pretend.answer = []
    assert main(["who", "--utc", "/x\x1b[31m"]) == 4
    seen = "watched from 2023-11-14 21:56:40.000 to 2023-11-14 22:14:20.123"
    only = "only what these filters let through was recorded: uid 0\n"
    assert capsys.readouterr().out == f"{only}/x\\x1b[31m: nothing that succeeded was recorded; {seen}\n"
    assert main(["who", "--utc", "--all", "/x"]) == 4
    assert capsys.readouterr().out == f"{only}/x: nothing that happened was recorded; {seen}\n"
    pretend.watched = []
    assert main(["who", "/x"]) == 4
    assert capsys.readouterr().out.endswith("; nothing was watched in that time\n")


def test_what_cannot_be_known(pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    pretend.found_gaps = [
        {"from_ns": SESSION, "to_ns": SESSION + 3 * SECOND_NS, "reason": "died", "session": SESSION},
        {"from_ns": TS, "to_ns": None, "reason": "stopped", "session": None},
    ]
    times = {"from_ns": SESSION, "to_ns": SESSION, "session": SESSION}
    pretend.found_losses = [{**times, "count": 2, "kind": "ring", "cpu": 1, "via": "syscall"}]
    assert main(["who", "--utc", "/tmp/test.txt"]) == 0
    assert capsys.readouterr().out.splitlines()[-6:] == [
        "watched from 2023-11-14 21:56:40.000 to 2023-11-14 22:14:20.123, but for this",
        "not watched:",
        "  2023-11-14 21:56:40.000 to 2023-11-14 21:56:43.000 (3 s): the recorder or the host went down",
        "  2023-11-14 22:13:20.123 until now: nothing is recorded now",
        "lost 2 events:",
        "  2023-11-14 21:56:40.000: 2 events lost, the kernel's buffer was full",
    ]


def test_many_gaps_are_counted() -> None:
    gap = {"from_ns": SESSION, "to_ns": SESSION, "reason": "closed", "session": SESSION}
    lines = story.blind_spots([gap] * 20, [], UTC, "rawtp history --gaps --directory /x")
    assert lines[:2] == ["not watched:", "  16 before these: rawtp history --gaps --directory /x"]
    assert len(lines) == 6
    assert len(story.blind_spots([gap] * 20, [], UTC)) == 21


def test_a_command_shows_the_other_gaps(pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    gap = {"from_ns": SESSION, "to_ns": SESSION, "reason": "closed", "session": SESSION}
    pretend.found_gaps = [gap] * 5
    assert main(["who", "--directory", "/x", "/tmp/test.txt"]) == 0
    command = invocation.command("history", "--gaps", "--directory", "/x", as_root=True)
    assert f"  1 before these: {command}\n" in capsys.readouterr().out


def test_damaged_files_are_named_and_left_out(
    pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]
) -> None:
    pretend.damaged = ["events/x\x1b.parquet is damaged: the checksum differs"]
    told = "rawtp: events/x\\x1b.parquet is damaged: the checksum differs; it was left out\n"
    assert main(["who", "/tmp/test.txt"]) == 1
    out, err = capsys.readouterr()
    assert (out.count("    by "), err) == (2, told)
    assert main(["who", "--json", "/tmp/test.txt"]) == 1
    out, err = capsys.readouterr()
    assert (json.loads(out.splitlines()[-1])["damaged"], err) == (1, told)
    pretend.answer = []
    assert main(["who", "/tmp/test.txt"]) == 1


@pytest.mark.parametrize(("path", "option"), [("/srv", "--under"), ("/srv/*.log", "--glob"), ("/srv/", "--under")])
def test_what_happened_below(
    pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str], path: str, option: str
) -> None:
    def scan(self: PretendHistory, *arguments: Any, **named: Any) -> PretendScan:
        self.asked.append(("scan", arguments, named))
        return PretendScan([[recorded()] if f"--{next(iter(named))}" == option else []])

    pretend.answer = []
    pretend.scan = scan  # type: ignore[method-assign]
    assert main(["who", "--directory", "/x", path]) == 4
    command = invocation.command("history", option, path, "--directory", "/x", as_root=True)
    where = {"--under": "below it", "--glob": "to what it matches"}[option]
    assert capsys.readouterr().out.startswith(f"what happened {where}: {command}\n\n")
    asked = [call for call in pretend.asked if call[0] == "scan"][-1][2]
    assert asked == {option[2:]: path, "since": None, "until": None, "outcome": "ok", "limit": 1}


def test_json_lines(pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    pretend.answer = [recorded(name="/x\udcff", real_path="/x\udcff", ancestors=((1, "a\udcfe", None),))]
    assert main(["who", "--json", "/x"]) == 0
    out, err = capsys.readouterr()
    query, event, end = map(json.loads, out.splitlines())
    window = {"since_ns": None, "until_ns": None}
    directory = {"directory": "/var/lib/rawtp"}
    assert query == {
        "type": "query",
        "version": rawtp.__version__,
        "path": "/x",
        "limit": 10,
        "failed": False,
        **window,
        **directory,
    }
    assert list(event)[:5] == ["type", "relation", "name", "name_bytes", "ts_ns"]
    assert (event["name"], event["name_bytes"]) == ("/x\\xff", "L3j/")
    assert (event["user"], event["login"], event["ancestors"]) == ("me", "me", [[1, "a\\xfe", None]])
    assert {*rawtp.ALL_FIELDS, *rawtp.OPT_IN_FIELDS, "session", "host"} <= {*event}
    watched = [[SESSION, TS + 60 * SECOND_NS]]
    as_text = [[str(moment) for moment in span] for span in watched]
    assert end.pop("watched_ns_str") == as_text
    told = {"watched_ns": watched, "files_shown": True, "damaged": 0, "limits": ["uid 0"]}
    assert end == {"type": "end", "events": 1, "has_more": False, **told}
    assert err == ""
    assert out.isascii()


def test_names_of_another_hosts_users_are_not_looked_up(
    pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]
) -> None:
    pretend.answer = [recorded(host="elsewhere")]
    assert main(["who", "/x"]) == 0
    assert "    user  user 1000, pid 12345\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "the following arguments are required: PATH"),
        (["--since", "soon", "/x"], "argument --since: 'soon' is not a time"),
        (["--since", "1h", "--until", "2h", "/x"], "--until is before --since"),
        (["--limit", "0", "/x"], "argument --limit: '0' is not a whole number from 1 up"),
        (["/x", "/y"], "unrecognized arguments: /y"),
    ],
)
def test_wrong_usage(
    arguments: list[str], complaint: str, pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["who", *arguments]) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "complaint"),
    [
        (FileNotFoundError(2, "No such file or directory", "/x"), 1, "/x has no history. To record one, run: "),
        (
            PermissionError(13, "Permission denied", "/x"),
            1,
            "/x can be read by root, and by its group: ",
        ),
        (rawtp.RawtpError("events/1.parquet is damaged"), 1, "events/1.parquet is damaged"),
    ],
)
def test_what_cannot_be_read(
    error: Exception, code: int, complaint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusing(directory: str, *, root: str | None = None) -> None:
        raise error

    monkeypatch.setitem(vars(rawtp), "History", refusing)
    assert main(["who", "--directory", "/x", "/y"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"rawtp: {complaint}")
    assert "Traceback" not in err


def test_a_path_that_is_none(pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    def who(self: PretendHistory, *_: object, **__: object) -> None:
        raise ValueError("the path is empty")

    pretend._who = who  # type: ignore[assignment]
    assert main(["who", ""]) == 2
    assert capsys.readouterr().err.endswith("rawtp: error: the path is empty\n")


def deed(event: rawtp.Event, **changes: Any) -> list[str]:
    return [line.strip() for line in story.entry(recorded(event, **changes), UTC)]


def test_deeds() -> None:
    assert deed(EXCHANGED)[0].endswith("  exchanged /srv/new and /srv/db")
    assert deed(EMPTIED)[0].endswith("  truncated /var/log/app.log")
    assert "file  4.0 KiB -> 0" in deed(EMPTIED)
    assert deed(PUNCHED)[0].endswith("  made a hole in /var/log/app.log")
    assert "file  4.0 KiB, 4.0 KiB at 8.0 KiB" in deed(PUNCHED)
    assert "said  /home/me/link/x" in deed(LINKED)
    assert "file  4.0 KiB, 1 of 3 links" in deed(RM, nlink=3)
    assert "file  symlink, 4.0 KiB, its last link" in deed(RM, file_type="symlink")
    failed = deed(RM, ret=-13, errno="EACCES")
    assert failed[0].endswith("  tried to delete /tmp/test.txt: EACCES")
    assert not any(line.startswith("file") for line in failed)
    assert deed(RM, ret=None)[0].endswith("  asked to delete /tmp/test.txt (the result is not known)")
    assert "user  user 1000, acting as user 0, pid 12345" in deed(RM, euid=0)
    assert "in    nginx.service, container abc, pod def" in deed(
        RM, unit="nginx.service", container_id="abc", pod_id="def"
    )
    assert "why   /tmp is above the path" in deed(RM, relation="above", name="/tmp")
    assert "why   the file had this name afterwards: /b" in deed(RM, relation="after", name="/b")


def test_commands() -> None:
    assert 'by    rm "a b" "" ← bash' in deed(RM, argv=("rm", "a b", ""), ancestors=None)
    assert "by    rm ← bash" in deed(RM, argv=None, ancestors=None)
    assert "by    rm x [/usr/bin/busybox] ← bash" in deed(
        RM, argv=("rm", "x"), exe="/usr/bin/busybox", ancestors=None, parent_argv=None
    )
    assert 'by    rm "←" ← bash' in deed(RM, argv=("rm", "←"), ancestors=None)
    long = deed(RM, argv=("rm", *["x" * 100] * 100), argv_truncated=True)[1]
    assert len(long) < 400
    assert " ... ← " in long
    chain = deed(RM, ancestors=tuple((pid, f"p{pid}", None) for pid in range(16)))[1]
    assert chain.endswith("← p7 ← 8 more")


TEXTS = st.text(st.characters(), max_size=40) | st.sampled_from(["\x1b[2J", "a\nb", "\u202e", "\udcff", "→ x", " (y)"])


@given(TEXTS, TEXTS, TEXTS, st.sampled_from(["path", "above", "before", "after"]))
def test_no_name_acts_on_the_terminal(name: str, comm: str, word: str, relation: str) -> None:
    hostile = {"exe": name, "unit": name, "container_id": word, "pod_id": word, "user": word, "login": name}
    chain = ((1, comm, None), (2, comm, (word, name)))
    for event in (RM, EXCHANGED, EMPTIED):
        lines = story.entry(
            recorded(
                event,
                real_path=name,
                path=word,
                new_path=name,
                filename=word,
                new_filename=name,
                **hostile,
                comm=comm,
                parent_comm=comm,
                argv=(word, name),
                ancestors=chain,
                name=name,
                relation=relation,
            ),
            UTC,
        )
        assert all(line.isprintable() for line in lines), lines
        assert all(line.startswith("    ") for line in lines[1:])


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        *((0, "0 ms"), (-5, "0 ms"), (350_000_000, "350 ms"), (3 * SECOND_NS, "3 s"), (1_890_000_000, "1.8 s")),
        *((60 * SECOND_NS, "1 min"), (12_500_000_000, "12 s")),
        *((7500 * SECOND_NS, "2 h 5 min"), (86_400 * SECOND_NS, "1 d"), (90_000 * SECOND_NS, "1 d 1 h")),
    ],
)
def test_lengths(ns: int, text: str) -> None:
    assert story.duration(ns) == text


def test_an_output_without_arrows(
    pretend: type[PretendHistory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend.answer = [{**DELETED, "real_path": "/é"}]
    with (tmp_path / "out").open("w", encoding="ascii") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert main(["who", "--utc", "/é"]) == 0
    out = (tmp_path / "out").read_text("ascii")
    assert "deleted /\\u00e9\n" in out
    assert " <- sh clean.sh <- cron\n" in out


def test_the_default_window_ends_now(pretend: type[PretendHistory], capsys: pytest.CaptureFixture[str]) -> None:
    pretend.watched = [(SESSION, time.time_ns() + 10**12)]
    assert main(["who", "--json", "/x"]) == 0
    end = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert end["watched_ns"][0][1] <= time.time_ns()
