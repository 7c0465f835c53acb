"""--summary on a terminal: in frames where rich is, and the same without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rawtp
from helpers.support import attached_programs, live_hooks, wait_for
from helpers.terminals import COMM, attempt, drawn, terminal

pytestmark = pytest.mark.kernel

PROCESS = f"{COMM} (pid {os.getpid()}, uid {os.getuid()})"
HOSTILE = "[red]x[bold]\x1b[31m\u202e:smile:"
SHOWN = r"[red]x[bold]\x1b[31m\u202e:smile:"


@pytest.fixture
def without_rich(tmp_path: Path) -> dict[str, str]:
    """An environment whose interpreter finds no rich."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['rich'] = None\n")
    return {"PYTHONPATH": str(tmp_path)}


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


def test_in_frames(tmp_path: Path) -> None:
    pytest.importorskip("rich")
    screen, written = summary(tmp_path)
    path = f"{tmp_path}/{SHOWN}"

    def frame(title: str, *rows: tuple[int, str]) -> list[str]:
        wide = max(len(text) for text in (title, *(text for _, text in rows)))
        return [
            f"╭────────┬─{'─' * wide}─╮",
            f"│ events │ {title:<{wide}} │",
            f"├────────┼─{'─' * wide}─┤",
            *[f"│ {count:>6} │ {text:<{wide}} │" for count, text in rows],
            f"╰────────┴─{'─' * wide}─╯",
        ]

    assert screen == [
        *frame("by process", (3, PROCESS)),
        *frame("deleted, by directory", (2, path)),
        *frame("by result", (2, "delete: ok"), (1, "delete: ENOENT")),
    ]
    assert b"\x1b[1m" in written
    # The only escapes are rich's own.
    assert b"\x1b[31m" not in written


def test_a_long_path_is_wrapped_and_whole(tmp_path: Path) -> None:
    pytest.importorskip("rich")
    place = tmp_path / ("long" * 20)
    place.mkdir()
    screen, _ = summary(place, columns=60)
    assert {len(line) for line in screen} <= set(range(61))
    at = next(number for number, line in enumerate(screen) if "deleted, by directory" in line) + 2
    cells = [line.split("│") for line in screen[at:] if "│" in line]
    wrapped = [
        cell[2].strip() for cell in cells[: next(n for n, cell in enumerate(cells) if cell[1].strip() == "events")]
    ]
    assert "".join(wrapped) == f"{place}/{SHOWN}"
    assert len(wrapped) > 2


def test_without_rich(tmp_path: Path, without_rich: dict[str, str]) -> None:
    screen, written = summary(tmp_path, changes=without_rich)
    assert screen == plain(tmp_path)
    assert b"\x1b" not in written


@pytest.mark.parametrize(("arguments", "changes"), [((), {"NO_COLOR": "1"}), (("--color", "never"), {})])
def test_where_colours_are_refused(tmp_path: Path, arguments: tuple[str, ...], changes: dict[str, str]) -> None:
    screen, written = summary(tmp_path, *arguments, changes=changes)
    assert screen == plain(tmp_path)
    assert b"\x1b" not in written


def test_where_there_are_no_lines_to_draw(tmp_path: Path) -> None:
    pytest.importorskip("rich")
    screen, written = summary(tmp_path, changes={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert screen[1].startswith("| events | by process")
    assert written.isascii()


def test_rich_is_imported_for_frames_only(tmp_path: Path) -> None:
    """Not on a pipe, and never before the end."""
    source = """
import sys
from rawtp import cli
code = cli.main(["-q", "--summary", "-d", "0.2"])
print(code, "rich" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.stdout == "0 False\n"
