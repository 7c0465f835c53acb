"""Calls with numbers that no table has: strace(1) calls them `syscall_0x3e7`, and so do events."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

import rawtp
from helpers.support import assert_ledger, hook_refusal, read_to_end, release, stopped
from rawtp._core import _NATIVE_ABI

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

X86 = _NATIVE_ABI == "x86_64"
FIELDS = ("syscall", "abi", "args", "ret", "errno", "action", "path", "dfd", "flags")
# 520 is execve of x32, which the native table shares its numbers with. Without a name are one in the table, one that
# is too large for it, one whose low bits are openat's, and the largest.
NUMBERS = [999, 5000, 520, 0x4000 + (257 if X86 else 56), 0x7FFF_FFFF if not X86 else 0x3FFF_FFFF]
CODE = """
import ctypes, sys
call = ctypes.CDLL(None).syscall
for number in map(int, sys.argv[1:]):
    call(ctypes.c_long(number), *(ctypes.c_long(word) for word in (1, 2, 3, 4, 5, 6)))
"""


def unnamed(numbers: list[int], **options: Any) -> tuple[list[rawtp.Event], rawtp.Stats]:
    command = [sys.executable, "-I", "-S", "-c", CODE, *map(str, numbers)]
    result = rawtp.run(command, fields=FIELDS, **options)
    assert result.returncode == 0
    return [event for event in result.events if str(event["syscall"]).startswith("syscall_")], result.stats


@pytest.mark.parametrize("hook", ["raw_tp", "tracepoint"])
def test_all_calls_have_those_without_a_name(hook: Literal["raw_tp", "tracepoint"]) -> None:
    if reason := hook_refusal(hook):
        pytest.skip(reason)
    events, stats = unnamed(NUMBERS, syscalls="all", hook=hook)
    assert [event["syscall"] for event in events] == [f"syscall_{number:#x}" for number in NUMBERS]
    for event in events:
        assert event["args"] == {"a1": 1, "a2": 2, "a3": 3, "a4": 4, "a5": 5, "a6": 6}
        assert (event["abi"], event["ret"], event["errno"]) == (_NATIVE_ABI, -38, "ENOSYS")
        assert (event["action"], event["path"], event["dfd"], event["flags"]) == (None, None, None, None)
    assert (stats.unpaired, stats.lost_exits) == (0, 0)
    assert_ledger(stats)


@pytest.mark.skipif(not X86, reason="x32 is x86's")
def test_those_of_x32() -> None:
    events, _ = unnamed([0x4000_03E7, 0x4000_1388], syscalls="all")
    assert [(event["syscall"], event["abi"]) for event in events] == [
        ("syscall_0x400003e7", "x32"),
        ("syscall_0x40001388", "x32"),
    ]


@pytest.mark.skipif(not X86, reason="32-bit calls are made by int 0x80")
def test_those_of_the_32_bit_table(program: Callable[[str], Path], tmp_path: Path) -> None:
    """x32's bit is a part of the number there."""
    command = [program("numbers"), tmp_path]
    with stopped(command) as process, rawtp.Tracer("all", pid=process.pid, fields=FIELDS) as tracer:
        release(process)
        live = read_to_end(tracer, process)
    found = [(event["syscall"], event["abi"]) for event in live if str(event["syscall"]).startswith("syscall_")]
    if not any(event["abi"] == "i386" for event in live):
        pytest.skip("the kernel has no 32-bit calls")
    assert found == [("syscall_0x4000000a", "i386")]


def test_no_others_have_them() -> None:
    assert unnamed(NUMBERS, syscalls=["file", "network", "memory", "process"])[0] == []


def test_what_is_excluded_is_not_one_of_them() -> None:
    events, _ = unnamed([999], syscalls="all", exclude=["getppid", "file"])
    assert [event["syscall"] for event in events] == ["syscall_0x3e7"]


def test_a_signals_return_is_none() -> None:
    """sigreturn leaves -1 as the number of its call, whose exit it then is."""
    code = "import os, signal; signal.signal(signal.SIGUSR1, lambda *_: None); os.kill(os.getpid(), signal.SIGUSR1)"
    result = rawtp.run([sys.executable, "-I", "-S", "-c", code], syscalls="all", fields=("syscall",))
    names = [str(event["syscall"]) for event in result.events]
    assert "rt_sigreturn" in names
    assert not any(name.startswith("syscall_") for name in names)
    assert (result.stats.unpaired, result.stats.lost_exits) == (0, 0)
    assert_ledger(result.stats)


def test_as_strace_shows_them() -> None:
    words = ["run", "--all", "-o", "strace", "--calls", "--", sys.executable, "-I", "-S", "-c", CODE, "999"]
    done = subprocess.run([sys.executable, "-m", "rawtp", *words], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if " syscall_" in line)
    assert "syscall_0x3e7(0x1, 0x2, 0x3, 0x4, 0x5, 0x6) = -1 ENOSYS (Function not implemented)" in line
    assert any(line.split()[-1:] == ["syscall_0x3e7"] for line in done.stderr.splitlines())


def test_columns_have_them() -> None:
    command = [sys.executable, "-I", "-S", "-c", f"input()\n{CODE}", "999", "5000"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        with rawtp.Tracer("all", pid=process.pid, fields=FIELDS) as tracer:
            process.communicate(b"\n")
        rows = tracer.batch(timeout=0).to_dicts()
    found = [(row["syscall"], row["args"]) for row in rows if str(row["syscall"]).startswith("syscall_")]
    args = {"a1": 1, "a2": 2, "a3": 3, "a4": 4, "a5": 5, "a6": 6}
    assert found == [("syscall_0x3e7", args), ("syscall_0x1388", args)]
