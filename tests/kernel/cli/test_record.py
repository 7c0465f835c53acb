"""``rawtp record``, ``who`` and ``history`` on the live kernel."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import rawtp
from helpers.recorders import CLI, asked, events, recording, until_found, who
from helpers.recordings import remove
from helpers.silence import silence
from helpers.support import HANG_S, wait_for
from helpers.terminals import own_user
from rawtp.cli.archive import shows_files
from rawtp.formats.escape import shortened
from rawtp.formats.story import WITHOUT_FILES

pytestmark = pytest.mark.kernel


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory whose paths have no links in them."""
    real = Path(os.path.realpath(tmp_path)) / "place"
    real.mkdir()
    return real


@pytest.fixture
def history(tmp_path: Path) -> Path:
    return Path(os.path.realpath(tmp_path)) / "history"


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


def test_no_history(tmp_path: Path) -> None:
    code, out, err = asked("who", "--directory", tmp_path / "none", "/x")
    assert (code, out) == (1, "")
    assert err.startswith(f"rawtp: {tmp_path}/none has no history. To record one, run: ")
    assert asked("history", "--directory", tmp_path / "none")[0] == 1
    assert asked("record", "--status", "--directory", tmp_path / "none")[0] == 1
    assert asked("who", "--since", "soon", "/x")[0] == 2


def test_a_second_recorder_is_refused(history: Path) -> None:
    with recording(history) as recorder:
        code, out, err = asked("record", "--directory", history)
        assert (code, out, err) == (1, "", f"rawtp: another recorder records into {history}\n")
        assert recorder.end(signal.SIGINT) == 0


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


def test_a_kill_leaves_a_gap(place: Path, history: Path) -> None:
    with recording(history) as recorder:
        (place / "before").touch()
        (place / "before").unlink()
        until_found(history, place / "before")
        recorder.end(signal.SIGKILL)
    (place / "unseen").touch()
    (place / "unseen").unlink()
    with recording(history):
        (place / "after").touch()
        (place / "after").unlink()
        until_found(history, place / "after")
        assert len(until_found(history, place / "before")) == 1
        code, lines = who(history, place / "unseen")
        assert code == 4
        [gap] = [line for line in lines if line["type"] == "gap"]
        assert gap["reason"] == "died"
        assert gap["from_ns"] < gap["to_ns"]
        code, out, _ = asked("history", "--gaps", "-o", "columns", "--directory", history)
        assert code == 0
        assert ": the recorder or the host went down\n" in out


def test_the_status(place: Path, history: Path) -> None:
    with recording(history) as recorder:
        found: dict[str, object] = {}

        def has_heartbeat() -> bool:
            code, out, _ = asked("record", "--status", "--json", "--directory", history)
            found.update(json.loads(out), code=code)
            account = found["recorder"]
            return isinstance(account, dict) and account["heartbeat"]["state"] == "ok"

        wait_for(has_heartbeat, "a heartbeat comes back")
        assert (found["code"], found["is_well"], found["problems"]) == (0, True, [])
        code, out, _ = asked("record", "--status", "--directory", history)
        assert code == 0
        assert f", pid {recorder.process.pid}\n" in out
        assert "\nheartbeat: came back " in out
        # Heartbeats are counted, and no events.
        assert who(history, history / ".heartbeat", "--all")[0] == 4
        recorder.end()
    code, out, _ = asked("record", "--status", "--directory", history)
    assert (code, out.splitlines()[-1]) == (1, "problem: nothing is recorded now")


def test_systemd_is_told(history: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(HANG_S)
        with recording(history, NOTIFY_SOCKET=str(tmp_path / "notify")) as recorder:
            told = [manager.recv(1000)]
            assert told[0] == b"READY=1\nSTATUS=recording"
            while b"WATCHDOG=1" not in told:
                told.append(manager.recv(1000))
            recorder.end()
            while not told[-1].startswith(b"STOPPING=1"):
                told.append(manager.recv(1000))


@pytest.mark.parametrize("filters", [("-P", "{place}"), ("-p", "{pid}"), ("--comm", "x"), ("--outcome", "ok")])
def test_filters_let_the_heartbeat_through(filters: tuple[str, str], place: Path, history: Path) -> None:
    with recording(history, filters[0], filters[1].format(place=place, pid=os.getpid())):

        def is_well() -> bool:
            return "heartbeat: came back" in asked("record", "--status", "--directory", history)[1]

        wait_for(is_well, "a heartbeat comes back")


def test_a_hangup_seals(place: Path, history: Path) -> None:
    with recording(history) as recorder:
        (place / "x").touch()
        (place / "x").unlink()
        until_found(history, place / "x")
        recorder.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "SIGHUP: the log is sealed" in recorder.messages, "it seals")
        assert len(list(history.glob("events/host=*/date=*/*.parquet"))) >= 1
        assert len(until_found(history, place / "x")) == 1


