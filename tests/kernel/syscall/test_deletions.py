"""Each ordinary way to delete, by real programs, with every field that the test can know."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import events_of, on_one_cpu, run, until_sentinel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel

AT_FDCWD = -100
AT_REMOVEDIR = 0x200
ABI = {"x86_64": "x86_64", "aarch64": "aarch64"}[os.uname().machine]
NOBODY = 65534


def only(events: list[rawtp.Event]) -> rawtp.Event:
    assert len(events) == 1, events
    return events[0]


def test_rm_every_field(tracer: rawtp.Tracer, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    before = time.time_ns()
    pid = run(["rm", file])
    after = time.time_ns()
    event = only(events_of(tracer, pid))

    assert before < event["ts_ns"] < after
    duration = event["duration_ns"]
    assert duration is not None
    assert 0 < duration < after - before
    assert 0 <= event["cpu"] < (os.cpu_count() or 1)
    assert event["seq"] > 0
    expected = {
        "lost": 0,
        "pid": pid,
        "tid": pid,
        "ppid": os.getpid(),
        "uid": 0,
        "gid": 0,
        "comm": "rm",
        "syscall": "unlinkat",
        "abi": ABI,
        "via": "syscall",
        "action": "delete",
        "dfd": AT_FDCWD,
        "flags": 0,
        "filename": str(file),
        "name_status": "ok",
        "ret": 0,
        "errno": None,
    }
    assert {key: value for key, value in event.items() if key in expected} == expected
    assert tuple(event) == rawtp.ALL_FIELDS


def test_rm_rf_of_a_tree(tracer: rawtp.Tracer, tmp_path: Path) -> None:
    top = tmp_path / "top"
    for directory in ("a", "a/b", "c"):
        (top / directory).mkdir(parents=True, exist_ok=True)
        for file in ("1", "2"):
            (top / directory / file).touch()
    pid = run(["rm", "-rf", top])
    events = events_of(tracer, pid)
    assert all(event["syscall"] == "unlinkat" and event["ret"] == 0 for event in events)
    # rm goes down by descriptor: only the top is named in full.
    removed = sorted((event["action"], event["filename"]) for event in events)
    directories = [("rmdir", str(top)), ("rmdir", "a"), ("rmdir", "b"), ("rmdir", "c")]
    assert removed == sorted([*directories, *[("delete", name) for name in ("1", "2") * 3]])
    for event in events:
        assert event["flags"] == (AT_REMOVEDIR if event["action"] == "rmdir" else 0)
        assert event["dfd"] == AT_FDCWD or (event["dfd"] or 0) >= 3


def test_rmdir_program(tracer: rawtp.Tracer, tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    event = only(events_of(tracer, run(["rmdir", directory])))
    assert (event["comm"], event["action"], event["filename"], event["ret"]) == ("rmdir", "rmdir", str(directory), 0)
    assert event["syscall"] == ("rmdir" if ABI == "x86_64" else "unlinkat")
    assert (event["dfd"], event["flags"]) == ((None, None) if ABI == "x86_64" else (AT_FDCWD, AT_REMOVEDIR))


def test_python_removes(own: rawtp.Tracer, tmp_path: Path) -> None:
    names = [tmp_path / name for name in ("os.remove", "Path.unlink", "os.unlink-at")]
    for name in names:
        name.touch()
    directory = os.open(tmp_path, os.O_DIRECTORY)
    os.remove(names[0])  # noqa: PTH107 - each of these is a case of its own
    names[1].unlink()
    os.unlink(names[2].name, dir_fd=directory)
    os.close(directory)
    events = until_sentinel(own)
    unlink = ("unlink", None, None) if ABI == "x86_64" else ("unlinkat", AT_FDCWD, 0)
    assert [(event["syscall"], event["dfd"], event["flags"], event["filename"]) for event in events] == [
        (*unlink, str(names[0])),
        (*unlink, str(names[1])),
        ("unlinkat", directory, 0, names[2].name),
    ]
    assert [(event["ret"], event["errno"], event["action"]) for event in events] == [(0, None, "delete")] * 3


def test_rmtree(own: rawtp.Tracer, tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (top / "sub" / "file").touch()
    shutil.rmtree(top)
    events = until_sentinel(own)
    assert [(event["action"], event["filename"], event["ret"]) for event in events] == [
        ("delete", "file", 0),
        ("rmdir", "sub", 0),
        ("rmdir", str(top), 0),
    ]


@pytest.mark.parametrize("errno", ["ENOENT", "EACCES", "EISDIR", "ENOTDIR", "EROFS"])
def test_failures(tracer: rawtp.Tracer, tmp_path: Path, errno: str) -> None:
    file = tmp_path / "file"
    file.touch()
    # unlink(1) is the bare call: rm looks first, and does not call for what it knows to fail.
    commands: dict[str, list[str | Path]] = {
        "ENOENT": ["unlink", tmp_path / "missing"],
        "EACCES": ["unlink", file],
        "EISDIR": ["unlink", tmp_path],
        "ENOTDIR": ["unlink", file / "below"],
        "EROFS": ["unlink", file],
    }
    options: dict[str, object] = {}
    if errno == "EACCES":
        for directory in (tmp_path, *tmp_path.parents):
            if directory.owner() == "root" and directory.name.startswith(("pytest-", "test_")):
                directory.chmod(0o755)
        options = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    if errno == "EROFS":
        subprocess.run(["mount", "--bind", tmp_path, tmp_path], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", tmp_path], check=True)
    try:
        pid = run(commands[errno], **options)
    finally:
        if errno == "EROFS":
            subprocess.run(["umount", tmp_path], check=True)
    event = only(events_of(tracer, pid))
    assert (event["errno"], event["filename"]) == (errno, str(commands[errno][1]))
    assert event["ret"] is not None
    assert event["ret"] == -getattr(__import__("errno"), errno)
    assert (event["uid"], event["gid"]) == ((NOBODY, NOBODY) if errno == "EACCES" else (0, 0))


def test_flags_of_one_call_are_not_another_calls(own: rawtp.Tracer, tmp_path: Path) -> None:
    """The kernel side fills one record after the other in the same place."""
    with on_one_cpu():
        directory = os.open(tmp_path, os.O_DIRECTORY)
        for number in range(20):
            (tmp_path / "directory").mkdir()
            (tmp_path / str(number)).touch()
            os.rmdir("directory", dir_fd=directory)
            (tmp_path / str(number)).unlink()
        os.close(directory)
    assert [event["action"] for event in until_sentinel(own)] == ["rmdir", "delete"] * 20


def test_a_thread_has_its_own_tid_and_name(own: rawtp.Tracer, tmp_path: Path) -> None:
    tids: list[int] = []

    def remove(name: str) -> None:
        with open("/proc/thread-self/comm", "w") as comm:  # noqa: PTH123
            comm.write(name)
        tids.append(threading.get_native_id())
        (tmp_path / name).unlink(missing_ok=True)

    for name in ("worker-1", "worker-2"):
        thread = threading.Thread(target=remove, args=(name,))
        thread.start()
        thread.join()
    events = until_sentinel(own)
    assert [(event["tid"], event["comm"]) for event in events] == list(zip(tids, ("worker-1", "worker-2"), strict=True))
    assert {event["pid"] for event in events} == {os.getpid()}
    assert os.getpid() not in tids


def test_two_tracers_each_get_every_event(tmp_path: Path) -> None:
    with (
        rawtp.Tracer(pid=os.getpid()) as first,
        rawtp.Tracer(pid=os.getpid(), syscalls=["unlink", "unlinkat"]) as second,
    ):
        for number in range(100):
            (tmp_path / str(number)).touch()
            (tmp_path / str(number)).unlink()
        # The second tries its hook on the kernel's functions with a call of its own.
        seen = [[event["filename"] for event in until_sentinel(tracer)] for tracer in (first, second)]
        names = [[name for name in each if name != "exe"] for each in seen]
    deleted = [str(tmp_path / str(number)) for number in range(100)]
    # The second sees the first one's sentinel.
    assert names[0] == deleted
    assert names[1][:100] == deleted
    assert len(names[1]) == 101


def test_only_the_named_syscalls(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    with rawtp.Tracer(["unlinkat"], pid=os.getpid()) as tracer:
        (tmp_path / "directory").rmdir()
        directory = os.open(tmp_path, os.O_DIRECTORY)
        os.unlink("file", dir_fd=directory)
        os.close(directory)
    events = list(tracer)
    stats = tracer.stats()
    # x86_64 has rmdir as well, which was not named.
    names = ["file"] if ABI == "x86_64" else [f"{tmp_path}/directory", "file"]
    assert [(event["syscall"], event["filename"]) for event in events] == [("unlinkat", name) for name in names]
    assert stats.matched - stats.filtered == len(names)
