"""Errors by number: each is counted, by call and by process, and what found no room is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.seccomp import refusing
from rawtp._core import _NATIVE_ABI
from rawtp.syscalls import number

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel

# Of the two, aarch64 has only the latter. A removal of a directory makes one of them.
RMDIR = ("rmdir", "unlinkat")

# A seccomp filter lets getppid return the error that is its first argument.
REFUSED = f"""
import os, sys
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
{refusing("getppid")}
print("ready", flush=True)
sys.stdin.readline()
for errno in range(1, 21):
    for _ in range(errno):
        libc.syscall({number("getppid", _NATIVE_ABI)}, errno)
"""


def refused(**options: Any) -> tuple[rawtp.CountsResult, int]:
    """What is counted of a process whose getppid returns error n n times, for n up to 20; and its pid."""
    command = [sys.executable, "-c", REFUSED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        with rawtp.Counts(syscalls=["getppid"], pid=process.pid, **options) as counts:
            process.stdin.write("\n")
            process.stdin.close()
            assert process.wait() == 0
    return counts.read(), process.pid


def expected(last: int) -> dict[str, int]:
    names = {1: "EPERM", 2: "ENOENT", 11: "EAGAIN", 12: "ENOMEM", 20: "ENOTDIR"}
    return {name: errno for errno, name in names.items() if errno <= last}


@pytest.mark.parametrize("latency", [False, True])
def test_the_first_twelve_of_a_call_on_a_cpu_are_told_apart(latency: bool) -> None:
    found, _ = refused(latency=latency)
    [row] = found.rows
    assert (row.syscall, row.calls, row.errors) == ("getppid", 210, 210)
    errnos = dict(row.errnos)
    assert {name: errnos[name] for name in expected(12)} == expected(12)
    assert sorted(errnos.values()) == list(range(1, 13))
    assert [count for _, count in row.errnos] == sorted(errnos.values(), reverse=True)
    assert row.other_errors == 210 - 78
    assert "132 errors are not told apart" in str(found)


@pytest.mark.parametrize("latency", [False, True])
def test_all_of_a_process_are_told_apart(latency: bool) -> None:
    found, pid = refused(by="process", latency=latency)
    [row] = found.rows
    assert (row.pid, row.errors, row.other_errors) == (pid, 210, 0)
    errnos = dict(row.errnos)
    assert {name: errnos[name] for name in expected(20)} == expected(20)
    assert sorted(errnos.values()) == list(range(1, 21))


def test_what_finds_no_room_is_among_the_errors_alone() -> None:
    found, _ = refused(by="process", max_rows=3)
    [row] = found.rows
    # The kernel may keep some of the places to itself.
    assert (row.errors, len(row.errnos) <= 3) == (210, True)
    assert row.other_errors == 210 - sum(count for _, count in row.errnos) > 0


@pytest.mark.parametrize("by", ["syscall", "process"])
def test_errors_of_several_calls(tmp_path: Path, by: Any) -> None:
    """Each has its own, and what succeeds has none."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with rawtp.Counts(syscalls=[*RMDIR, "chdir"], by=by, pid=os.getpid(), exclude_self=False) as counts:
        before = counts.read()
        for name in ["gone", "gone", "full/file", "full"]:
            with pytest.raises(OSError, match="Errno"):
                os.rmdir(tmp_path / name)  # noqa: PTH106
        with pytest.raises(FileNotFoundError):
            os.chdir(tmp_path / "gone")
        os.chdir(os.getcwd())  # noqa: PTH109
        found = counts.read()
    errors = {row.syscall: row.errnos for row in (found - before).rows}
    assert errors.pop("chdir") == (("ENOENT", 1),)
    assert list(errors.values()) == [(("ENOENT", 2), ("ENOTDIR", 1), ("ENOTEMPTY", 1))]
    assert errors.keys() <= {*RMDIR}


def test_of_a_command(tmp_path: Path) -> None:
    """Its exit code, its calls and those of its descendants, with errors as columns."""
    script = f"rmdir {tmp_path}/one {tmp_path}/two 2>/dev/null; sh -c 'rmdir {tmp_path}/three' 2>/dev/null; exit 7"
    found = rawtp.counts(["sh", "-c", script], syscalls=RMDIR)
    [row] = found.rows
    assert (found.returncode, row.calls, row.errors, row.errnos) == (7, 3, 3, (("ENOENT", 3),))
    columns = found.to_arrow().to_dicts()
    assert [one["errnos"] for one in columns] == [{"ENOENT": 3}]  # type: ignore[typeddict-item]
    pyarrow = pytest.importorskip("pyarrow")
    assert pyarrow.table(found)["errnos"].to_pylist() == [[{"errno": "ENOENT", "count": 3}]]


def test_a_command_that_a_signal_ends() -> None:
    found = rawtp.counts(["sh", "-c", "kill -TERM $$"], syscalls=["kill"], by="process")
    assert (found.returncode, Counter({row.syscall: row.calls for row in found.rows})) == (143, {"kill": 1})


@pytest.mark.parametrize(
    ("seconds", "options", "error"),
    [
        ("make", {}, "command must be a sequence of words, not a str"),
        (["true"], {"pid": 1}, "rawtp.counts() of a command takes no 'pid': it follows the command"),
        (None, {}, "seconds must be a number, or the words of a command, not NoneType"),
    ],
)
def test_wrong_arguments(seconds: Any, options: Any, error: str) -> None:
    with pytest.raises(TypeError) as raised:
        rawtp.counts(seconds, **options)
    assert str(raised.value).startswith(error)


def test_no_such_program() -> None:
    with pytest.raises(FileNotFoundError):
        rawtp.counts(["/nonexistent/program"], syscalls=["read"])
    with pytest.raises(ValueError, match="command is empty"):
        rawtp.counts([])
