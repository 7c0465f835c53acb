"""``rawtp record``: its options, its life and its exit codes, with a recorder that only pretends."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

import rawtp
from helpers.errors import advised
from rawtp._record import status, status_file
from rawtp.cli import invocation, main

STATUS = {
    "running": True,
    "session": 1,
    "events": 5,
    "acknowledged": 5,
    "in_memory": 0,
    "dropped": 0,
    "last_ack_ns": 1_700_000_000_000_000_000,
    "last_event_ns": None,
    "through_ns": 0,
    "heartbeats": 0,
    "last_heartbeat_ns": None,
    "lost": 0,
    "gaps": 0,
    "wal_files": 1,
    "wal_bytes": 1,
    "segments": 0,
    "segment_bytes": 0,
    "sealed": 0,
    "expired": 0,
    "quarantined": 0,
    "errors": 0,
    "last_error": None,
    "failing": False,
    "directory": "here",
}
RECOVERED = {
    "first": False,
    "logs": 1,
    "sealed_logs": 0,
    "torn_bytes": 0,
    "quarantined": ["wal/x\x1b"],
    "gap": (1_000_000_000, 3_500_000_000),
    "journal_damaged_lines": 0,
}


class PretendTracer:
    given: ClassVar[dict[str, Any]]
    coverage: ClassVar[dict[str, Any]] = {
        "syscalls": {"hook": "raw_tp/sys_enter", "reason": None},
        "truth": {"hook": None, "reason": "too old"},
    }

    def __init__(self, **given: Any) -> None:
        type(self).given = given

    def __enter__(self) -> PretendTracer:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class PretendRecorder:
    """Waits as long as there are steps; each is a change of its status, an exception, or a function to call."""

    given: ClassVar[tuple[Any, ...]]
    options: ClassVar[dict[str, Any]]
    steps: ClassVar[list[Any]] = []
    recovered = RECOVERED
    done: ClassVar[list[str]]

    def __init__(self, *given: Any, **options: Any) -> None:
        type(self).given, type(self).options, type(self).done = given, options, []
        self.left = [*self.steps]
        self.now: dict[str, Any] = dict(STATUS)

    def status(self) -> dict[str, Any]:
        return self.now

    def wait(self, timeout: float) -> bool:
        assert timeout == 1.0
        if not self.left:
            signal.raise_signal(signal.SIGTERM)
        step = self.left.pop(0)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, bool):
            return step
        if isinstance(step, dict):
            self.now |= step
        else:
            step()
        return False

    def _open_directory(self) -> int:
        return os.open(self.given[1], os.O_RDONLY | os.O_DIRECTORY)

    def _new_containers(self) -> list[tuple[str | None, str | None]]:
        return []

    def _set_silent(self, since_ns: int) -> None:
        self.done.append(f"silent since {since_ns}")

    def sync(self, timeout: float) -> None:
        if "close" in self.done:
            raise ValueError("the recorder is closed")
        if self.done and self.done[-1].startswith("silent"):
            self.done.append("written")

    def seal(self, timeout: float) -> None:
        self.done.append("seal")

    def close(self) -> None:
        self.done.append("close")


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[PretendRecorder]]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.getsignal(number) for number in numbers}
    recorder = type("Recorder", (PretendRecorder,), {})
    monkeypatch.setattr(rawtp, "Tracer", PretendTracer)
    monkeypatch.setitem(vars(rawtp), "Recorder", recorder)
    monkeypatch.setattr("rawtp._record.heartbeat.name_thread", lambda: None)
    monkeypatch.setattr("rawtp._record.naming.HistoryReader", PretendReader)
    yield recorder
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def place(tmp_path: Path) -> str:
    return os.path.realpath(tmp_path)


def test_defaults(pretend: type[PretendRecorder], place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--directory", place]) == 0
    assert PretendTracer.given == {
        "syscalls": list(rawtp.LOSS),
        "fields": (*rawtp.ALL_FIELDS, "ancestors"),
        "ring_bytes": 4 << 20,
        "queue_bytes": 64 << 20,
    }
    assert pretend.given[1] == place
    session = json.loads(pretend.options.pop("session"))
    assert (session["kernel"], session["filters"], session["redact"]) == (os.uname().release, {}, [])
    assert session["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert session["coverage"] == PretendTracer.coverage
    assert pretend.options == {
        "sync_s": 1.0,
        "segment_bytes": 16 << 20,
        "segment_s": 3600.0,
        "max_bytes": None,
        "max_age_s": None,
        "redact_argv": False,
        "heartbeat": f"{place}/.heartbeat",
    }
    assert pretend.done == ["close"]
    assert capsys.readouterr() == (
        "",
        f"rawtp: recording into {place}; sealed 1 log of the recorder before;"
        " nothing was watched for 2.5 s before\n"
        "rawtp: damaged, and moved to quarantine: wal/x\\x1b\n"
        "rawtp: truth: the keys of the file itself are None where only the kernel's own functions tell it: too old\n"
        "rawtp: recorded 5 events, 0 lost\n",
    )


def test_options(pretend: type[PretendRecorder], place: str) -> None:
    sizes = ["--max-bytes", "1GiB", "--max-age", "90d", "--sync", "250ms", "--segment-bytes", "1MiB"]
    filters = ["-p", "7", "-P", "/srv", "--comm", "rm", "--redact", "argv", "-f", "cwd,freed", "--segment-age", "1m"]
    assert main(["record", "--directory", place, *sizes, *filters, "-s", "delete"]) == 0
    given = PretendTracer.given
    assert given["syscalls"] == list(rawtp.DELETE)
    assert given["fields"] == (*rawtp.ALL_FIELDS, "ancestors", "cwd", "freed")
    assert (given["pid"], given["comm"]) == ([7, os.getpid()], ["rm", "rawtp-record"])
    assert given["path"] == ["/srv", f"{place}/.heartbeat"]
    options = pretend.options
    assert (options["max_bytes"], options["max_age_s"], options["sync_s"]) == (1 << 30, 90 * 86400, 0.25)
    assert (options["segment_bytes"], options["segment_s"], options["redact_argv"]) == (1 << 20, 60.0, True)
    assert json.loads(options["session"])["filters"] == {"pid": [7], "comm": ["rm"], "path": ["/srv"]}


def test_filters_that_leave_the_heartbeat_out(
    pretend: type[PretendRecorder], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", "--directory", place, "--exclude-self"]) == 0
    assert pretend.options["heartbeat"] is None
    assert "rawtp: there is no heartbeat: --exclude-self leaves the recorder out\n" in capsys.readouterr().err


def test_changes_are_told_once(
    pretend: type[PretendRecorder],
    place: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [1000.0]
    monkeypatch.setattr("rawtp._record.service.time.monotonic", lambda: now[0])

    def later() -> None:
        now[0] += 20

    failing = {"failing": True, "last_error": "No space left on device"}
    pretend.steps = [{"heartbeats": 1}, later, later, later, {"heartbeats": 2}, failing, {"dropped": 1}, later, later]
    pretend.steps += [{"failing": False}, {}]
    assert main(["record", "--directory", place]) == 0
    assert capsys.readouterr().err.splitlines()[3:-1] == [
        "rawtp: the heartbeat does not come back: what happens now may not be recorded",
        "rawtp: the heartbeat comes back again",
        "rawtp: the log cannot be written: No space left on device; events wait in memory",
        "rawtp: memory is full as well: events are lost, and counted",
        "rawtp: the heartbeat does not come back: what happens now may not be recorded",
        "rawtp: the log is written again",
    ]
    silent = f"silent since {STATUS['session']}"
    assert pretend.done == [silent, "written", silent, "written", "close"]
    account = status_file.read(place)
    assert account is not None
    assert (account["pid"], account["heartbeat"]["state"]) == (os.getpid(), "late")


def test_a_hangup_seals(pretend: type[PretendRecorder], place: str, capsys: pytest.CaptureFixture[str]) -> None:
    pretend.steps = [lambda: signal.raise_signal(signal.SIGHUP)]
    assert main(["record", "--directory", place]) == 0
    assert pretend.done == ["seal", "close"]
    assert "rawtp: SIGHUP: the log is sealed\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError("not done within 30.0 s"), "not done within 30.0 s"),
        # It has stopped, and the next look at it tells why.
        (ValueError("the recorder is closed"), "the recorder is closed"),
    ],
)
def test_a_hangup_that_seals_nothing(
    error: Exception,
    text: str,
    pretend: type[PretendRecorder],
    place: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(recorder: PretendRecorder, timeout: float) -> None:
        raise error

    monkeypatch.setattr(pretend, "seal", fails)
    pretend.steps = [lambda: signal.raise_signal(signal.SIGHUP)]
    assert main(["record", "--directory", place]) == 0
    assert f"rawtp: SIGHUP: the log was not sealed: {text}\n" in capsys.readouterr().err


def test_systemd_is_told(
    pretend: type[PretendRecorder], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    pretend.steps = [{"heartbeats": 1}, {}, {}]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        assert main(["record", "--directory", place]) == 0
        told = [manager.recv(1000)]
        while not told[-1].startswith(b"STOPPING"):
            told.append(manager.recv(1000))
        assert told[0] == b"READY=1\nSTATUS=recording"
        assert told.count(b"WATCHDOG=1") == 1
        assert told[-1] == b"STOPPING=1\nSTATUS=closing"


@pytest.mark.parametrize(
    ("error", "complaint"),
    [
        (BlockingIOError(11, "Resource temporarily unavailable"), "another recorder records into {}"),
        (PermissionError(13, "Permission denied", "/x"), "cannot record into {}: /x: Permission denied"),
        (rawtp.RawtpError("the journal is of a later version"), "cannot record into {}: the journal is of a later"),
    ],
)
def test_what_stands_in_the_way(
    error: Exception,
    complaint: str,
    pretend: type[PretendRecorder],
    place: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refusing(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setitem(vars(rawtp), "Recorder", refusing)
    assert main(["record", "--directory", place]) == 1
    assert capsys.readouterr().err.startswith(f"rawtp: {complaint.format(place)}")


def test_missing_privilege(
    pretend: type[PretendRecorder], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusing(**_: object) -> None:
        raise advised(PermissionError, "CAP_BPF is missing", "Run it with: sudo python")

    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(rawtp, "Tracer", refusing)
    assert main(["record"]) == 1
    assert capsys.readouterr().err == (
        f"rawtp: CAP_BPF is missing. Run it with: sudo {sys.executable} -m rawtp record\n"
    )


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        (True, "the watching was ended: the tracer was closed"),
        (rawtp.RawtpError("the writer gave up"), "the recorder ended: the writer gave up"),
    ],
)
def test_an_end_that_nobody_asked_for(
    step: Any, complaint: str, pretend: type[PretendRecorder], place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend.steps = [step]
    assert main(["record", "--directory", place]) == 1
    assert capsys.readouterr().err.endswith(f"rawtp: {complaint}\n")
    assert pretend.done == ["close"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--json"], "--json needs --status"),
        (["--now"], "--now needs --install"),
        (["--status", "--install"], "--status: not with --install"),
        (["-f", "path"], "argument -f/--fields: 'path' is none of parent_argv, cwd, user, login, freed"),
        (["--directory", ""], "argument --directory: the path is empty"),
        (["--redact", "comm"], "argument --redact: invalid choice: 'comm'"),
        (["--max-bytes", "many"], "argument --max-bytes: 'many' is not a number of bytes"),
        (["--sync", "0"], "argument --sync: '0' is not a time above 0"),
        (["--follow"], "--follow needs -p/--pid"),
    ],
)
def test_wrong_usage(
    arguments: list[str], complaint: str, pretend: type[PretendRecorder], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_what_the_recorder_refuses_is_wrong_usage(
    pretend: type[PretendRecorder], place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: object, **__: object) -> None:
        raise ValueError("sync_s must be 0.01 to 60, not 61")

    monkeypatch.setitem(vars(rawtp), "Recorder", refusing)
    assert main(["record", "--directory", place, "--sync", "61"]) == 2
    assert capsys.readouterr().err.endswith("rawtp: error: --sync must be 0.01 to 60, not 61\n")


class PretendReader:
    records = True

    def __init__(self, directory: str) -> None:
        pass

    def is_recording(self) -> bool:
        return self.records

    def stats(self) -> dict[str, Any]:
        counts = {"segments": 2, "segment_bytes": 2048, "wal_files": 1, "wal_bytes": 10, "events": 9}
        return {**counts, "first_ns": 1, "last_ns": 2, "quarantined": 0, "expired": 0}

    def coverage(self) -> list[tuple[int, int]]:
        return [(10**18, 10**18 + 10**9)]

    def gaps(self) -> list[dict[str, Any]]:
        return [{}]

    def losses(self) -> list[dict[str, Any]]:
        return [{"count": 3}, {"count": 4}]


def account(**changes: Any) -> dict[str, Any]:
    now_ns = time.time_ns()
    beat = {"state": "ok", "reason": None, "last_ns": now_ns - 2 * 10**9}
    running = {**STATUS, "last_ack_ns": now_ns - 10**9}
    return {"pid": 7, "written_ns": now_ns, "heartbeat": beat, "start_ns": 10**18, "status": running, **changes}


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> type[PretendReader]:
    found = type("HistoryReader", (PretendReader,), {})
    monkeypatch.setattr(status, "HistoryReader", found)
    return found


def written(place: str, values: dict[str, Any]) -> None:
    file = status_file.StatusFile(os.open(place, os.O_RDONLY | os.O_DIRECTORY))
    file.write(values)
    file.close()


def test_status(reader: type[PretendReader], place: str, capsys: pytest.CaptureFixture[str]) -> None:
    written(place, account())
    assert main(["record", "--status", "--directory", place]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "recording: yes"
    assert lines[1].endswith(", pid 7")
    assert lines[2] in {"heartbeat: came back 2.0 s ago", "heartbeat: came back 2.1 s ago"}
    assert lines[5:] == [
        "gaps: 1",
        "lost: 7 events",
        "sealed: 2 files, 2.0 KiB",
        "not sealed yet: 1 log, 10 B",
    ]
    assert main(["record", "--status", "--json", "--directory", place]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["is_well"], found["problems"], found["version"]) == (True, [], rawtp.__version__)
    assert found["recorder"]["heartbeat"]["state"] == "ok"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda: {"heartbeat": {"state": "late", "reason": None, "last_ns": None}}, "the heartbeat does not come back"),
        (
            lambda: {"status": {**STATUS, "failing": True, "last_error": "full\x1b"}},
            "the log cannot be written: full\\x1b",
        ),
        (lambda: {"written_ns": time.time_ns() - 60 * 10**9}, "the recorder's account is 60."),
        (lambda: {"status": 1}, "the recorder's account is of another version"),
    ],
)
def test_problems(
    change: Callable[[], dict[str, Any]],
    problem: str,
    reader: type[PretendReader],
    place: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    written(place, account(**change()))
    assert main(["record", "--status", "--directory", place]) == 1
    assert f"problem: {problem}" in capsys.readouterr().out


def test_nothing_records(reader: type[PretendReader], place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--status", "--directory", place]) == 1
    assert "problem: the recorder gives no account" in capsys.readouterr().out
    reader.records = False
    written(place, account())
    assert main(["record", "--status", "--directory", place]) == 1
    out = capsys.readouterr().out
    assert out.startswith("recording: no\n")
    assert "heartbeat" not in out
    assert out.endswith("problem: nothing is recorded now\n")


def test_the_status_of_no_history(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(_: str) -> None:
        raise FileNotFoundError(2, "No such file or directory", "/x")

    monkeypatch.setattr(status, "HistoryReader", refusing)
    assert main(["record", "--status", "--directory", "/x"]) == 1
    command = invocation.command("record", "--directory", "/x", as_root=True)
    assert capsys.readouterr().err == f"rawtp: nobody has recorded into /x. To record, run: {command}\n"


def test_the_unit_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--install", "--max-age", "90d"]) == 0
    out = capsys.readouterr().out
    assert f"ExecStart={sys.executable} -I -m rawtp record --max-age 90d\n" in out
    assert main(["record", "--install", "--directory", "/a\nb"]) == 2


def test_a_unit_has_no_relative_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    here = Path.cwd()
    options = ["--directory", "h", "-P", "x", "-Py", "--path=z", "--sync", "2s"]
    assert main(["record", *options, "--install"]) == 0
    words = f" record --sync 2s --directory {here}/h --path {here}/x --path {here}/y --path {here}/z\n"
    assert words in capsys.readouterr().out
    assert main(["record", "--directory=k", "--install"]) == 0
    assert f"\nReadWritePaths={here}/k\n" in capsys.readouterr().out


def test_only_root_installs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main(["record", "--install", "--now"]) == 1
    assert capsys.readouterr().err == "rawtp: only root can install a unit: run it with sudo\n"
