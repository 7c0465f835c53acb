"""The command line's arguments, messages and exit codes, with a tracer that only pretends."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import rawtp
from rawtp.cli import main
from rawtp.formats.ledger import summary

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
}
IDENTITY = (
    "rawtp: matched 3 = filtered 0 + lost_ring 0 + lost_state 0 + pending 0 + buffered 0 + delivered 3 + discarded 0\n"
)
BESIDE = "rawtp: missed 0, unpaired 0, name_faults 0, truncated 0, lost_exits 0, tail_lost 0\n"


class PretendTracer:
    """Gives one event to the first wait, and keeps two for after its close."""

    ledger = LEDGER
    lost = 0
    given: dict[str, Any]
    waits: list[tuple[int, float]]

    def __init__(self, **given: Any) -> None:
        type(self).given = given
        type(self).waits = []
        self.left = [{"seq": seq, "lost": self.lost if seq == 2 else 0} for seq in (1, 2, 3)]
        self.closed = False

    def __enter__(self) -> PretendTracer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[dict[str, int]]:
        while self.left:
            yield self.left.pop(0)

    def get_many(self, max_events: int, timeout: float) -> list[dict[str, int]]:
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


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[PretendTracer]]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    tracer = type("Tracer", (PretendTracer,), {})
    monkeypatch.setattr(rawtp, "Tracer", tracer)
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
        (["-d", "-1"], "argument -d/--duration: '-1' is not a number of seconds above 0"),
        (["-d", "nan"], "argument -d/--duration: 'nan' is not a number of seconds above 0"),
        (["-d", "inf"], "argument -d/--duration: 'inf' is not a number of seconds above 0"),
        (["-d", "0"], "argument -d/--duration: '0' is not a number of seconds above 0"),
        (["-d", "1m"], "argument -d/--duration: '1m' is not a number of seconds above 0"),
        (["-c", "0"], "argument -c/--count: '0' is not a whole number from 1 up"),
        (["-c", "1.5"], "argument -c/--count: '1.5' is not a whole number from 1 up"),
        (["--ring-bytes", "4M"], "argument --ring-bytes: '4M' is not a whole number from 1 up"),
        (["--queue-bytes", "-1"], "argument --queue-bytes: '-1' is not a whole number from 1 up"),
        (["--coun", "1"], "unrecognized arguments: --coun 1"),
        (["file"], "unrecognized arguments: file"),
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


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-V"]) == 0
    assert capsys.readouterr() == (f"rawtp {rawtp.__version__}\n", "")


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_help_fits_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["--help"]) == 0
    out, err = capsys.readouterr()
    options, examples = out.split("examples:\n")
    assert max(map(len, options.splitlines())) <= columns
    assert "  sudo python -m rawtp -p 1234\n" in examples
    assert err == ""


def test_defaults(pretend: type[PretendTracer]) -> None:
    assert main([]) == 0
    sizes = {"ring_bytes": 4 << 20, "queue_bytes": 64 << 20}
    assert pretend.given == {"syscalls": list(rawtp.DELETE), **sizes}


def test_groups_and_names_of_syscalls(pretend: type[PretendTracer]) -> None:
    main(["-s", "rename, unlinkat,delete"])
    assert pretend.given["syscalls"] == [*rawtp.RENAME, "unlinkat", *rawtp.DELETE]


def test_the_end_shows_what_came_before_it(pretend: type[PretendTracer], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--ring-bytes", "8192", "--queue-bytes", "65536", "-d", "1e300"]) == 0
    assert pretend.given == {"syscalls": list(rawtp.DELETE), "ring_bytes": 8192, "queue_bytes": 65536}
    assert pretend.waits == [(4096, 3600.0), (4096, 3600.0)]
    out, err = capsys.readouterr()
    assert out == '{"seq":1,"lost":0}\n{"seq":2,"lost":0}\n{"seq":3,"lost":0}\n'
    assert err == f"rawtp: 3 events delivered, 0 lost\n{IDENTITY}{BESIDE}"


def test_count_is_exact(pretend: type[PretendTracer], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", "2"]) == 0
    assert pretend.waits == [(2, 3600.0), (1, 3600.0)]
    assert [json.loads(text)["seq"] for text in capsys.readouterr().out.splitlines()] == [1, 2]


@pytest.mark.parametrize(("option", "code"), [([], 0), (["--fail-on-loss"], 3)])
@pytest.mark.parametrize("kind", ["lost_ring", "lost_state", "lost_exits", "missed"])
def test_fail_on_loss(option: list[str], code: int, kind: str, pretend: type[PretendTracer]) -> None:
    pretend.ledger = {**LEDGER, kind: 1}
    assert main(option) == code


@pytest.mark.parametrize("kind", ["filtered", "pending", "discarded", "unpaired", "name_faults", "truncated"])
def test_what_is_no_loss(kind: str, pretend: type[PretendTracer]) -> None:
    pretend.ledger = {**LEDGER, kind: 1, "missed": None}
    assert main(["--fail-on-loss"]) == 0


def test_loss_is_told(pretend: type[PretendTracer], capsys: pytest.CaptureFixture[str]) -> None:
    pretend.lost = 1
    pretend.ledger = {**LEDGER, "matched": 6, "lost_ring": 3, "tail_lost": 2}
    assert main([]) == 0
    assert capsys.readouterr().err.splitlines()[:3] == [
        "rawtp: lost 1 event",
        "rawtp: lost 2 events at the end",
        "rawtp: 3 events delivered, 3 lost",
    ]


def test_what_is_not_known_is_said() -> None:
    assert summary({**LEDGER, "missed": None})[2].startswith("missed unknown, ")


@pytest.mark.parametrize("uid", [1000, 0])
def test_missing_privilege(uid: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("os.geteuid", lambda: uid)
    monkeypatch.setattr(rawtp, "Tracer", refusing(PermissionError("CAP_BPF\nis missing. Run it with: sudo python")))
    assert main(["-d", "1.5", "-p", " 7 "]) == 1
    advice = f". Run it with: sudo {shlex.quote(sys.executable)} -m rawtp -d 1.5 -p ' 7 '" if uid else ""
    assert capsys.readouterr() == ("", f"rawtp: CAP_BPF is missing{advice}\n")


def test_a_refused_size_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(rawtp, "Tracer", refusing(ValueError("ring_bytes: 5 is too small")))
    assert main(["--ring-bytes", "5"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "rawtp: error: ring_bytes: 5 is too small"


def test_what_the_kernel_refuses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    refused = rawtp.LoadError("the kernel refused the program")
    refused.verifier_log = "\n".join(f"line {number}" for number in range(100))
    for error, lines in (
        (refused, ["the kernel refused the program", *(f"line {number}" for number in range(88, 100))]),
        (rawtp.UnsupportedKernelError("no BTF"), ["no BTF"]),
        (rawtp.RawtpError("odd"), ["odd"]),
        (OSError(12, "Cannot allocate memory"), ["Cannot allocate memory"]),
    ):
        monkeypatch.setattr(rawtp, "Tracer", refusing(error))
        assert main([]) == 1
        assert capsys.readouterr() == ("", "rawtp: " + "\n".join(lines) + "\n")
