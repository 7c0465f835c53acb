"""An exec gives a thread its process's id, and a new thread can have an id that another one had."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.executables import program_without_room
from helpers.support import assert_ledger

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel

# The first thread is in a call when the other one makes its own, which ends it.
EXEC = """
import os, sys, threading, time
SLEEP = {"x86_64": "230 ", "aarch64": "115 "}[os.uname().machine]
def call():
    with open(f"/proc/self/task/{os.getpid()}/syscall") as file:
        while not file.read().startswith(SLEEP):
            file.seek(0)
    print(os.getpid(), threading.get_native_id(), flush=True)
    os.execv("/bin/true", ["true", "argument"])
if sys.argv[1:]:
    sys.stdin.readline()
threading.Thread(target=call).start()
time.sleep(60)
"""
ERESTARTNOHAND = -514
"""What a call returns that a signal interrupts, here SIGKILL (include/linux/errno.h)."""
COMMAND = [sys.executable, "-I", "-S", "-c", EXEC]

REUSE = """
import threading
ids, again = [], 0
def note(): ids.append(threading.get_native_id())
def begin_and_end():
    thread = threading.Thread(target=note)
    thread.start()
    thread.join()
for _ in range(100):
    begin_and_end()
    with open("/proc/sys/kernel/ns_last_pid", "w") as file:
        file.write(str(ids[-1] - 1))
    begin_and_end()
    again += ids[-1] == ids[-2]
print(again)
"""


@pytest.mark.parametrize("syscalls", ["all", ["execve"], ["execveat"], ["execve", "clock_nanosleep"]], ids=str)
def test_an_exec_that_is_an_event(syscalls: Any, capfd: pytest.CaptureFixture[str]) -> None:
    fields = ("syscall", "pid", "tid", "args", "ret", "duration_ns")
    result = rawtp.run(COMMAND, syscalls=syscalls, fields=fields)
    pid, tid = map(int, capfd.readouterr().out.split())
    assert pid != tid
    events = [event for event in result.events if event["syscall"] in {"execve", "clock_nanosleep"}]
    found = {(event["syscall"], event["pid"], event["tid"], event["ret"]) for event in events}
    expected = {("execve", pid, pid, 0), ("execve", pid, tid, 0), ("clock_nanosleep", pid, pid, ERESTARTNOHAND)}
    assert found == {call for call in expected if syscalls == "all" or call[0] in syscalls}
    for event in events:
        assert event["duration_ns"]
        if event["tid"] == tid:
            assert event["args"] is not None
            assert event["args"]["argv"] == ("true", "argument")
    assert (result.stats.unpaired, result.stats.lost_exits) == (0, 0)
    assert_ledger(result.stats)


@pytest.mark.parametrize("syscalls", ["all", ["execve"], ["execveat"]], ids=str)
def test_an_exec_that_fails_too_late(tmp_path: Path, syscalls: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """Its thread has the process's id by then."""
    path = program_without_room(tmp_path / "program")
    command = [sys.executable, "-I", "-S", "-c", EXEC.replace("/bin/true", str(path))]
    result = rawtp.run(command, syscalls=syscalls, fields=("syscall", "pid", "tid", "args", "ret", "duration_ns"))
    pid, tid = map(int, capfd.readouterr().out.split())
    found = [event for event in result.events if event["syscall"] in {"execve", "execveat"}]
    assert result.returncode == 128 + signal.SIGSEGV
    expected = [] if syscalls == ["execveat"] else [(pid, pid, 0), (pid, tid, -errno.ENOMEM)]
    assert [(event["pid"], event["tid"], event["ret"]) for event in found] == expected
    for event in found:
        assert event["args"] is not None
        assert event["duration_ns"]
    assert (result.stats.unpaired, result.stats.pending, result.stats.lost_exits) == (0, 0, 0)
    assert_ledger(result.stats)


@pytest.mark.parametrize("latency", [True, False])
@pytest.mark.parametrize("by", ["syscall", "process"])
def test_an_exec_that_is_counted_and_fails_too_late(tmp_path: Path, by: Any, latency: bool) -> None:
    path = program_without_room(tmp_path / "program")
    command = [sys.executable, "-I", "-S", "-c", EXEC.replace("/bin/true", str(path)), "wait"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        with rawtp.Counts(pid=process.pid, by=by, latency=latency, syscalls=["execve", "execveat"]) as counts:
            process.communicate(b"\n", timeout=60)
        [row] = counts.read().rows
    assert (row.syscall, row.calls, row.errors, row.timed) == ("execve", 1, 1, int(latency))
    assert row.errnos == (("ENOMEM", 1),)


@pytest.mark.parametrize("by", ["syscall", "process"])
def test_an_exec_that_is_counted(by: Any) -> None:
    """It has its own time, and the first thread's call has its own."""
    with subprocess.Popen([*COMMAND, "wait"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        with rawtp.Counts(pid=process.pid, by=by, latency=True, syscalls=["execve", "clock_nanosleep"]) as counts:
            process.communicate(b"\n", timeout=60)
        rows = {row.syscall: row for row in counts.read().rows}
    assert {name: (row.calls, row.errors, row.timed) for name, row in rows.items()} == {
        "execve": (1, 0, 1),
        "clock_nanosleep": (1, 1, 1),
    }
    if by == "process":
        assert {row.comm for row in rows.values()} == {rows["clock_nanosleep"].comm}


def test_an_id_that_another_thread_had(capfd: pytest.CaptureFixture[str]) -> None:
    """What a thread left that ended in a call is not the next one's."""
    result = rawtp.run(
        [sys.executable, "-I", "-S", "-c", REUSE], syscalls=["process"], fields=("syscall", "tid", "ret")
    )
    assert int(capfd.readouterr().out) > 0
    forks = [event for event in result.events if event["syscall"] in {"clone", "clone3"}]
    assert len(forks) == 200
    assert all(event["ret"] for event in forks)
    assert (result.stats.unpaired, result.stats.lost_exits) == (0, 0)
    assert_ledger(result.stats)
