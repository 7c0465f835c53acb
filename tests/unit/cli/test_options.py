"""The command line's arguments, messages and exit codes, with a tracer that only pretends."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rawtp
from helpers.errors import advised
from helpers.samples import RM
from rawtp._containers import runtimes
from rawtp._containers.runtimes import Names
from rawtp.cli import main
from rawtp.event import Event
from rawtp.formats.csv import Csv
from rawtp.formats.jsonl import JsonLines
from rawtp.formats.ledger import summary
from rawtp.formats.timestamp import Clock

LEDGER: dict[str, int | None] = {
    "matched": 3,
    "filtered": 0,
    "lost_ring": 0,
    "lost_state": 0,
    "pending": 0,
    "buffered": 0,
    "delivered": 3,
    "discarded": 0,
    "missed": 0,
    "unpaired": 0,
    "name_faults": 0,
    "truncated": 0,
    "lost_exits": 0,
    "tail_lost": 0,
    "unfollowed": 0,
    "lost_cgroups": 0,
    "lost_processes": 0,
    "lost_truths": 0,
    "lost_mounts": 0,
}
IDENTITY = (
    "rawtp: matched 3 = filtered 0 + lost_ring 0 + lost_state 0 + pending 0 + buffered 0 + delivered 3 + discarded 0\n"
)
BESIDE = (
    "rawtp: missed 0, unpaired 0, name_faults 0, truncated 0, lost_exits 0, tail_lost 0, unfollowed 0, lost_cgroups 0, "
    "lost_processes 0, lost_truths 0, lost_mounts 0\n"
)
NO_TIME = " is not a time above 0: seconds, or such as 500ms, 2m, 1h30m or 90d"
NO_SIZE = " is not a number of bytes from 1 up, such as 4194304, 4096KiB or 4MiB"


class PretendTracer:
    """Gives one event to the first wait, and keeps two for after its close."""

    ledger = LEDGER
    lost = 0
    given: dict[str, Any]
    waits: list[tuple[int, float]]

    def __init__(self, **given: Any) -> None:
        type(self).given = given
        type(self).waits = []
        self.left: list[Event] = [{**RM, "seq": seq, "lost": self.lost if seq == 2 else 0} for seq in (1, 2, 3)]
        self.coverage = {"syscalls": {"hook": "raw_tp/sys_enter", "reason": None}}
        self.closed = False

    def __enter__(self) -> PretendTracer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        while self.left:
            yield self.left.pop(0)

    def get_many(self, max_events: int, timeout: float) -> list[Event]:
        self.waits.append((max_events, timeout))
        if len(self.waits) > 1:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            assert self.closed
            raise ValueError("closed")
        return [self.left.pop(0)]

    def close(self) -> None:
        self.closed = True

    def stats(self) -> PretendTracer:
        return self

    def as_dict(self) -> dict[str, int | None]:
        return self.ledger


class PretendTextReader:
    """Gives the same events as text."""

    def __init__(self, tracer: PretendTracer, format: str, fields: list[str], utc: bool | None = None) -> None:  # noqa: A002 - the interface's name
        self._tracer = tracer
        self._format = {"jsonl": JsonLines, "csv": Csv}[format](fields, None if utc is None else Clock(utc=utc))

    def read(self, max_events: int, timeout: float) -> tuple[bytes, int, int]:
        if not self._tracer.closed:
            events = self._tracer.get_many(max_events, timeout)
        elif not (events := list(itertools.islice(self._tracer, max_events))):
            raise ValueError("closed")
        return self._format.events(events).encode(), len(events), sum(event["lost"] for event in events)


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[PretendTracer]]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    tracer = type("Tracer", (PretendTracer,), {})
    monkeypatch.setattr(rawtp, "Tracer", tracer)
    monkeypatch.setattr("rawtp.cli.pipeline.TextReader", PretendTextReader)
    yield tracer
    for number, handler in handlers.items():
        signal.signal(number, handler)


def refusing(error: Exception) -> Callable[..., None]:
    def tracer(**_: object) -> None:
        raise error

    return tracer


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-p", "abc"], "argument -p/--pid: 'abc' is not a process id"),
        (["-p", "0"], "argument -p/--pid: '0' is not a process id"),
        (["-p", "-5"], "argument -p/--pid: '-5' is not a process id"),
        (["-p", "4294967296"], "argument -p/--pid: '4294967296' is not a process id"),
        (["-d", "-1"], "argument -d/--duration: '-1'" + NO_TIME),
        (["-d", "nan"], "argument -d/--duration: 'nan'" + NO_TIME),
        (["-d", "inf"], "argument -d/--duration: 'inf'" + NO_TIME),
        (["-d", "0"], "argument -d/--duration: '0'" + NO_TIME),
        (["-d", "1y"], "argument -d/--duration: '1y'" + NO_TIME),
        (["-d", "2m3"], "argument -d/--duration: '2m3'" + NO_TIME),
        (["-d", "0m"], "argument -d/--duration: '0m'" + NO_TIME),
        (["-d", ""], "argument -d/--duration: ''" + NO_TIME),
        (["-c", "0"], "argument -c/--count: '0' is not a whole number from 1 up"),
        (["-c", "1.5"], "argument -c/--count: '1.5' is not a whole number from 1 up"),
        (["--ring-bytes", "4MB"], "argument --ring-bytes: '4MB'" + NO_SIZE),
        (["--ring-bytes", "0KiB"], "argument --ring-bytes: '0KiB'" + NO_SIZE),
        (["--queue-bytes", "-1"], "argument --queue-bytes: '-1'" + NO_SIZE),
        (["--queue-bytes", "9999999999GiB"], "argument --queue-bytes: '9999999999GiB'" + NO_SIZE),
        (["--coun", "1"], "unrecognized arguments: --coun 1 (did you mean --count?)"),
        (["--xyzzy=1", "-q"], "unrecognized arguments: --xyzzy=1"),
        (["-P", ""], "argument -P/--path: the path is empty"),
        (["-f", "pid,,"], "argument -f/--fields: 'pid,,' has an empty name in it"),
        (["--stats", "0"], "argument --stats: '0'" + NO_TIME),
        (
            ["-o", "ocsf", "-f", "pid,cwd"],
            "argument -f/--fields: with -o ocsf, whose schema says what is in an event, only ancestors,"
            " parent_argv, cwd, user, login, freed, args",
        ),
        (
            ["-o", "ecs", "-f", "help"],
            "argument -f/--fields: with -o ecs, whose schema says what is in an event, only ancestors,"
            " parent_argv, cwd, user, login, freed, args",
        ),
        (["-o", "ecs", "-T"], "argument -T/--time: not with -o ecs, whose schema says what is in an event"),
        (["-o", "ocsf", "--utc"], "argument --utc: not with -o ocsf, whose schema says what is in an event"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str], pretend: type[PretendTracer]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1] == f"rawtp: error: {complaint}"
    assert not hasattr(pretend, "given")


def test_an_unknown_output_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-o", "xml"]) == 2
    assert "argument -o/--output: invalid choice: 'xml'" in capsys.readouterr().err
    assert main(["--color", "red"]) == 2
    assert "argument --color: invalid choice: 'red'" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-V"]) == 0
    assert capsys.readouterr() == (f"rawtp {rawtp.__version__}\n", "")


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_help_fits_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main(["--help"]) == 0
    out, err = capsys.readouterr()
    options, examples = out.split("examples:\n")
    assert max(map(len, options.splitlines())) <= columns
    assert f"  sudo {shlex.quote(sys.executable)} -m rawtp -p 1234\n" in examples
    assert err == ""


def test_defaults(pretend: type[PretendTracer]) -> None:
    assert main([]) == 0
    calls = {"when": None, "exclude": None, "buffers": 0}
    others = {"hook": "auto", **calls, "ring_bytes": 4 << 20, "queue_bytes": 64 << 20}
    assert pretend.given == {"syscalls": list(rawtp.LOSS), "fields": rawtp.ALL_FIELDS, **others}
    assert main(["--hook", "vfs"]) == 0
    assert pretend.given["hook"] == "vfs"


def test_groups_and_names_of_syscalls(pretend: type[PretendTracer]) -> None:
    main(["-s", "rename, unlinkat,delete"])
    assert pretend.given["syscalls"] == [*rawtp.RENAME, "unlinkat", *rawtp.DELETE]


def test_the_end_shows_what_came_before_it(pretend: type[PretendTracer], capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "--ring-bytes",
        "8192",
        "--queue-bytes",
        "65536",
        "-d",
        "1e300",
        "-p",
        str(os.getpid()),
        "-f",
        "seq,lost",
    ]
    assert main(command) == 0
    assert (pretend.given["ring_bytes"], pretend.given["queue_bytes"]) == (8192, 65536)
    assert pretend.waits == [(4096, 3600.0), (4096, 3600.0)]
    out, err = capsys.readouterr()
    session, *events, ledger = map(json.loads, out.splitlines())
    assert events == [{"type": "event", "seq": seq, "lost": 0} for seq in (1, 2, 3)]
    assert ledger == {"type": "ledger", **LEDGER}
    start_ns = session.pop("start_ns")
    assert start_ns > 1_700_000_000_000_000_000
    assert session.pop("start_ns_str") == str(start_ns)
    host = {key: session.pop(key) for key in ("host", "machine_id", "boot_id", "kernel", "architecture")}
    assert (host["host"], host["kernel"]) == (os.uname().nodename, os.uname().release)
    assert host["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert session == {
        "type": "session",
        "version": rawtp.__version__,
        "pid": os.getpid(),
        "syscalls": list(rawtp.LOSS),
        "filters": {"pid": [os.getpid()]},
        "fields": ["seq", "lost"],
        "hook": "raw_tp/sys_enter",
        "coverage": {"syscalls": {"hook": "raw_tp/sys_enter", "reason": None}},
        "ring_bytes": 8192,
        "queue_bytes": 65536,
        "root": "/",
    }
    assert err == "rawtp: 3 events delivered, 0 lost\n"


@pytest.mark.parametrize("option", [["--stats", "1h"], []])
def test_the_sum_is_printed_when_asked_for_or_when_something_was_lost(
    option: list[str], pretend: type[PretendTracer], capsys: pytest.CaptureFixture[str]
) -> None:
    if not option:
        pretend.ledger = {**LEDGER, "matched": 5, "lost_ring": 2}
    assert main([*option, "-f", "seq"]) == 0
    lost = 0 if option else 2
    identity = IDENTITY if option else IDENTITY.replace("matched 3", "matched 5").replace("lost_ring 0", "lost_ring 2")
    assert capsys.readouterr().err == f"rawtp: 3 events delivered, {lost} lost\n{identity}{BESIDE}"


def test_count_is_exact(pretend: type[PretendTracer], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "2"]) == 0
    assert pretend.waits == [(2, 3600.0), (1, 3600.0)]
    lines = list(map(json.loads, capsys.readouterr().out.splitlines()))
    assert [line["seq"] for line in lines if line["type"] == "event"] == [1, 2]


@pytest.mark.parametrize(("option", "code"), [([], 0), (["--fail-on-loss"], 3)])
@pytest.mark.parametrize("kind", ["lost_ring", "lost_state", "lost_exits", "missed", "unfollowed"])
def test_fail_on_loss(option: list[str], code: int, kind: str, pretend: type[PretendTracer]) -> None:
    pretend.ledger = {**LEDGER, kind: 1}
    assert main(option) == code


@pytest.mark.parametrize(
    "kind", ["filtered", "pending", "discarded", "unpaired", "name_faults", "truncated", "lost_cgroups"]
)
def test_what_is_no_loss(kind: str, pretend: type[PretendTracer]) -> None:
    pretend.ledger = {**LEDGER, kind: 1, "missed": None}
    assert main(["--fail-on-loss"]) == 0


def test_loss_is_told(pretend: type[PretendTracer], capsys: pytest.CaptureFixture[str]) -> None:
    pretend.lost = 1
    pretend.ledger = {**LEDGER, "matched": 6, "lost_ring": 3, "tail_lost": 2}
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert [line["type"] for line in map(json.loads, out.splitlines())] == [
        *("session", "event", "lost", "event", "event", "lost", "ledger")
    ]
    assert [json.loads(line) for line in out.splitlines() if '"lost","count"' in line] == [
        {"type": "lost", "count": 1, "cpu": 1, "via": "syscall", "seq": 2},
        {"type": "lost", "count": 2, "cpu": None, "via": None, "seq": None},
    ]
    assert err.splitlines()[:3] == [
        "rawtp: lost 1 event",
        "rawtp: lost 2 events at the end",
        "rawtp: 3 events delivered, 3 lost",
    ]


def test_what_is_not_known_is_said() -> None:
    assert summary({**LEDGER, "missed": None}) == ["3 events delivered, 0 lost"]
    assert summary({**LEDGER, "missed": None}, whole=True)[2].startswith("missed unknown, ")


CHECK = ". To see what this host allows, run: {} -m rawtp check"


@pytest.mark.parametrize("uid", [1000, 0])
@pytest.mark.parametrize(
    "error",
    [
        advised(PermissionError, "CAP_BPF\nis missing", "Run it with: sudo python" + CHECK.format("python")),
        advised(lambda text: PermissionError(1, text), "CAP_BPF is missing", CHECK.format("python").removeprefix(". ")),
    ],
)
def test_missing_privilege(
    error: PermissionError, uid: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setattr(rawtp, "Tracer", refusing(error))
    assert main(["-d", "1.5", "-p", " 7 "]) == 1
    python = shlex.quote(sys.executable)
    advice = f". Run it with: sudo {python} -m rawtp -d 1.5 -p ' 7 '" if uid else CHECK.format(python)
    assert capsys.readouterr() == ("", f"rawtp: CAP_BPF is missing{advice}\n")


def test_what_a_broker_refuses_is_no_matter_of_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = PermissionError("a ring has at most 4194304 bytes here, not 8388608")
    vars(error).update(reason=str(error), hint=None, command=None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(rawtp, "Tracer", refusing(error))
    assert main(["--broker", "/run/rawtp.sock", "--ring-bytes", "8MiB"]) == 1
    assert capsys.readouterr() == ("", "rawtp: a ring has at most 4194304 bytes here, not 8388608\n")


def test_a_refused_size_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(rawtp, "Tracer", refusing(ValueError("ring_bytes: 5 is too small")))
    assert main(["--ring-bytes", "5"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "rawtp: error: --ring-bytes: 5 is too small"


def test_what_the_kernel_refuses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    refused = rawtp.LoadError("the kernel refused the program")
    refused.verifier_log = "\n".join(f"line {number}" for number in range(100))
    for error, lines in (
        (refused, ["the kernel refused the program", *(f"line {number}" for number in range(88, 100))]),
        (
            advised(rawtp.UnsupportedKernelError, "no BTF", CHECK.format("python").removeprefix(". ")),
            ["no BTF" + CHECK.format(shlex.quote(sys.executable))],
        ),
        (rawtp.RawtpError("odd"), ["odd"]),
        (OSError(12, "Cannot allocate memory"), ["Cannot allocate memory"]),
    ):
        monkeypatch.setattr(rawtp, "Tracer", refusing(error))
        assert main([]) == 1
        assert capsys.readouterr() == ("", "rawtp: " + "\n".join(lines) + "\n")


def test_names_of_containers_are_looked_up_beside(
    pretend: type[PretendTracer], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Known:
        def __init__(self, find: object) -> None:
            assert find is runtimes.find

        def get(self, container_id: str | None, pod_id: str | None) -> tuple[Names | None, bool]:
            return Names("app", "web-7c9", "shop", None), True

    monkeypatch.setattr("rawtp._containers.cache.NameCache", Known)
    assert main(["-o", "jsonl", "-f", "pid,pod,namespace,image"]) == 0
    # The tracer knows nothing of them.
    assert {*pretend.given["fields"]} == {"pid", "cpu", "seq", "lost", "via", "container_id", "pod_id"}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    events = [line for line in lines if line["type"] == "event"]
    assert events[0] == {"type": "event", "pid": 12345, "pod": "web-7c9", "namespace": "shop", "image": None}
    assert main(["-f", "help"]) == 0
    assert "container_name  The container's name, as its runtime's files have it.\n" in capsys.readouterr().out
