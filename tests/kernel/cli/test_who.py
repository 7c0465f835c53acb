"""``rawtp who`` on the live kernel."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from pathlib import Path

import pytest

import rawtp
from helpers.recorders import asked, recording, until_found, who
from helpers.support import HANG_S
from rawtp.cli.archive import shows_files
from rawtp.formats.escape import shortened
from rawtp.formats.story import WITHOUT_FILES

pytestmark = pytest.mark.kernel


def test_who_says_who_it_was(place: Path, history: Path) -> None:
    victim = place / "victim"
    with recording(history) as recorder:
        victim.write_text("content")
        script = place / "clean.sh"
        script.write_text(f"rm {victim}\nexit 0\n")
        with subprocess.Popen(["sh", str(script)]) as shell:
            shell.wait(HANG_S)
        [event] = until_found(history, victim)
        assert event["name"] == str(victim)
        assert (event["relation"], event["comm"], event["argv"]) == ("path", "rm", ["rm", str(victim)])
        assert event["ancestors"][0] == [shell.pid, "sh", ["sh", str(script)]]
        assert event["user"] == pwd.getpwuid(os.getuid()).pw_name
        code, out, err = asked("who", "--directory", history, victim)
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0].endswith(f"  deleted {victim}")
        # A long path is shortened there.
        by = [shortened(f"rm {shortened(str(victim), 80)}", 240), shortened(f"sh {shortened(str(script), 80)}", 80)]
        assert lines[1].startswith(f"    by    {by[0]} ← {by[1]} ← ")
        assert f"    user  {event['user']} ({os.getuid()}), pid {event['pid']}" in lines
        assert lines[-1].startswith("watched from ")
        assert recorder.end() == 0
        assert " 0 lost\n" in recorder.messages
    # Nothing is lost by the end, and now nothing is watched.
    code, lines = who(history, victim)  # type: ignore[assignment]
    assert code == 0
    assert [line["type"] for line in lines] == ["query", "event", "gap", "end"]  # type: ignore[index]
    assert lines[2]["reason"] == "stopped"  # type: ignore[index]


def test_nothing_found(place: Path, history: Path) -> None:
    with recording(history):
        code, out, err = asked("who", "--directory", history, place / "never")
        assert (code, err) == (4, "")
        *caveat, answer = out.splitlines()
        assert answer.startswith(f"{place}/never: nothing that succeeded was recorded; ")
        has_files = all(shows_files(session) for session in rawtp.History(history).sessions())
        assert caveat == ([] if has_files else [WITHOUT_FILES])
        Path(place / "missing").unlink(missing_ok=True)
        [event] = until_found(history, place / "missing", 1, "--all")
        assert event["errno"] == "ENOENT"
        assert who(history, place / "missing")[0] == 4


def test_a_file_is_followed_through_renames(place: Path, history: Path) -> None:
    with recording(history):
        (place / "d").mkdir()
        (place / "d" / "x").touch()
        (place / "d" / "x").rename(place / "d" / "y")
        (place / "d" / "y").unlink()
        (place / "d").rmdir()
        found = until_found(history, place / "d" / "x", 3)
    assert [(event["action"], event["relation"]) for event in found] == [
        ("rmdir", "above"),
        ("delete", "after"),
        ("rename", "path"),
    ]


def test_links_above_the_path_are_followed(place: Path, history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "real").mkdir()
    (place / "link").symlink_to("real")
    with recording(history):
        (place / "real" / "x").touch()
        (place / "real" / "x").unlink()
        assert until_found(history, place / "link" / "x")[0]["name"] == str(place / "real" / "x")
        monkeypatch.chdir(place / "real")
        assert len(until_found(history, "x")) == 1


def test_hostile_names(place: Path, history: Path) -> None:
    name = b"\x1b[2J\n\xff\xe2\x80\xae"
    victim = os.fsencode(place) + b"/" + name
    with recording(history):
        os.close(os.open(victim, os.O_CREAT | os.O_WRONLY))
        Path(os.fsdecode(victim)).unlink()
        until_found(history, os.fsdecode(victim))
        code, out, _ = asked("who", "--directory", history, os.fsdecode(victim))
    assert code == 0
    assert f"deleted {place}/\\x1b[2J\\x0a\\xff\\u202e\n" in out
    assert all(line.isprintable() for line in out.splitlines())


def test_what_happened_below_a_directory_is_found(place: Path, history: Path) -> None:
    with recording(history):
        (place / "x.log").touch()
        (place / "x.log").unlink()
        until_found(history, place / "x.log")
        (place.parent / "link").symlink_to(place)
        for asked_for, option, where in (
            (place, "--under", "below it"),
            (f"{place}/", "--under", "below it"),
            (place.parent / "link", "--under", f"below {place}, where it leads"),
            (place / "*.log", "--glob", "to what it matches"),
        ):
            code, out, _ = asked("who", "--directory", history, asked_for)
            assert code == 4
            line = out.splitlines()[0]
            begin = f"what happened {where}: "
            assert line.startswith(begin)
            done = subprocess.run(
                ["sh", "-c", line.removeprefix(begin)], capture_output=True, text=True, check=True, timeout=HANG_S
            )
            assert option in line
            assert str(place / "x.log") in done.stdout


def test_who_waits_for_what_has_just_happened(place: Path, history: Path) -> None:
    with recording(history):
        (place / "x").touch()
        (place / "x").unlink()
        code, out, err = asked("who", "--directory", history, place / "x")
        assert (code, err, out.splitlines()[0].endswith(f"  deleted {place}/x")) == (0, "", True)
        with contextlib.suppress(FileNotFoundError):
            (place / "y").unlink()
        until_found(history, place / "y", 1, "--all")
        code, out, err = asked("who", "--directory", history, place / "y")
        assert (code, err) == (4, "")
        assert out.splitlines()[0] == f"{place}/y: there are attempts that failed; --all shows them"
