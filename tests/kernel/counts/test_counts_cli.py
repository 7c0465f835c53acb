"""``rawtp counts``: its formats, its ends and its exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from helpers.support import attached_programs, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

COUNTS = (sys.executable, "-m", "rawtp", "counts")


def counts(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    command = [*COUNTS, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, **options)


def known(program: Callable[[str], Path], *options: str) -> subprocess.CompletedProcess[str]:
    """Of the program whose calls are known."""
    return counts("--as-root", *options, "--", program("known"), input="\n")


def test_a_command_as_json_lines(program: Callable[[str], Path]) -> None:
    """Its exit code is the command's."""
    done = known(program, "--latency")
    assert done.returncode in {0, 77}, done.stderr
    *rows, last = map(json.loads, done.stdout.splitlines())
    assert {row["type"] for row in rows} == {"count"}
    [getppid] = [row for row in rows if row["syscall"] == "getppid"]
    assert (getppid["interval"], getppid["calls"], getppid["errors"], getppid["pid"]) == (1, 1056, 0, None)
    assert sum(count for _, count in getppid["histogram"]) == 1056
    sums = (last["type"], last["calls"], last["errors"], last["others"], last["missed"])
    assert sums == ("counts", sum(row["calls"] for row in rows), sum(row["errors"] for row in rows), 0, 0)


def test_a_table(program: Callable[[str], Path]) -> None:
    """With as many rows as were asked for, and the sums of all."""
    done = known(program, "-o", "table", "--rows", "2", "-s", "getppid,epoll_create1,sched_yield")
    title, head, first, second, more, total = done.stdout.splitlines()
    assert title.startswith("1,376 calls in ")
    assert head.split() == ["%", "calls", "calls", "errors", "syscall", "errnos"]
    assert first.split() == ["76.74", "1056", "getppid"]
    assert second.split() == ["21.80", "300", "300", "epoll_create1", "EINVAL", "300"]
    assert more == "... and 1 more rows"
    assert total.split() == ["1376", "300", "total"]


def test_csv_by_process(program: Callable[[str], Path]) -> None:
    """Each row is that of a process."""
    done = known(program, "-o", "csv", "--by", "process", "-s", "getppid")
    rows = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    assert (rows[0]["comm"], rows[0]["calls"]) == ("known", "1000")
    assert sorted(int(row["calls"]) for row in rows) == [6, 10, 40, 1000]
    assert {(row["interval"], row["syscall"], row["errors"], row["buckets"]) for row in rows} == {
        ("1", "getppid", "0", "")
    }


def test_arrow(program: Callable[[str], Path]) -> None:
    """A stream that pyarrow reads."""
    pyarrow = pytest.importorskip("pyarrow")
    command = [*COUNTS, "--as-root", "-o", "arrow", "-s", "getppid", "--latency", "--", str(program("known"))]
    done = subprocess.run(command, input=b"\n", capture_output=True, check=False)
    [row] = pyarrow.ipc.open_stream(done.stdout).read_all().to_pylist()
    assert (row["syscall"], row["calls"], sum(row["histogram"]), row["interval"]) == ("getppid", 1056, 1056, 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_on_a_signal(number: int) -> None:
    """With what was counted up to then."""
    with subprocess.Popen([*COUNTS, "-p", str(os.getpid())], stdout=subprocess.PIPE, text=True) as process:
        # The last two of four: what begins and ends execs is looked at first.
        wait_for(lambda: attached_programs(process.pid) == 4, "it counts")
        os.getppid()
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["calls"] for row in rows if row.get("syscall") == "getppid"] == [1]


def test_intervals_are_differences() -> None:
    """Each call is in one interval only; the end of the output's reader is an end."""
    code = "import os, time\nfor _ in range(10):\n os.getppid(); time.sleep(.05)"
    done = counts("-s", "getppid", "--interval", "0.1", "--as-root", "--", sys.executable, "-c", code)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    ends = [row["interval"] for row in rows if row["type"] == "counts"]
    assert ends == list(range(1, len(ends) + 1))
    assert len(ends) >= 3
    assert sum(row["calls"] for row in rows if row["type"] == "count") == 10
    endless = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m rawtp counts --interval 0.05 -o table | head -n 1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert re.match(r"[\d,]+ calls in ", endless.stdout)
    assert endless.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["-s", "nope"], 2, 'no system call of this machine is named "nope"'),
        (["--follow"], 2, "--follow needs -p/--pid"),
        (["-p", "1", "--", "true"], 2, "are not for a command"),
        (["--"], 2, "no command after --"),
        (["--rows", "3"], 2, "argument --rows: not with -o jsonl"),
        (["--by", "user"], 2, "invalid choice"),
        (["-P", "/srv"], 2, "unrecognized arguments: -P /srv"),
        (["--", "/nonexistent/program"], 127, "No such file or directory"),
        (["--", "/etc/passwd"], 126, "Permission denied"),
    ],
)
def test_exit_codes(arguments: list[str], code: int, text: str) -> None:
    """As those of the other subcommands."""
    done = counts(*arguments)
    assert (done.returncode, text in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
