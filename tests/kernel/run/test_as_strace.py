"""All calls of a command, beside those that strace counts of the same command."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import assert_ledger

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace"),
]

DIFFERING = {
    # They do not return, and `strace -c` counts returns.
    "exit": "does not return",
    "exit_group": "does not return",
    # A child that ends interrupts its parent's wait, or comes before it: who is faster decides.
    "wait4": "is called again after a signal",
    "waitid": "is called again after a signal",
    "rt_sigreturn": "follows a signal",
    "restart_syscall": "follows a signal",
}
"""The calls whose number differs from run to run, and why. The vDSO makes none."""

SHELL = """
set -e
mkdir -p d/e
for i in 1 2 3 4 5; do echo "$i" >"d/$i"; cat "d/$i" /nonexistent >/dev/null 2>&1 || true; done
cp d/1 d/e/copy; mv d/e/copy d/e/moved; ln -s moved d/e/link; chmod 600 d/e/moved; touch -d @5 d/e/moved
ls -l d/e d/nothing >/dev/null 2>&1 || true
rm -r d
"""

PYTHON = """
import os, socket, time
left, right = socket.socketpair()
for n in range(20):
    left.send(b"x" * n + b"y"), right.recv(64)
for n in range(7):
    try:
        os.unlink(f"none-{n}")
    except FileNotFoundError:
        pass
child = os.fork()
if not child:
    [os.getppid() for _ in range(30)]
    os._exit(0)
os.waitpid(child, 0)
os.pipe(), os.umask(0o22), time.sleep(0.001)
"""

COMMANDS = {
    "shell": ["/bin/sh", "-c", SHELL],
    "python": [sys.executable, "-I", "-S", "-B", "-c", PYTHON],
    "exec": ["/bin/sh", "-c", "exec /bin/true"],
}


def by_strace(command: list[str], directory: Path) -> dict[str, tuple[int, int]]:
    """Calls and errors by name, as ``strace -f -c`` tells them."""
    report = directory / "report"
    subprocess.run(["strace", "-f", "-c", "-o", report, "--", *command], cwd=directory, check=True)
    found = {}
    for line in report.read_text().splitlines():
        # "% time", "seconds", "usecs/call", "calls", "errors" if there are any, "syscall"
        parts = line.split()
        if len(parts) in {5, 6} and parts[3].isdecimal() and parts[-1] != "total":
            found[parts[-1]] = (int(parts[3]), int(parts[4]) if len(parts) == 6 else 0)
    return found


def by_events(command: list[str], fields: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Calls and errors by name. The first is the exec of the command, as it is to strace."""
    result = rawtp.run(command, syscalls="all", fields=fields)
    assert_ledger(result.stats)
    assert (result.returncode, result.stats.lost_ring, result.stats.unpaired) == (0, 0, 0)
    events = result.events
    assert (events[0]["syscall"], events[0]["ret"]) == ("execve", 0)
    calls = Counter(str(event["syscall"]) for event in events)
    errors = Counter(str(event["syscall"]) for event in events if event["errno"] is not None)
    return {name: (calls[name], errors[name]) for name in calls}


@pytest.mark.parametrize("fields", [("syscall", "ret", "errno"), ("syscall", "ret", "errno", "args")])
@pytest.mark.parametrize("name", COMMANDS)
def test_events_are_the_calls_that_strace_counts(
    name: str, fields: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same calls as often, and as many of them failed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    # With memory at other places each time, a heap may need another call to grow.
    command = ["setarch", "-R", *COMMANDS[name]]
    path = shutil.which("setarch")
    assert path is not None
    command[0] = path
    ours, theirs = by_events(command, fields), by_strace(command, tmp_path)
    apart = {
        call: (ours.get(call, (0, 0)), theirs.get(call, (0, 0)))
        for call in ours.keys() | theirs.keys()
        if ours.get(call) != theirs.get(call)
    }
    assert apart.keys() <= DIFFERING.keys(), apart
    assert sum(calls for calls, _ in ours.values()) > 30
    assert ours["execve"] == theirs["execve"]
