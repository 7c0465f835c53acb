"""Calls counted in the kernel: the numbers of a program that makes known ones, by every way of counting."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.support import attached_programs
from rawtp._core import _NATIVE_ABI

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

X86 = _NATIVE_ABI == "x86_64"
NATIVE = _NATIVE_ABI
MODES: list[dict[str, Any]] = [{}, {"latency": True}, {"by": "process"}, {"by": "process", "latency": True}]


def known(program: Callable[[str], Path], **options: Any) -> tuple[rawtp.CountsResult, int, bool]:
    """What is counted of the program and its children, its pid, and whether the kernel has i386 calls."""
    with subprocess.Popen([program("known")], stdin=subprocess.PIPE) as process:
        assert process.stdin
        with rawtp.Counts(pid=process.pid, follow=True, **options) as counts:
            process.stdin.write(b"\n")
            process.stdin.flush()
            has_compat = process.wait() == 0
    return counts.read(), process.pid, has_compat


def sums(found: rawtp.CountsResult) -> dict[tuple[str | None, str], tuple[int, int]]:
    """Calls and errors by call and table."""
    calls: Counter[tuple[str | None, str]] = Counter()
    errors: Counter[tuple[str | None, str]] = Counter()
    for row in found.rows:
        calls[row.syscall, row.abi] += row.calls
        errors[row.syscall, row.abi] += row.errors
    return {key: (calls[key], errors[key]) for key in calls}


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_known_calls_are_counted_exactly(program: Callable[[str], Path], mode: dict[str, Any]) -> None:
    """Native, i386 and x32 calls, numbers that no call has, and calls that never come back."""
    found, _, has_compat = known(program, **mode)
    by_call = sums(found)
    expected = {
        ("getppid", NATIVE): (1000 + 40 + 10 + 6, 0),
        ("epoll_create1", NATIVE): (300, 300),
        ("sched_yield", NATIVE): (20, 0),
        (None, NATIVE): (3, 3),
        ("clock_nanosleep", NATIVE): (5, 0),
        ("rt_sigreturn", NATIVE): (7, 0),
        # The program's, its child's, and that of what its other child ran.
        ("exit_group", NATIVE): (3, 0),
        ("execve", NATIVE): (1, 0),
        ("wait4", NATIVE): (2, 0),
        ("prctl", NATIVE): (1, 0),
    }
    if X86 and has_compat:
        expected |= {("getpid", "i386"): (200, 0), ("close", "i386"): (70, 70)}
    assert {key: by_call.get(key) for key in expected} == expected
    if X86:
        calls, errors = by_call["getpgrp", "x32"]
        assert (calls, errors) in {(4, 4), (4, 0)}
    assert found.calls == sum(row.calls for row in found.rows)
    assert (found.others, found.missed, found.unfollowed) == (0, 0, 0)


@pytest.mark.parametrize("by", ["syscall", "process"])
def test_every_call_that_returns_has_a_time(program: Callable[[str], Path], by: Any) -> None:
    """The histogram adds up to the calls, but for those that do not come back."""
    found, _, _ = known(program, by=by, latency=True)
    endless = {"exit", "exit_group", "rt_sigreturn"}
    for row in found.rows:
        # The child of a fork comes out of a call that it has not made; the read began before the counting.
        assert row.timed == (0 if row.syscall in endless else row.calls), row
        assert row.total_ns is not None
        assert row.max_ns is not None
        assert row.max_ns <= row.total_ns <= row.timed * row.max_ns
        assert sum(count for _, count in row.histogram) == row.timed
    [naps] = [row for row in found.rows if row.syscall == "clock_nanosleep"]
    assert naps.mean_ns is not None
    assert naps.mean_ns >= 2_000_000
    assert naps.quantile_ns(0.01) in {2**21, 2**22, 2**23, 2**24, 2**25, 2**26}


@pytest.mark.parametrize("latency", [False, True])
def test_by_process(program: Callable[[str], Path], latency: bool) -> None:
    """A row for each process and call; another program, or another name, is another row."""
    found, pid, _ = known(program, by="process", latency=latency)
    rows = {(row.pid == pid, row.comm): row for row in found.rows if row.syscall == "getppid"}
    assert {key: row.calls for key, row in rows.items()} == {
        (True, "known"): 1000,
        (True, "other name"): 6,
        (False, "known"): rows[False, "known"].calls,
    }
    children = [row for row in found.rows if row.syscall == "getppid" and row.pid != pid]
    assert sorted(row.calls for row in children) == [10, 40]
    # What changes the name is counted, with its time, by the name from before.
    for call in ("execve", "prctl"):
        [row] = [row for row in found.rows if row.syscall == call]
        assert (row.comm, row.calls) == ("known", 1)
        assert row.timed == (1 if latency else 0)


@pytest.mark.parametrize("latency", [False, True])
def test_what_finds_no_room_is_counted_as_that_of_others(program: Callable[[str], Path], latency: bool) -> None:
    """A table of processes that is full loses no call."""
    whole, _, _ = known(program)
    found, _, _ = known(program, by="process", max_rows=3, latency=latency)
    own = [row for row in found.rows if row.pid is not None]
    assert 1 <= len(own) <= 3
    assert found.others == found.calls - sum(row.calls for row in own) > 0
    assert f"{found.others:,} calls are of processes that there was no room for" in str(found)
    names = ("getppid", "epoll_create1", "rt_sigreturn", "exit_group")
    expected = {name: sums(whole)[name, NATIVE] for name in names}
    assert {name: sums(found)[name, NATIVE] for name in names} == expected
    if latency:
        assert sum(row.timed for row in found.rows if row.syscall == "getppid") == 1056


def test_only_the_chosen_calls(program: Callable[[str], Path]) -> None:
    """By names and by groups, in every table."""
    found, _, has_compat = known(program, syscalls=["getppid", "close", "unlink"])
    by_call = sums(found)
    assert by_call.pop(("getppid", NATIVE)) == (1056, 0)
    if X86 and has_compat:
        assert by_call.pop(("close", "i386")) == (70, 70)
    assert set(by_call) <= {("close", NATIVE)}


def test_ways_of_counting_agree(program: Callable[[str], Path]) -> None:
    """At the same time, of the same processes: the rows of processes add up to those of calls."""
    with subprocess.Popen([program("known")], stdin=subprocess.PIPE) as process:
        assert process.stdin
        family: Any = {"pid": process.pid, "follow": True}
        with (
            rawtp.Counts(**family) as plain,
            rawtp.Counts(**family, by="process", latency=True) as processes,
            rawtp.Counts(**family, by="process", max_rows=7) as few,
        ):
            process.communicate(b"\n")
        found = [counts.read() for counts in (plain, processes, few)]
    first, *others = (sums(one) for one in found)
    # The read that it waits in began before, and so do the first calls of a counter that is attached first.
    assert others == [first, first]


def test_filters() -> None:
    """A filter that matches nobody counts nothing, and this process is left out unless it is asked for."""
    own = os.getpid()
    for options in ({"comm": "no such name"}, {"uid": 54_321}, {"pid": 4_194_304}, {"pid": own}):
        with rawtp.Counts(**options) as counts:
            os.getppid()
        assert counts.read().rows == (), options
    with rawtp.Counts(syscalls=["getppid"], pid=own, exclude_self=False) as counts:
        for _ in range(12):
            os.getppid()
    [row] = counts.read().rows
    assert (row.syscall, row.calls, row.errors, row.pid, row.total_ns) == ("getppid", 12, 0, None, None)


def test_a_difference_is_what_came_between() -> None:
    """Rows that did not change are left out."""
    with rawtp.Counts(syscalls=["getppid", "getuid"], pid=os.getpid(), exclude_self=False, latency=True) as counts:
        os.getuid()
        os.getppid()
        first = counts.read()
        for _ in range(5):
            os.getppid()
        second = counts.read()
    between = second - first
    [row] = between.rows
    assert (row.syscall, row.calls, row.timed, row.max_ns) == ("getppid", 5, 5, None)
    assert 0 < between.seconds < second.seconds
    assert (second - second).rows == ()


def test_the_close_ends_the_counting() -> None:
    """What was counted stays, and nothing is attached any more."""
    before = attached_programs(os.getpid())
    counts = rawtp.Counts(syscalls=["getppid"], pid=os.getpid(), exclude_self=False)
    assert attached_programs(os.getpid()) == before + 2
    os.getppid()
    counts.close()
    counts.close()
    assert counts.closed
    assert attached_programs(os.getpid()) == before
    os.getppid()
    first = counts.read()
    assert first.calls == 1
    time.sleep(0.01)
    assert counts.read() == first


def test_a_forked_child_begins_its_own() -> None:
    """It can neither read nor end those of its parent."""
    with rawtp.Counts(syscalls=["getppid"], pid=os.getpid(), exclude_self=False) as counts:
        if not (child := os.fork()):
            try:
                counts.close()
                counts.read()
            except RuntimeError as error:
                os._exit(0 if "a forked child begins its own" in str(error) else 2)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        os.getppid()
        assert counts.read().calls == 1


def test_arrow_has_the_rows() -> None:
    """As pyarrow reads them, and as dicts."""
    pyarrow = pytest.importorskip("pyarrow")
    with rawtp.Counts(syscalls=["getppid"], pid=os.getpid(), exclude_self=False, by="process", latency=True) as counts:
        os.getppid()
    found = counts.read()
    [row] = found.rows
    expected = {
        "syscall": "getppid",
        "abi": NATIVE,
        "pid": os.getpid(),
        "comm": row.comm,
        "calls": 1,
        "errors": 0,
        "total_ns": row.total_ns,
        "max_ns": row.max_ns,
    }
    table = pyarrow.table(found)
    [cells] = table.to_pylist()
    assert cells.pop("histogram") == list(row.buckets or ())
    assert cells.pop("comm_bytes") is None
    assert cells.pop("errnos") == []
    assert cells == expected
    assert found.to_arrow().to_dicts() == [expected | {"histogram": row.buckets, "errnos": {}}]
    empty = pyarrow.table(found - found)
    assert (len(empty), empty.schema) == (0, table.schema)


def test_wrong_arguments_are_named() -> None:
    """Before anything is loaded."""
    for options, kind, text in (
        ({"by": "user"}, ValueError, "by must be one of 'syscall', 'process', not 'user'"),
        ({"syscalls": ["getpppid"]}, ValueError, 'did you mean "getppid"?'),
        ({"syscalls": "getppid"}, TypeError, "syscalls must be an iterable of names, not a str"),
        ({"max_rows": 0}, ValueError, "max_rows must be at least 1, not 0"),
        ({"max_rows": 1 << 40}, ValueError, "max_rows must be at most 4194304"),
        ({"follow": True}, ValueError, "follow=True needs a pid"),
        ({"latency": 3}, TypeError, "latency must be True or False, not int"),
        ({"path": "/srv"}, TypeError, "path"),
    ):
        with pytest.raises(kind, match=re.escape(text)):
            rawtp.Counts(**options)
    with pytest.raises(ValueError, match="seconds must be from 0 to"):
        rawtp.counts(-1)
    with pytest.raises(TypeError, match="command must be a sequence of words, not a str"):
        rawtp.counts("1")


def test_hostile_names_do_not_act_on_the_page() -> None:
    """In a table, in a notebook and in columns."""
    code = "import ctypes, os, sys; ctypes.CDLL(None).prctl(15, b'<b>\\xff\\x1b[1m'); sys.stdin.read(1); os.getppid()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        assert process.stdin
        # It takes the name meanwhile.
        with rawtp.Counts(syscalls=["getppid"], pid=process.pid, by="process") as counts:
            process.communicate(b"\n")
    found = counts.read()
    [row] = found.rows
    assert (row.pid, row.comm, row.calls) == (process.pid, "<b>\udcff\x1b[1m", 1)
    assert "\x1b" not in str(found)
    html = found._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;\\xff\\x1b[1m" in html


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")
def test_as_many_as_strace_counts(tmp_path: Path) -> None:
    """The same command under `strace -f -c`: the same calls and errors but for those that differ from run to run."""
    command = [
        "/bin/sh",
        "-c",
        "exec >/dev/null 2>&1; for i in 1 2 3 4 5; do /bin/cat /etc/hostname /nonexistent; done; ls -l /",
    ]
    report = tmp_path / "report"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run(["strace", "-f", "-c", "-o", report, "--", *command], check=False, **quiet)  # type: ignore[call-overload]
    counted = subprocess.run(
        [sys.executable, "-m", "rawtp", "counts", "-o", "jsonl", "--", *command],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    lines = [json.loads(line) for line in counted.stdout.splitlines() if line.startswith("{")]
    ours = {row["syscall"]: (row["calls"], row["errors"]) for row in lines if row["type"] == "count"}
    theirs = {}
    for line in report.read_text().splitlines():
        parts = line.split()
        if len(parts) in {5, 6} and parts[3].isdecimal() and parts[-1] != "total":
            theirs[parts[-1]] = (int(parts[3]), int(parts[4]) if len(parts) == 6 else 0)
    # strace restarts what its own stops interrupt, and counts no call that does not come back. Where memory lies
    # differs from run to run.
    differing = {"wait4", "rt_sigreturn", "exit_group", "exit", "brk", "restart_syscall", "futex"}
    apart = {
        name: (ours.get(name), theirs.get(name))
        for name in ours.keys() | theirs.keys()
        if name not in differing and ours.get(name) != theirs.get(name)
    }
    assert apart == {}