def test_arguments_can_be_left_out(place: Path, history: Path) -> None:
    with recording(history, "--redact", "argv"):
        (place / "secret").touch()
        subprocess.run(["sh", "-c", 'rm "$1"; exit 0', "sh", place / "secret", "--password=x"], check=True)
        [event] = until_found(history, place / "secret")
        assert event["argv"] is None
        assert {argv for _, _, argv in event["ancestors"]} == {None}
        _, out, _ = asked("who", "--directory", history, place / "secret")
        assert "\n    by    rm ← " in out
    assert b"password=x" not in b"".join(path.read_bytes() for path in history.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the registers are x86_64's")
def test_hooks_that_fall_silent(place: Path, history: Path, tmp_path: Path) -> None:
    """The recorder keeps running, and claims nothing about the time from the last heartbeat on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(HANG_S)
        with recording(history, NOTIFY_SOCKET=str(tmp_path / "notify")) as recorder:
            while manager.recv(1000) != b"WATCHDOG=1":
                pass
            assert silence(recorder.process.pid) > 0
            (place / "unseen").touch()
            (place / "unseen").unlink()
            # One may have been on its way.
            told = [manager.recv(1000) for _ in range(2)]
            assert told[-1] == b"STATUS=the heartbeat does not come back", told
            assert "the heartbeat does not come back" in recorder.messages
            code, out, _ = asked("record", "--status", "--directory", history)
            assert code == 1
            assert "problem: the heartbeat does not come back: what happens now may not be recorded\n" in out
            recorder.end(signal.SIGKILL)
            manager.setblocking(False)
            with pytest.raises(BlockingIOError):
                manager.recv(1000)
    with recording(history):
        code, lines = who(history, place / "unseen")
        assert code == 4
        gaps = [line for line in lines if line["type"] == "gap"]
        assert [gap["reason"] for gap in gaps] == ["silent", "died"]
        # Nothing between them counts as watched.
        assert gaps[0]["from_ns"] < gaps[0]["to_ns"] == gaps[1]["from_ns"] < gaps[1]["to_ns"]
        _, out, _ = asked("history", "--gaps", "-o", "columns", "--directory", history)
        assert ": the recorder's heartbeat did not come back\n" in out


def journal_lines(history: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (history / "journal.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("replacement", ["nothing", "symlink"])
def test_a_directory_that_is_moved(replacement: str, place: Path, history: Path, tmp_path: Path) -> None:
    moved, aside = tmp_path / "moved", tmp_path / "aside"
    with recording(history) as recorder:
        history.rename(moved)
        aside.mkdir()
        if replacement == "symlink":
            history.symlink_to(aside)
        wait_for(lambda: "the directory was moved, or something is in its place" in recorder.messages, "it is told")
        (place / "x").touch()
        (place / "x").unlink()
        assert len(until_found(moved, place / "x")) == 1
        code, out, _ = asked("record", "--status", "--directory", moved)
        assert (code, "problem: the recorder was started with another name of this directory" in out) == (1, True)
        assert list(aside.iterdir()) == []
        if replacement == "symlink":
            history.unlink()
        moved.rename(history)
        wait_for(lambda: "the directory is where it was again" in recorder.messages, "it is told")
        assert [line["is"] for line in journal_lines(history) if line["type"] == "directory"] == ["moved", "here"]


def test_a_directory_that_is_removed(place: Path, history: Path) -> None:
    """It is made again, and recorded into."""
    with recording(history) as recorder:
        (place / "x").touch()
        (place / "x").unlink()
        until_found(history, place / "x")
        remove(history, lambda: "beginning anew" in recorder.messages)
        assert "the directory was removed, with what was recorded into it" in recorder.messages
        wait_for(lambda: asked("record", "--status", "--directory", history)[0] == 0, "it records")
        (place / "y").touch()
        (place / "y").unlink()
        assert len(until_found(history, place / "y")) == 1
        assert who(history, place / "x")[0] == 4
        assert recorder.process.poll() is None


@pytest.mark.parametrize("with_alerts", [False, True])
def test_a_link_in_place_of_a_directory_that_is_removed(with_alerts: bool, history: Path, tmp_path: Path) -> None:
    (tmp_path / "aside").mkdir()
    rules = tmp_path / "rules.toml"
    rules.write_text('[notify.n]\ntype = "journald"\n[[rules]]\nname = "r"\nnotify = "n"\naction = "delete"\n')
    with recording(history, *(("--alert", rules) if with_alerts else ())) as recorder:
        history.rename(tmp_path / "moved")
        history.symlink_to(tmp_path / "aside")
        remove(tmp_path / "moved", recorder.process.poll)
        assert "is a symbolic link now: start again to follow it" in recorder.messages
    assert list((tmp_path / "aside").iterdir()) == []


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
