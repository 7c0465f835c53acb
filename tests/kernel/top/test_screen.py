"""``rawtp top`` on a real terminal: real files in its rows, its keys, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.pages import called
from helpers.terminals import COMM
from helpers.tmux import Tmux, tmux

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel
pytest.importorskip("textual")

HOSTILE = "[red]x\x1b[2J\u202e"
SEEN = r"[red]x\x1b[2J\u202e"
NOTHING_YET = "nothing yet"


@contextmanager
def top(directory: Path, *arguments: str, columns: int = 80, lines: int = 24) -> Iterator[Tmux]:
    """On a terminal, when it counts; it sees only this process's deletions."""
    command = [sys.executable, "-m", "rawtp", "top", "-p", str(os.getpid()), "--interval", "100ms", *arguments]
    with tmux(directory, *command, columns=columns, lines=lines) as window:
        window.until(lambda screen: NOTHING_YET in screen and "q Quit" in screen[lines - 1])
        yield window


def delete(place: Path, *names: str) -> None:
    for name in names:
        (place / name).touch()
        (place / name).unlink()


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (160, 50)])
def test_real_files_in_a_row(tmp_path: Path, columns: int, lines: int) -> None:
    place = tmp_path / HOSTILE
    place.mkdir()
    with top(tmp_path, columns=columns, lines=lines) as window:
        delete(place, "1", "2", "3", HOSTILE)
        with pytest.raises(FileNotFoundError):
            (place / "gone").unlink()
        screen = window.until(lambda screen: any(" 5       1 " in line for line in screen))
        assert len(screen) >= lines
        row = screen[3]
        assert re.match(
            rf" +[\d.]+         5       1 .{{11}} {os.getpid():>7} {os.getuid():>6} {re.escape(COMM)} ", row
        )
        assert screen[1].startswith("5 events, ")
        assert screen[lines - 2].startswith("0 events lost, 5 delivered")
        assert "q Quit" in screen[lines - 1]
        window.press("d")
        screen = window.until(lambda screen: "DIRECTORY" in screen[2])
        assert screen[3][:26].split()[1:] == ["5", "1"]
        # The middle of a long path is left out.
        assert screen[3].endswith(SEEN[-8:])
        window.press("Enter")
        screen = window.until(lambda screen: "ENOENT" in screen[3])
        assert screen[0].startswith("last 5 events of directory ")
        assert screen[3].endswith("gone")
        assert screen[4].endswith(SEEN[-8:])
        assert [line[-1] for line in screen[5:8]] == ["3", "2", "1"]
        window.press("q")
        assert window.exit_code() == 0
        assert "rawtp: 5 events delivered, 0 lost" in window.screen()


def test_a_pause_loses_nothing(tmp_path: Path) -> None:
    with top(tmp_path) as window:
        window.press("Space")
        window.until(lambda screen: "paused" in screen[0])
        delete(tmp_path, *map(str, range(100)))
        screen = window.until(lambda screen: "100 more since" in screen[1])
        assert NOTHING_YET in screen
        window.press("Space")
        window.until(lambda screen: screen[1].startswith("100 events, ") and NOTHING_YET not in screen)
        window.press("C-c")
        assert window.exit_code() == 0
        assert "rawtp: 100 events delivered, 0 lost" in window.screen()


def test_it_follows_the_size(tmp_path: Path) -> None:
    with top(tmp_path) as window:
        window.ask("resize-window", "-x", "140", "-y", "40")
        screen = window.until(lambda screen: len(screen) > 39 and "q Quit" in screen[39])
        assert screen[2].endswith("ARGUMENTS")
        window.press("q")
        assert window.exit_code() == 0


@pytest.mark.parametrize("words", [words for words in called() if words[:1] == ["top"]], ids=" ".join)
def test_the_command_lines_of_the_pages(tmp_path: Path, words: list[str]) -> None:
    command = [sys.executable, "-m", "rawtp", *words]
    with tmux(tmp_path, *command, columns=80, lines=24) as window:
        # The first column is the same in all views.
        screen = window.until(lambda screen: screen[2].startswith(" RATE/S▼ "))
        by = words[words.index("--by") + 1] if "--by" in words else "arguments"
        assert screen[2].endswith(by.upper())
        window.press("q")
        assert window.exit_code() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    with top(tmp_path) as window:
        delete(tmp_path, "x")
        window.until(lambda screen: screen[1].startswith("1 event, "))
        window.send_signal(number)
        assert window.exit_code() == 0
        # The terminal is as it was before.
        assert window.screen()[0] == "rawtp: 1 event delivered, 0 lost"
