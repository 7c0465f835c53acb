"""``rawtp record`` on the live kernel."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from helpers.recorders import asked, recording, until_found, who
from helpers.recordings import remove
from helpers.silence import silence
from helpers.support import HANG_S, wait_for

pytestmark = pytest.mark.kernel


def test_a_second_recorder_is_refused(history: Path) -> None:
    with recording(history) as recorder:
        code, out, err = asked("record", "--directory", history)
        assert (code, out, err) == (1, "", f"rawtp: another recorder records into {history}\n")
        assert recorder.end(signal.SIGINT) == 0


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
