"""The cost as data, as a table and as a command, with figures that are made up."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import rawtp
from helpers.errors import advised
from helpers.pages import PAGES
from rawtp import _cost, _options
from rawtp.cli import main
from rawtp.cli.cost import add_parser

NO_TRACEFS = "cannot attach to the tracepoint syscalls/sys_enter_unlinkat: no tracefs"
FOUND = [
    ("bare", (90.0, 1.25, 1.0), (285.0, 4.0, 1.0), 0, 0, None),
    ("empty", (106.0, 2.0, 1.18), (301.0, 5.0, 1.06), 0, 0, None),
    ("guide_raw_tp", (106.5, 2.0, 1.18), (389.0, 6.0, 1.36), 1000, 7, None),
    ("rawtp", (110.0, 3.0, 1.22), (12345.6, 789.0, 43.3), 2000, 0, None),
    ("guide_tracepoint", None, None, 0, 0, NO_TRACEFS),
]
TABLE = f"""\
ns a call                                              getppid: does not match       unlinkat: matches
                                                        median   spread   ratio    median   spread   ratio
nothing attached                                          90.0      1.2   1.00x     285.0      4.0   1.00x
an empty raw_tp/sys_enter                                106.0      2.0   1.18x     301.0      5.0   1.06x
pid, comm, filename from raw_tp/sys_enter                106.5      2.0   1.18x     389.0      6.0   1.36x
the same from tracepoint/syscalls/sys_enter_unlinkat  {NO_TRACEFS}
rawtp with these options                                 110.0      3.0   1.22x   12345.6    789.0  43.30x
7 records of 'guide_raw_tp' found no room: its calls did less work
attached by others meanwhile, and part of every figure: sys_exit, by somebody"""


class PretendCost:
    """Stands in for the extension's function: makes a tracer, as that does, and gives what was found."""

    def __init__(self, others: list[str]) -> None:
        self.others = others
        self.seconds = 0.0

    def __call__(self, seconds: float, make: Callable[[], object]) -> object:
        self.seconds = seconds
        make()
        make()
        return 9, FOUND, self.others


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of every tracer that was made."""
    options: list[dict[str, Any]] = []
    monkeypatch.setattr(_cost, "Tracer", lambda **given: options.append(given))
    monkeypatch.setattr(_cost, "_measure", PretendCost([]))
    return options


def test_table(made: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cost, "_measure", PretendCost(["sys_exit, by somebody"]))
    assert str(rawtp.cost()) == TABLE
    assert made == [{}, {}]


def test_data(made: list[dict[str, Any]]) -> None:
    cost = rawtp.cost(0.5, pid=os.getpid())
    assert cost.rounds == 9
    assert [row.key for row in cost.rows] == ["bare", "empty", "guide_raw_tp", "guide_tracepoint", "rawtp"]
    assert cost["rawtp"].matched == rawtp.CostFigure(ns=12345.6, spread_ns=789.0, ratio=43.3)
    absent = cost["guide_tracepoint"]
    assert (absent.unmatched, absent.matched, absent.reason) == (None, None, NO_TRACEFS)
    assert cost.notes == ("7 records of 'guide_raw_tp' found no room: its calls did less work",)
    with pytest.raises(KeyError, match="guide"):
        cost["guide"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        cost.rounds = 1  # type: ignore[misc]
    assert made == [{"pid": os.getpid()}] * 2


def test_as_dict_is_json(made: list[dict[str, Any]]) -> None:
    dict_ = rawtp.cost().as_dict()
    assert json.loads(json.dumps(dict_)) == dict_
    assert list(dict_) == ["rows", "rounds", "notes"]
    assert dict_["rows"][1] == {
        "key": "empty",
        "name": "an empty raw_tp/sys_enter",
        "unmatched": {"ns": 106.0, "spread_ns": 2.0, "ratio": 1.18},
        "matched": {"ns": 301.0, "spread_ns": 5.0, "ratio": 1.06},
        "records": 0,
        "lost": 0,
        "reason": None,
    }
    assert made


def test_iterators_are_good_for_every_round(made: list[dict[str, Any]]) -> None:
    rawtp.cost(syscalls=iter(rawtp.RENAME), fields=iter(["pid"]), pid=iter([os.getpid()]))
    assert made == [{"syscalls": rawtp.RENAME, "fields": ("pid",), "pid": (os.getpid(),)}] * 2


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"syscalls": ["rename"]}, "unlinkat is none of these syscalls: rawtp, too, passes over it"),
        ({"pid": 1}, "rawtp watches process 1 only: it leaves these calls out, in the kernel"),
        ({"pid": iter([1, 2])}, "rawtp watches processes 1, 2 only: it leaves these calls out, in the kernel"),
    ],
)
def test_what_does_not_match_is_noted(options: dict[str, Any], note: str, made: list[dict[str, Any]]) -> None:
    assert rawtp.cost(**options).notes[0] == note
    assert len(made) == 2


def test_its_options_are_the_tracers() -> None:
    source = inspect.getsource(_options)
    declared = source[source.index("class RunOptions") : source.index("class CountsOptions")]
    names = re.findall(r"^    (\w+): ", declared, re.MULTILINE)
    assert sorted(names) == sorted(re.findall(r"\b([a-z]\w*)=", rawtp.Tracer.__text_signature__ or ""))
    assert names[-2:] == ["pid", "follow"]  # which run does not take


def test_only_who_asks_pays_for_it() -> None:
    source = (
        "import sys, rawtp; print('rawtp._cost' in sys.modules, callable(rawtp.cost), 'rawtp._cost' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False True True\n", "")
    with pytest.raises(AttributeError, match=r"^module 'rawtp' has no attribute 'costs'$"):
        rawtp.costs  # type: ignore[attr-defined]  # noqa: B018


def test_command_shows_the_table(made: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost"]) == 0
    out, err = capsys.readouterr()
    assert out == TABLE[: TABLE.index("attached by others")]
    assert err == ""
    default = {"syscalls": [*rawtp.LOSS], "results": True, "fields": [*rawtp.ALL_FIELDS], "hook": "auto"}
    assert made == [default] * 2


def test_command_takes_options(made: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    command = "cost --json --seconds 1.5 -s rename,unlinkat -f basic,path,pid --no-results -p 7 --hook raw_tp"
    assert main(command.split()) == 0
    assert json.loads(capsys.readouterr().out)["rounds"] == 9
    fields = [*rawtp.BASIC_FIELDS, "path"]
    calls = [*rawtp.RENAME, "unlinkat"]
    assert made[0] == {"syscalls": calls, "results": False, "fields": fields, "pid": [7], "hook": "raw_tp"}
    assert _cost._measure.seconds == 1.5  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--seconds", "0"],
            "argument --seconds: '0' is not a time above 0: seconds, or such as 500ms, 2m, 1h30m or 90d",
        ),
        (
            ["--seconds", "nan"],
            "argument --seconds: 'nan' is not a time above 0: seconds, or such as 500ms, 2m, 1h30m or 90d",
        ),
        (["-s", "delete,"], "argument -s/--syscalls: 'delete,' has an empty name in it"),
        (["-p", "-5"], "argument -p/--pid: '-5' is not a process id"),
        (["-d", "1"], "unrecognized arguments: -d 1"),
    ],
)
def test_command_names_a_wrong_argument(
    arguments: list[str], complaint: str, made: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", *arguments]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"rawtp: error: {complaint}"
    assert made == []


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("unknown syscall\n'x'"), 2, "rawtp: error: unknown syscall 'x'"),
        (OSError(24, "Too many open files"), 1, "rawtp: Too many open files"),
        (rawtp.UnsupportedKernelError("no BTF"), 1, "rawtp: no BTF"),
        (KeyboardInterrupt(), 1, "rawtp: interrupted: there are no figures yet"),
        (
            advised(PermissionError, "CAP_BPF is missing", "Run it with: sudo python"),
            1,
            f"rawtp: CAP_BPF is missing. Run it with: sudo {shlex.quote(sys.executable)} -m rawtp cost --json",
        ),
    ],
)
def test_command_says_why_not(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(rawtp, "cost", refuse)
    assert main(["cost", "--json"]) == code
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[-1]) == ("", message)


def test_every_command_line_of_the_page_parses() -> None:
    commands = re.findall(r"\bcost(?: -\S+| basic)*(?=[`\n])", PAGES["docs/explanation/costs.md"])
    chosen = [add_parser().parse_args(command.split()) for command in commands]
    assert any(command.fields == ["basic"] and command.no_results for command in chosen)


def test_command_helps(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.delenv("SUDO_UID", raising=False)
    assert main(["cost", "--help"]) == 0
    assert f"  {shlex.quote(sys.executable)} -m rawtp cost --fields basic --no-results\n" in capsys.readouterr().out
    assert main(["--help"]) == 0
    assert f"  {shlex.quote(sys.executable)} -m rawtp cost\n" in capsys.readouterr().out
