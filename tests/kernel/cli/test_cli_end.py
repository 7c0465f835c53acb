"""How the command line ends when its output takes nothing, has no reader, or is a file that is no longer there."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import rawtp
from helpers.command_line import PATIENCE_S, Cli, delete, ledger
from helpers.support import attached_programs, live_hooks, wait_for

pytestmark = pytest.mark.kernel

CLI = (sys.executable, "-m", "rawtp", "-p", str(os.getpid()))
EVENTS = 2000


def wait_until_live(process: Cli, *arguments: str) -> None:
    """Until all of its programs are attached: what comes then is seen."""
    # Chosen keys, and those of the table, need no programs that tell of cgroups.
    fields = rawtp.BASIC_FIELDS if {"-f", "columns"}.intersection(arguments) else rawtp.ALL_FIELDS
    with rawtp.Tracer(fields=fields) as tracer:
        hooks = live_hooks(tracer)
    wait_for(lambda: attached_programs(process.pid) == hooks, "it watches")


def ledger_line(delivered: int) -> str:
    return f"rawtp: {delivered} event{'s' * (delivered != 1)} delivered, 0 lost"


@contextmanager
def unread(*arguments: str, merged: bool = False) -> Iterator[tuple[Cli, int]]:
    """The command line, with standard output, and ``merged`` with it standard error, a full pipe; its other end."""
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
    error = into if merged else subprocess.PIPE
    with subprocess.Popen([*CLI, "--stats", "1d", *arguments], stdout=into, stderr=error) as process:
        try:
            wait_until_live(process, *arguments)
            for number in range(EVENTS):
                Path(f"/nonexistent/{number}").unlink(missing_ok=True)
            wait_for(lambda: is_full(into), "a full pipe")
            yield process, out
        finally:
            process.kill()
            os.close(out)
            os.close(into)


def is_full(fd: int) -> bool:
    """Whether the pipe has no room, and for some time nothing has come of it."""
    held = (False, -1)
    for _ in range(6):
        room = select.select([], [fd], [], 0)[1] != []
        bytes_held = int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
        if room or held not in {(False, -1), (True, bytes_held)}:
            return False
        held = (True, bytes_held)
        time.sleep(0.05)
    return True


def waited(process: Cli) -> tuple[int, str]:
    _, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, (err or b"").decode()


@pytest.mark.parametrize("output", ["columns", "jsonl", "csv", "ocsf", "ecs"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_full_pipe_does_not_stop_a_signal(number: signal.Signals, output: str) -> None:
    with unread("-o", output) as (process, _):
        process.send_signal(number)
        code, err = waited(process)
    assert code == 1
    first, second, outcome, *_ = err.splitlines()
    assert first == "rawtp: standard output: nobody reads it, and it is full"
    held = re.fullmatch(r"rawtp: of (\d+) events? delivered last, not all were written", second)
    assert held
    counts = ledger(err)
    assert outcome == ledger_line(counts["delivered"])
    assert 0 < int(held[1]) <= counts["delivered"] < EVENTS
    # All that came and was not delivered is in the sum, too.
    assert counts["matched"] - counts["filtered"] == EVENTS
    assert counts["delivered"] + counts["buffered"] + counts["discarded"] == EVENTS


def test_a_second_signal_ends_it_at_once() -> None:
    took_s: list[float] = []
    # The first by itself takes two seconds. A machine may be busy for as long, but not each time.
    while not took_s or (min(took_s) >= 1.5 and len(took_s) < 5):
        with unread() as (process, _):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
            begin_s = time.monotonic()
            process.send_signal(signal.SIGINT)
            code, err = waited(process)
            took_s.append(time.monotonic() - begin_s)
        assert (code, err.splitlines()[0]) == (1, "rawtp: standard output: nobody reads it, and it is full")
        ledger(err)
    assert min(took_s) < 1.5


def test_messages_that_nobody_reads_do_not_stop_it_either() -> None:
    with unread(merged=True) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert waited(process) == (1, "")


def test_a_slow_reader_still_gets_all() -> None:
    with unread("-f", "filename") as (process, out):
        process.send_signal(signal.SIGTERM)
        got = b""
        while chunk := os.read(out, 2048):
            got += chunk
            time.sleep(0.001)
            if b'"ledger"' in got and got.endswith(b"\n"):
                break
        code, err = waited(process)
    assert code == 0
    names = [line.get("filename") for line in map(json.loads, got.decode().splitlines()) if line["type"] == "event"]
    assert names == [f"/nonexistent/{number}" for number in range(EVENTS)]
    assert ledger(err)["delivered"] == EVENTS


def test_a_command_behind_a_full_pipe(tmp_path: Path) -> None:
    """The signal is the command's; it ends, and rawtp with it."""
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, 4096)
    calls = "import os,time\nfor n in range(2000):\n try: os.unlink('/nonexistent/x')\n except OSError: pass\n"
    calls += f"open({str(tmp_path / 'done')!r}, 'w').close()\ntime.sleep(3600)"
    command = [sys.executable, "-m", "rawtp", "--", sys.executable, "-c", calls]
    with subprocess.Popen(command, stdout=into, stderr=subprocess.PIPE) as process:
        try:
            wait_for((tmp_path / "done").exists, "the command's calls")
            wait_for(lambda: is_full(into), "a full pipe")
            process.send_signal(signal.SIGTERM)
            code, err = waited(process)
        finally:
            process.kill()
            os.close(out)
            os.close(into)
    assert code == 128 + signal.SIGTERM
    assert err.splitlines()[0] == "rawtp: standard output: nobody reads it, and it is full"


