"""``rawtp top``: its arguments, and what it says where it cannot run."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import rawtp
from rawtp._top.model import FIELDS
from rawtp.cli import main, top


def test_without_its_package_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    assert main(["top"]) == 1
    assert capsys.readouterr() == ("", "rawtp: rawtp top needs textual: pip install 'rawtp[tui]'\n")


def test_its_help_needs_no_package(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "textual", None)
    assert main(["top", "--help"]) == 0
    assert "--by {process,directory,container,unit}" in capsys.readouterr().out


def test_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rawtp", "top"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "rawtp: rawtp top needs a terminal, as standard input and standard error\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "user"], "argument --by: invalid choice: 'user'"),
        (["--interval", "0"], "argument --interval: '0' is not a time above 0"),
        (["--follow"], "--follow needs -p/--pid"),
        (["extra"], "unrecognized arguments: extra"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f"rawtp: error: {said}" in err


class Terminal:
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


def test_what_the_tracer_is_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    given: dict[str, Any] = {}

    def tracer(**asked: Any) -> None:
        given.update(asked)
        raise ValueError("no system call is named \x1b")

    monkeypatch.setattr(rawtp, "Tracer", tracer)
    for stream in ("__stdin__", "__stderr__"):
        monkeypatch.setattr(sys, stream, Terminal())
    monkeypatch.setattr("rawtp.cli.stop.Stop.take_signals", lambda _: None)
    monkeypatch.setattr("rawtp.cli.stderr.heed", lambda _: None)
    arguments = ["-s", "delete", "--exclude", "rmdir", "-p", "7,8", "--outcome", "ok", "--ring-bytes", "1MiB"]
    assert main(["top", *arguments]) == 2
    assert capsys.readouterr().err.endswith("rawtp: error: no system call is named \\x1b\n")
    assert given == {
        "syscalls": list(rawtp.DELETE),
        "fields": FIELDS,
        "hook": "auto",
        "when": None,
        "exclude": ["rmdir"],
        "ring_bytes": 1 << 20,
        "queue_bytes": 64 << 20,
        "pid": [7, 8],
        "outcome": "ok",
    }


def test_the_fields_are_events() -> None:
    assert {*FIELDS} <= {*rawtp.ALL_FIELDS}
    assert len(FIELDS) == len({*FIELDS})
    assert top.add_parser().subcommand == "top"
