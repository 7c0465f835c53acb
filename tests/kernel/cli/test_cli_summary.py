"""--summary on a terminal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import rawtp
from helpers.support import attached_programs, live_hooks, wait_for
from helpers.terminals import COMM, attempt, drawn, terminal

pytestmark = pytest.mark.kernel

PROCESS = f"{COMM} (pid {os.getpid()}, uid {os.getuid()})"
HOSTILE = "[red]x[bold]\x1b[31m\u202e:smile:"
SHOWN = r"[red]x[bold]\x1b[31m\u202e:smile:"


def plain(place: Path) -> list[str]:
    return [
        "by process:",
        f"          3  {PROCESS}",
        "deleted, by directory:",
        f"          2  {place}/{SHOWN}",
        "by result:",
        "          2  delete: ok",
        "          1  delete: ENOENT",
    ]


def summary(
    place: Path, *arguments: str, columns: int = 200, changes: dict[str, str] | None = None
) -> tuple[list[str], bytes]:
    """The screen without the ledger, and what was written, after two deletions and an attempt."""
    hostile = place / HOSTILE
    hostile.mkdir(exist_ok=True)
    with terminal(
        "-q", "--summary", "-c", "3", *arguments, columns=columns, **{"TERM": "xterm", **(changes or {})}
    ) as tty:
        # Nothing is written before the end: the tracer's programs tell that it watches.
        with rawtp.Tracer(fields=rawtp.BASIC_FIELDS) as tracer:
            hooks = live_hooks(tracer)
        wait_for(lambda: attached_programs(tty.process.pid) == hooks, "it watches")
        for name in ("1", "2"):
            (hostile / name).touch()
            (hostile / name).unlink()
        attempt("/nonexistent/x")
        assert tty.press(b"") == 0
    return drawn(tty, columns), tty.written


@pytest.mark.parametrize("arguments", [(), ("--color", "always"), ("--color", "never")])
def test_no_name_acts_on_the_terminal(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    screen, written = summary(tmp_path, *arguments)
    assert screen == plain(tmp_path)
    assert b"\x1b" not in written
