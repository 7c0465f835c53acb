"""The parts of ``rawtp record``: notifications, the heartbeat, the account, the unit."""

from __future__ import annotations

import errno
import json
import os
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import rawtp
from rawtp._record import heartbeat, status_file, unit
from rawtp._record.heartbeat import COMM, Heartbeat
from rawtp._record.notify import Notifier

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("kind", ["file", "abstract"])
def test_notifications(kind: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = str(tmp_path / "n") if kind == "file" else f"@rawtp-test-{os.getpid()}"
        manager.bind(name.replace("@", "\0"))
        with closing(Notifier({"NOTIFY_SOCKET": name})) as notifier:
            notifier.send(READY=1, STATUS="a\nWATCHDOG=1")
        notifier.send(READY=1)
        assert manager.recv(1000) == b"READY=1\nSTATUS=a WATCHDOG=1"


def test_a_manager_that_is_not_there() -> None:
    for environment in ({"NOTIFY_SOCKET": "/nonexistent/socket"}, {"NOTIFY_SOCKET": "vsock:2:1"}, {}):
        with closing(Notifier(environment)) as notifier:
            notifier.send(READY=1)


def test_a_manager_that_does_not_read(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        with closing(Notifier({"NOTIFY_SOCKET": str(tmp_path / "n")})) as notifier:
            for _ in range(2000):
                notifier.send(WATCHDOG=1)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "x"}, None),
    ],
)
def test_the_watchdogs_time(environment: dict[str, str], expected: float | None) -> None:
    assert Notifier(environment).watchdog_s == expected


def test_a_heartbeat_that_comes_back() -> None:
    beats: list[int] = []
    heart = Heartbeat(lambda: beats.append(1), None, 10.0, 5.0)
    assert not heart.tick(100.0, 0)
    assert (len(beats), heart.state) == (1, "waiting")
    assert heart.tick(101.0, 1)
    assert (len(beats), heart.state, heart.last_s) == (1, "ok", 101.0)
    assert not heart.tick(109.0, 1)
    assert not heart.tick(110.0, 1)
    assert len(beats) == 2
    assert heart.tick(111.0, 2)


def test_a_heartbeat_that_does_not_come_back() -> None:
    heart = Heartbeat(lambda: None, None, 10.0, 5.0)
    heart.tick(0.0, 0)
    states = []
    for now_s, seen in ((5.0, 0), (5.1, 0), (10.0, 0), (30.0, 0), (31.0, 1)):
        heart.tick(now_s, seen)
        states.append(heart.state)
    assert states == ["waiting", "late", "late", "late", "ok"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_beat_that_cannot_be_made_is_not_judged(code: int) -> None:
    def fail() -> None:
        raise OSError(code, "")

    heart = Heartbeat(fail, None, 10.0, 5.0)
    for now_s in (0.0, 10.0, 20.0):
        heart.tick(now_s, 0)
    assert heart.state == "waiting"


def test_a_name_that_is_not_there_is_a_beat(tmp_path: Path) -> None:
    call, reason = heartbeat.choose(rawtp.LOSS, {}, str(tmp_path / "x"))
    assert call is not None
    assert reason is None
    heart = Heartbeat(call, None, 10.0, 5.0)
    heart.tick(0.0, 0)
    heart.tick(6.0, 0)
    assert heart.state == "late"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["unlink", "unlinkat", "rmdir", "rename", "renameat", "truncate"])
def test_each_call_can_be_one(name: str, tmp_path: Path) -> None:
    call, _ = heartbeat.choose([name], {}, str(tmp_path / "x"))
    assert call is not None
    with pytest.raises(FileNotFoundError):
        call()


def test_one_that_succeeds(tmp_path: Path) -> None:
    call, _ = heartbeat.choose(rawtp.LOSS, {"outcome": "ok"}, str(tmp_path / "x"))
    assert call is not None
    call()
    assert list(tmp_path.iterdir()) == []
    assert heartbeat.choose(["rename"], {"outcome": "ok"}, "/x") == (
        None,
        "none of the calls that are watched can be made as one",
    )


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ({"exclude_self": True}, "--exclude-self leaves the recorder out"),
        ({"cgroup": ["/x"]}, "--cgroup leaves the recorder out"),
        ({"uid": [os.getuid() + 1]}, "--user leaves the recorder out"),
        ({"uid": [os.getuid()]}, None),
    ],
)
def test_filters_that_leave_it_out(filters: dict[str, Any], reason: str | None) -> None:
    assert heartbeat.choose(rawtp.LOSS, filters, "/x")[1] == reason


def test_filters_that_let_it_through() -> None:
    filters = {"pid": [1], "comm": ["rm"], "path": ["/srv"], "outcome": "ok", "follow": True}
    assert heartbeat.admitted(filters, "/x") == {
        "pid": [1, os.getpid()],
        "comm": ["rm", COMM],
        "path": ["/srv", "/x"],
        "outcome": "ok",
        "follow": True,
    }
    assert filters["pid"] == [1]


def opened(directory: Path) -> int:
    return os.open(directory, os.O_RDONLY | os.O_DIRECTORY)


def test_the_account(tmp_path: Path) -> None:
    file = status_file.StatusFile(opened(tmp_path))
    assert status_file.read(str(tmp_path)) is None
    file.write({"a": "é" * 1000})
    file.write({"a": 1})
    assert status_file.read(str(tmp_path)) == {"a": 1}
    path = tmp_path / status_file.NAME
    assert path.stat().st_size == 8192
    assert path.stat().st_mode & 0o777 & ~0o640 == 0
    assert json.loads(path.read_text()) == {"a": 1}
    file.write({"a": "x" * 9000})
    file.close()
    assert status_file.read(str(tmp_path)) == {"a": 1}
    path.write_text("{half")
    assert status_file.read(str(tmp_path)) is None


def test_the_account_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / status_file.NAME).symlink_to(tmp_path / "other")
    file = status_file.StatusFile(opened(tmp_path))
    file.write({"a": 1})
    file.close()
    assert not (tmp_path / "other").exists()


def test_the_account_stays_in_its_directory(tmp_path: Path) -> None:
    place, moved, aside = tmp_path / "place", tmp_path / "moved", tmp_path / "aside"
    place.mkdir()
    aside.mkdir()
    file = status_file.StatusFile(opened(place))
    place.rename(moved)
    place.symlink_to(aside)
    file.write({"a": 1})
    file.close()
    assert (status_file.read(str(moved)), list(aside.iterdir())) == ({"a": 1}, [])


def test_the_units_text_is_the_shipped_one() -> None:
    assert (ROOT / "systemd" / unit.NAME).read_text() == unit.text("/opt/rawtp/bin/python")


def test_a_unit_of_another_directory() -> None:
    text = unit.text("/x y/python", ["--max-age", "90d", "--directory", "/srv/a b%"], "/srv/a b%")
    assert 'ExecStart="/x y/python" -I -m rawtp record --max-age 90d --directory "/srv/a b%%"\n' in text
    assert 'ReadWritePaths="/srv/a b%%"\n' in text
    assert "StateDirectory" not in text


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("a b", '"a b"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("$HOME%n", "$$HOME%%n"),
        ("a;b", '"a;b"'),
        ("é", "é"),
    ],
)
def test_words_of_a_unit(word: str, expected: str) -> None:
    assert unit.quoted(word, of_command=True) == expected


@pytest.mark.parametrize("word", ["a\nb", "\x1b", "\udcff", "\t"])
def test_no_line_can_be_added_to_a_unit(word: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a unit"):
        unit.text("/x", [word])
