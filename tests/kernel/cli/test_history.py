"""``rawtp history`` on the live kernel, and what both questions say of a recording."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import rawtp
from helpers.recorders import CLI, asked, events, recording, until_found
from helpers.support import wait_for
from helpers.terminals import own_user

pytestmark = pytest.mark.kernel


def test_no_history(tmp_path: Path) -> None:
    code, out, err = asked("who", "--directory", tmp_path / "none", "/x")
    assert (code, out) == (1, "")
    assert err.startswith(f"rawtp: {tmp_path}/none has no history. To record one, run: ")
    assert asked("history", "--directory", tmp_path / "none")[0] == 1
    assert asked("record", "--status", "--directory", tmp_path / "none")[0] == 1
    assert asked("who", "--since", "soon", "/x")[0] == 2


def test_history(place: Path, history: Path) -> None:
    with recording(history):
        for name in ("a.log", "b.txt"):
            (place / name).touch()
            subprocess.run(["rm", place / name], check=True)
        until_found(history, place / "b.txt")
        read = ("history", "--directory", history)
        code, out, err = asked(*read, "--under", place, "-o", "csv", "-f", "comm,real_path")
        assert code == 0
        assert [tuple(row.values())[:2] for row in csv.DictReader(io.StringIO(out))] == [
            ("rm", str(place / "a.log")),
            ("rm", str(place / "b.txt")),
        ]
        assert "2 events" in err
        code, out, _ = asked(*read, "--glob", f"{place}/*.log")
        assert [event["real_path"] for event in events(list(map(json.loads, out.splitlines())))] == [
            str(place / "a.log")
        ]
        code, out, _ = asked(*read, "--under", place, "-o", "columns", "--comm", "rm", "-r", "--limit", "1")
        assert out.splitlines()[1] == time.strftime("%Y-%m-%d", time.gmtime())
        assert out.splitlines()[2].endswith(str(place / "b.txt"))
        assert out.splitlines()[2].split()[2] == own_user()
        code, out, _ = asked(*read, "--under", place, "--top", "3", "-o", "columns")
        assert "by process:\n          2  rm\n" in out
        assert f"deleted, by directory:\n          2  {place}\n" in out
        code, out, _ = asked(*read, "--sessions")
        [session] = map(json.loads, out.splitlines())
        assert json.loads(session["info"])["kernel"] == os.uname().release
        assert asked(*read, "--verify")[:2] == (0, "nothing is damaged\n")
        assert asked(*read, "-f", "nothing")[0] == 2


def test_a_damaged_file_is_told_by_all(place: Path, history: Path) -> None:
    """``who`` and the recorder name it, and the rest is answered."""
    for name in ("one", "other"):
        with recording(history):
            (place / name).touch()
            (place / name).unlink()
            until_found(history, place / name)
    with recording(history):
        pass
    damaged = sorted(history.rglob("*.parquet"))[0]
    content = bytearray(damaged.read_bytes())
    content[-20] ^= 1
    damaged.write_bytes(content)
    told = f"rawtp: {damaged.relative_to(history)} is damaged: the checksum differs; it was left out\n"
    code, out, err = asked("who", "--directory", history, place / "other")
    assert (code, err) == (1, told)
    assert f"  deleted {place / 'other'}\n" in out
    assert asked("who", "--directory", history, place / "one")[0] == 1
    with recording(history) as recorder:
        line = f"in quarantine, and a gap in the recording: {damaged.relative_to(history)} is damaged"
        wait_for(lambda: line in recorder.messages, "it is told")
    code, out, err = asked("who", "--directory", history, place / "other")
    assert (code, err) == (0, "")
    assert (
        asked("history", "--gaps", "--directory", history, "-o", "columns")[1].count("what was recorded is damaged")
        == 1
    )
    code, out, err = asked("history", "--verify", "--directory", history)
    assert (code, out) == (0, "damaged before, and in quarantine: 1 file; --gaps says of which time\n")


def test_a_file_that_is_gone_is_told(place: Path, history: Path) -> None:
    with recording(history):
        (place / "x").touch()
        (place / "x").unlink()
        until_found(history, place / "x")
    with recording(history):
        pass
    gone = sorted(history.rglob("*.parquet"))[0]
    gone.unlink()
    told = f"rawtp: {gone.relative_to(history)} is damaged: it is gone; it was left out\n"
    code, _, err = asked("who", "--directory", history, place / "x")
    assert (code, err) == (1, told)
    assert asked("history", "--directory", history)[0] == 1


def test_a_damaged_journal_is_told(place: Path, history: Path) -> None:
    with recording(history):
        (place / "x").touch()
        (place / "x").unlink()
        until_found(history, place / "x")
    journal = history / "journal.jsonl"
    whole = journal.read_bytes()
    for damaged in (whole.replace(b'"session"', b'"sessiom"', 1), b""):
        journal.write_bytes(damaged)
        assert asked("history", "--verify", "--directory", history)[:2] == (1, "damaged: journal.jsonl\n")
    journal.write_bytes(whole)
    assert asked("history", "--verify", "--directory", history)[:2] == (0, "nothing is damaged\n")


def test_filters_of_a_recording_are_told(place: Path, history: Path) -> None:
    with recording(history, "-P", place, "-s", "delete,rename"):
        code, out, _ = asked("who", "--directory", history, "/nonexistent")
    assert code == 4
    line = f"only what these filters let through was recorded: path {place}; syscalls unlink, unlinkat, rmdir, "
    assert line in out


@pytest.mark.parametrize("kind", ["arrow", "parquet"])
def test_columns_on_a_pipe(kind: str, place: Path, history: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    with recording(history):
        (place / "x").touch()
        (place / "x").unlink()
        until_found(history, place / "x")
        command = [*CLI, "history", "--directory", str(history), "-o", kind, "--glob", f"{place}/?"]
        done = subprocess.run(command, capture_output=True, check=True)
    source = io.BytesIO(done.stdout)
    table = pyarrow.ipc.open_stream(source).read_all() if kind == "arrow" else parquet.read_table(source)
    assert table["real_path"].to_pylist() == [str(place / "x")]


def test_words_that_are_none_are_refused(history: Path) -> None:
    with recording(history):
        pass
    code, out, err = asked("history", "--directory", history, "--action", "unlink")
    known = "delete, rmdir, rename, truncate, punch, zero or collapse"
    assert (code, out) == (2, "")
    assert err.endswith(f"unknown action 'unlink': it must be {known}\n")
    with pytest.raises(ValueError, match="unknown syscall 'mkdir'"):
        rawtp.History(history).scan(syscall=["unlink", "mkdir"])


def test_whoever_may_read_it_needs_no_privilege(place: Path, history: Path) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None or os.geteuid():
        pytest.skip("it needs setpriv and root")
    victim = place / "x"
    with recording(history):
        victim.touch()
        victim.unlink()
        until_found(history, victim)
        assert history.stat().st_mode & 0o777 == 0o750
        files = [path for path in history.rglob("*") if path.is_file()]
        assert {path.stat().st_mode & 0o007 for path in files} == {0}
        assert rawtp.History(history).who(victim)[0]["comm"] == Path(sys.executable).name[:15]


def test_the_reader_of_the_output_may_leave(place: Path, history: Path) -> None:
    with recording(history):
        for number in range(2000):
            (place / str(number)).touch()
            (place / str(number)).unlink()
        until_found(history, place / "1999")
        line = f"{sys.executable} -m rawtp history --directory {history} | head -n 1"
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["type"] == "query"
    assert done.stderr == ""
