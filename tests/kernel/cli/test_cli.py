"""The real command line on the live kernel: what it writes, how it ends, and what it says of its losses."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import rawtp
from helpers.command_line import PATIENCE_S, cli, delete, end, events, finish, ledger, names, until_live
from helpers.support import UNLINK
from helpers.terminals import WHO

pytestmark = pytest.mark.kernel


def test_a_pipe_gets_json_lines_of_what_rm_did(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    with cli("-p", os.getpid(), "--follow") as process:
        until_live(process, tmp_path)
        before_ns = time.time_ns()
        with subprocess.Popen(["rm", victim]) as rm:
            rm.wait(PATIENCE_S)
        after_ns = time.time_ns()
        code, out, err = end(process)
    assert code == 0
    [event] = [event for event in events(out) if event["filename"] == str(victim)]
    as_text = {key: event.pop(key) for key in list(event) if key.endswith("_str")}
    assert as_text == {f"{key}_str": str(event[key]) for key in ("ts_ns", "start_ns", "mtime_ns") if event[key]}
    assert list(event) == ["type", *rawtp.ALL_FIELDS]
    assert before_ns - 50_000_000 <= event.pop("ts_ns") <= after_ns + 50_000_000
    assert 0 < event.pop("duration_ns") <= after_ns - before_ns
    assert 0 <= event.pop("cpu") < (os.cpu_count() or 1)
    assert event.pop("seq") >= 1
    assert event.pop("abi") in {"x86_64", "aarch64"}
    expected = {
        "lost": 0,
        "pid": rm.pid,
        "tid": rm.pid,
        "ppid": os.getpid(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "comm": "rm",
        "exe": os.path.realpath(shutil.which("rm") or ""),
        "argv": ["rm", str(victim)],
        "syscall": "unlinkat",
        "via": "syscall",
        "action": "delete",
        "dfd": -100,
        "flags": 0,
        "filename": str(victim),
        "new_filename": None,
        "path": str(victim),
        "new_path": None,
        "path_kind": "absolute",
        "host_path": None,
        "name_status": "ok",
        "ret": 0,
        "errno": None,
    }
    assert {key: event[key] for key in expected} == expected
    assert ledger(err)["delivered"] > 0


def test_columns_on_a_pipe(tmp_path: Path) -> None:
    with cli("-o", "columns", "-p", os.getpid(), TZ="UTC") as process:
        assert process.stdout
        header = process.stdout.readline()
        assert header == b"TIME             PID USER     COMM            ACTION   SYSCALL     RESULT       PATH\n"
        until_live(process, tmp_path)
        with pytest.raises(FileNotFoundError):
            (tmp_path / "\x1b[31mgone\n").unlink()
        code, out, err = end(process)
    assert code == 0
    expected = f"{WHO} delete   {UNLINK:<11} ENOENT       {tmp_path}/\\x1b[31mgone\\x0a"
    last = out.splitlines()[-1]
    assert last[13:] == expected
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} ", last[:13])
    ledger(err)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    with cli("-p", os.getpid()) as process:
        until_live(process, tmp_path)
        with pytest.raises(FileNotFoundError):
            os.unlink(b"caf\xe9")  # noqa: PTH108
        _, out, _ = end(process)
    event = events(out)[-1]
    assert (event["filename"], event["filename_bytes"], event["errno"]) == ("caf\\xe9", "Y2Fm6Q==", "ENOENT")


def test_a_stream_without_the_character_gets_its_escape(tmp_path: Path) -> None:
    with cli("-o", "columns", "-p", os.getpid(), LC_ALL="C", PYTHONIOENCODING="ascii") as process:
        until_live(process, tmp_path)
        delete(tmp_path / "é日")
        code, out, err = end(process)
    assert code == 0
    assert out.splitlines()[-1].endswith(f" {tmp_path}/\\u00e9\\u65e5")
    ledger(err)


def test_count_is_exact(tmp_path: Path) -> None:
    with cli("-c", "3", "-p", os.getpid()) as process:
        deadline_s = time.monotonic() + PATIENCE_S
        for number in range(sys.maxsize):
            if process.poll() is not None:
                break
            assert time.monotonic() < deadline_s
            delete(tmp_path / str(number))
        code, out, err = finish(process)
    assert code == 0
    first, second, third = map(int, names(out))
    assert (second, third) == (first + 1, first + 2)
    assert ledger(err)["delivered"] == 3


def test_duration(tmp_path: Path) -> None:
    start_s = time.monotonic()
    with cli("-d", "1.5", "-p", os.getpid()) as process:
        for number in range(sys.maxsize):
            if process.poll() is not None:
                break
            assert time.monotonic() < start_s + PATIENCE_S
            delete(tmp_path / str(number))
            time.sleep(0.1)  # a pace at which the pipe, which nobody reads before the end, holds all of it
        code, out, err = finish(process)
    assert code == 0
    assert time.monotonic() - start_s > 1.5
    numbers = list(map(int, names(out)))
    assert numbers
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert ledger(err)["delivered"] == len(numbers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_after_all_that_was_before(number: signal.Signals, tmp_path: Path) -> None:
    with cli("-p", os.getpid()) as process:
        until_live(process, tmp_path)
        for index in range(100):
            delete(tmp_path / str(index))
        code, out, err = end(process, number)
    assert code == 0
    assert names(out) == [str(index) for index in range(100)]
    counts = ledger(err)
    assert counts["delivered"] > 100
    assert err.splitlines()[0] == f"rawtp: {counts['delivered']} events delivered, 0 lost"


def test_signals_in_a_row_end_it_as_one_does(tmp_path: Path) -> None:
    with cli("-p", os.getpid()) as process:
        until_live(process, tmp_path)
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
        code, _, err = finish(process)
    assert code == 0
    ledger(err)


@pytest.mark.parametrize("deleting", [True, False])
def test_a_reader_that_leaves_ends_it_with_the_ledger(deleting: bool, tmp_path: Path) -> None:
    with cli("-p", os.getpid()) as process:
        until_live(process, tmp_path)
        assert process.stdout
        process.stdout.close()
        deadline_s = time.monotonic() + PATIENCE_S
        while process.poll() is None:
            assert time.monotonic() < deadline_s
            if deleting:
                delete(tmp_path / "more")
            time.sleep(0.001)
        assert process.stderr
        assert process.returncode == 0
        err = process.stderr.read().decode()
    outcome = re.match(r"rawtp: (\d+) events? delivered, 0 lost\n", err)
    assert outcome
    assert int(outcome[1]) == ledger(err)["delivered"] > 0


def test_head_gets_its_line(tmp_path: Path) -> None:
    command = '"$0" -m rawtp -p "$1" | head -n 2'
    with subprocess.Popen(
        ["sh", "-c", command, sys.executable, str(os.getpid())], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as shell:
        deadline_s = time.monotonic() + PATIENCE_S
        while shell.poll() is None:
            assert time.monotonic() < deadline_s
            delete(tmp_path / "file")
        assert shell.stdout
        assert shell.stderr
        [event] = events(shell.stdout.read().decode())
        assert (event["filename"], event["pid"]) == (f"{tmp_path}/file", os.getpid())
        assert shell.returncode == 0
        assert re.fullmatch(rb"rawtp: \d+ events? delivered, 0 lost\n", shell.stderr.read())


def test_loss_is_told_and_can_fail_the_run(tmp_path: Path) -> None:
    with cli("--fail-on-loss", "--ring-bytes", "65536", "-p", os.getpid()) as process:
        until_live(process, tmp_path)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        for _ in range(5000):
            Path("/nonexistent/file").unlink(missing_ok=True)
        process.send_signal(signal.SIGCONT)
        until_live(process, tmp_path)
        code, _, err = end(process)
    assert code == 3
    counts = ledger(err)
    assert counts["lost_ring"] > 0
    assert counts["matched"] == counts["filtered"] + counts["delivered"] + counts["lost_ring"]
    told = sum(map(int, re.findall(r"^rawtp: lost (\d+) events?(?: at the end)?$", err, re.MULTILINE)))
    assert told == counts["lost_ring"]


def test_a_process_that_is_not_there() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait(PATIENCE_S)
    with cli("-p", gone.pid, "-d", "0.1") as process:
        code, out, err = finish(process)
    assert (code, events(out)) == (0, [])
    assert err.splitlines()[0] == f"rawtp: no process has pid {gone.pid} now; waiting for one"
    assert ledger(err)["delivered"] == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-p", "abc"], "argument -p/--pid: 'abc' is not a process id"),
        (
            ["-d", "nan"],
            "argument -d/--duration: 'nan' is not a time above 0: seconds, or such as 500ms, 2m, 1h30m or 90d",
        ),
        (["--ring-bytes", "5"], "--ring-bytes must be a power of two and a multiple of the page size .*, not 5"),
        (["--all"], r"--all needs a filter by process \(-p, -u, --comm or --cgroup\), or a command \(rawtp run\): .*"),
        (["--queue-bytes", "1"], "--queue-bytes must be a positive multiple of 65536 .*, not 1"),
    ],
)
def test_wrong_usage(arguments: list[str], complaint: str) -> None:
    with cli(*arguments) as process:
        code, out, err = finish(process)
    assert (code, out) == (2, "")
    assert re.fullmatch(f"rawtp: error: {complaint}", err.splitlines()[-1])


@pytest.mark.parametrize(
    ("redirection", "message"),
    [(">&-", "rawtp: standard output is closed"), (">/dev/full", "rawtp: standard output: No space left on device")],
)
def test_an_output_that_takes_nothing(redirection: str, message: str) -> None:
    command = ["sh", "-c", f'exec "$0" -m rawtp -o columns {redirection}', sys.executable]
    run = subprocess.run(command, stderr=subprocess.PIPE, timeout=PATIENCE_S)
    assert (run.returncode, run.stderr.decode().splitlines()[0]) == (1, message)


@pytest.mark.parametrize("arguments", ["-q", "-O /dev/shm/rawtp-test-out"])
def test_what_needs_no_output_does_without(arguments: str) -> None:
    command = ["sh", "-c", f'exec "$0" -m rawtp -d 0.1 -p 1 {arguments} >&-', sys.executable]
    try:
        run = subprocess.run(command, stderr=subprocess.PIPE, timeout=PATIENCE_S)
        assert run.returncode == 0
        assert ("delivered" in run.stderr.decode()) == (arguments != "-q")
    finally:
        Path("/dev/shm/rawtp-test-out").unlink(missing_ok=True)


def test_closed_messages_are_no_error() -> None:
    command = ["sh", "-c", 'exec "$0" -m rawtp -d 0.1 -p 1 2>&-', sys.executable]
    run = subprocess.run(command, stdout=subprocess.PIPE, timeout=PATIENCE_S)
    assert (run.returncode, events(run.stdout.decode())) == (0, [])


NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")


def interpreter_of_nobody() -> str:
    """A Python that a user without any rights can start: this one may live where only its owner can go."""
    probe = "import sys; sys.version_info >= (3, 10) or sys.exit(1); print(sys.executable)"
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        run = subprocess.run([*NOBODY, candidate, "-c", probe], capture_output=True, text=True, cwd="/")
        if run.returncode == 0:
            return run.stdout.strip()
    pytest.skip("no Python 3.10 or later that nobody can start")


def test_without_privilege_it_says_what_to_run() -> None:
    python = interpreter_of_nobody()
    with tempfile.TemporaryDirectory() as place:  # pytest's own tmp_path is closed to others
        package = Path(rawtp.__file__).parent
        copy = shutil.copytree(package, Path(place) / "rawtp", ignore=shutil.ignore_patterns("__pycache__"))
        for path in (Path(place), copy, *copy.rglob("*")):
            path.chmod(0o755)
        command = [*NOBODY, python, "-m", "rawtp", "-o", "jsonl", "-d", "1.5"]
        run = subprocess.run(command, capture_output=True, text=True, cwd=place, timeout=PATIENCE_S)
    assert (run.returncode, run.stdout) == (1, "")
    [line] = run.stderr.splitlines()
    assert "CAP_BPF and CAP_PERFMON" in line
    assert line.endswith(f". Run it with: sudo {python} -m rawtp -o jsonl -d 1.5")
