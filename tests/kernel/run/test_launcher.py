"""The first call of a command that is shown is its exec, as strace shows it: the launcher's own are left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

import rawtp
from helpers.support import assert_ledger, hook_refusal

if TYPE_CHECKING:
    from rawtp.event import Event

pytestmark = pytest.mark.kernel

TRUE = "/bin/true"
FIELDS = ("pid", "syscall", "args", "ret")
LAUNCHERS = ["rt_sigaction", "getresuid", "rt_sigprocmask"]
"""Calls that the launcher makes, or may, between its release and the exec, and `true` does not."""


def argument(event: Event, name: str) -> Any:
    assert event["args"] is not None
    return event["args"][name]


def named(events: list[Event]) -> list[str | None]:
    return [event["syscall"] for event in events]


@pytest.mark.parametrize("hook", ["raw_tp", "tracepoint"])
def test_the_exec_comes_first(hook: Literal["raw_tp", "tracepoint"]) -> None:
    if reason := hook_refusal(hook):
        pytest.skip(reason)
    result = rawtp.run([TRUE, "x"], syscalls="all", fields=FIELDS, hook=hook)
    first = result.events[0]
    assert (first["syscall"], first["ret"]) == ("execve", 0)
    assert argument(first, "pathname") == TRUE
    assert argument(first, "argv") == (TRUE, "x")
    assert not {*LAUNCHERS} & {*named(result.events)}
    assert named(result.events)[-1] == "exit_group"
    assert {event["pid"] for event in result.events} == {first["pid"]}


def test_it_is_looked_for_without_an_exec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As strace looks for it: what is no program on the way is no call of the command."""
    (tmp_path / "true").touch(0o644)
    (tmp_path / "directory" / "true").mkdir(parents=True)
    monkeypatch.setenv("PATH", f"/nonexistent:{tmp_path}:{tmp_path}/directory:/bin:/usr/bin")
    result = rawtp.run(["true"], syscalls=["process"], fields=FIELDS)
    assert [(event["syscall"], event["ret"]) for event in result.events] == [("execve", 0), ("exit_group", None)]
    assert argument(result.events[0], "pathname") == TRUE


def test_where_the_exec_is_not_watched() -> None:
    """What is left out is counted as filtered, and the ledger's sum holds."""
    result = rawtp.run([TRUE], syscalls=LAUNCHERS, fields=("syscall",))
    assert result.events == []
    assert result.stats.filtered >= 2
    assert_ledger(result.stats)


def test_where_results_are_not_watched() -> None:
    result = rawtp.run([TRUE], syscalls="all", results=False, fields=("syscall",))
    assert named(result.events)[0] == "execve"
    assert not {*LAUNCHERS} & {*named(result.events)}
    assert_ledger(result.stats)


def test_the_commands_own_execs_are_all_there() -> None:
    command = ["/bin/sh", "-c", f"{TRUE} & wait; exec {TRUE}"]
    result = rawtp.run(command, syscalls=["execve"], fields=FIELDS)
    assert [argument(event, "pathname") for event in result.events if event["ret"] == 0] == ["/bin/sh", TRUE, TRUE]


@pytest.mark.parametrize("latency", [False, True])
def test_counts_begin_with_the_exec(latency: bool) -> None:
    found = rawtp.counts([TRUE], latency=latency)
    calls = {row.syscall: (row.calls, row.errors) for row in found.rows}
    assert calls["execve"] == (1, 0)
    assert not {*LAUNCHERS} & {*calls}


@pytest.mark.parametrize("output", ["strace", "jsonl"])
def test_on_the_command_line(output: str) -> None:
    words = ["run", "--all", "-o", output, "--calls", "--", TRUE]
    done = subprocess.run([sys.executable, "-m", "rawtp", *words], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if '"type":"session"' not in line]
    assert "execve" in lines[0]
    assert TRUE in lines[0]
    table = {line.split()[-1]: line.split()[3] for line in done.stderr.splitlines() if "% time" not in line}
    assert table["execve"] == "1"
    assert not {*LAUNCHERS} & {*table}