def test_a_pipe_without_a_reader_runs_no_command(tmp_path: Path) -> None:
    out, into = os.pipe()
    os.close(out)
    command = [sys.executable, "-m", "rawtp", "--", "touch", f"{tmp_path}/made"]
    done = subprocess.run(command, stdout=into, stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S)
    os.close(into)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "rawtp: standard output: Broken pipe")
    assert list(tmp_path.iterdir()) == []


def seen(path: Path, name: str) -> Callable[[], bool]:
    def look() -> bool:
        delete(path.parent / name)
        return path.is_file() and f"/{name}" in path.read_text()

    return look


@contextmanager
def recording(path: Path) -> Iterator[Cli]:
    command = [*CLI, "-O", str(path), "-f", "filename"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for(seen(path, "first"), "an event in the file")
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("how", ["removed", "moved", "replaced"])
def test_a_file_that_is_no_longer_there_is_opened_anew(how: str, tmp_path: Path) -> None:
    path = tmp_path / "out"
    with recording(path) as process:
        if how == "removed":
            path.unlink()
        elif how == "moved":
            path.rename(tmp_path / "old")
        else:
            (tmp_path / "other").write_text("theirs\n")
            (tmp_path / "other").replace(path)
        wait_for(seen(path, "second"), "an event in the new file")
        process.send_signal(signal.SIGTERM)
        code, err = waited(process)
    assert code == 0
    assert err.splitlines()[0] == f"rawtp: {path} was opened anew: the file of that name was another one, or gone"
    theirs = ["theirs"] if how == "replaced" else []
    lines = path.read_text().splitlines()
    assert lines[: len(theirs)] == theirs
    kinds = [json.loads(line)["type"] for line in lines[len(theirs) :]]
    assert (kinds[0], set(kinds[1:-1]), kinds[-1]) == ("session", {"event"}, "ledger")
    if how != "replaced":
        assert path.stat().st_mode & 0o777 == 0o600


def test_it_is_noticed_at_the_end_at_the_latest(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with recording(path) as process:
        path.unlink()
        process.send_signal(signal.SIGTERM)
        assert waited(process)[0] == 0
    assert json.loads(path.read_text().splitlines()[-1])["type"] == "ledger"


@pytest.mark.parametrize("put", ["link", "directory", "no directory"])
def test_what_cannot_be_opened_anew_ends_it(put: str, tmp_path: Path) -> None:
    directory = tmp_path / "logs"
    directory.mkdir()
    path = directory / "out"
    with recording(path) as process:
        path.unlink()
        if put == "link":
            path.symlink_to(tmp_path / "target")
        elif put == "directory":
            path.mkdir()
        else:
            directory.rmdir()
        process.wait(PATIENCE_S)
        code, err = waited(process)
    reason = {"link": "is a symbolic link", "directory": "is a directory", "no directory": "No such file or directory"}
    assert (code, err.splitlines()[0]) == (1, f"rawtp: {path}: {reason[put]}")
    assert not (tmp_path / "target").exists()


def test_a_dash_is_standard_output(tmp_path: Path) -> None:
    command = [*CLI, "-O", "-", "-c", "1", "-o", "csv", "-f", "filename"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            while process.poll() is None:
                delete(tmp_path / "x")
                time.sleep(0.01)
            out, err = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert (process.returncode, out) == (0, f"filename,bytes\n{tmp_path}/x,\n")
    assert err == "rawtp: 1 event delivered, 0 lost\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["plain", "[x] {y} \\"])
@pytest.mark.parametrize("given", [".", "*.log", "a.log"])
def test_a_path_from_here(given: str, name: str, tmp_path: Path) -> None:
    here = tmp_path / name
    here.mkdir()
    with subprocess.Popen(
        [*CLI, "-p", str(os.getpid()), "-P", given, "-f", "path", "-o", "csv"],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            wait_until_live(process, "-f")
            for path in (tmp_path / "a.log", here / "a.log"):
                delete(path)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert out.decode().splitlines() == ["path,bytes", f"{here}/a.log,"]
