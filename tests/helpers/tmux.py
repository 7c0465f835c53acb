"""A program on a terminal of tmux's, which draws what it writes as a terminal does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.support import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


_ENDED = "ended with "


class Tmux:
    """A window with one program in it, which stays there when the program has ended."""

    def __init__(self, directory: Path) -> None:
        self._start = ["tmux", "-u", "-S", str(directory / "tmux"), "-f", str(directory / "tmux.conf")]
        # The status line would take one of the lines.
        (directory / "tmux.conf").write_text("set -g status off\nset -g default-terminal screen-256color\n")

    def ask(self, *arguments: str) -> str:
        # pytest imports readline, which sets LINES and COLUMNS where only programs that get all as it is see them.
        environment = dict(os.environ)
        return subprocess.check_output([*self._start, *arguments], text=True, encoding="utf-8", env=environment)

    def screen(self) -> list[str]:
        """The lines, without the blanks at their ends."""
        return [line.rstrip() for line in self.ask("capture-pane", "-p").split("\n")]

    def until(self, condition: Callable[[list[str]], bool], act: Callable[[], None] = lambda: None) -> list[str]:
        """The screen, as soon as the condition holds for it."""
        deadline_s = time.monotonic() + HANG_S
        while not condition(screen := self.screen()):
            assert time.monotonic() < deadline_s, screen
            act()
            time.sleep(0.05)
        return screen

    def press(self, *keys: str) -> None:
        """Type these keys, by tmux's names."""
        self.ask("send-keys", *keys)

    def send_signal(self, number: signal.Signals) -> None:
        shell = self.ask("display-message", "-p", "#{pane_pid}").strip()
        [program] = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        os.kill(int(program), number)

    def exit_code(self) -> int:
        """Wait for the program's end."""
        screen = self.until(lambda screen: any(line.startswith(_ENDED) for line in screen))
        return int(next(line for line in screen if line.startswith(_ENDED)).removeprefix(_ENDED))


@contextmanager
def tmux(directory: Path, *command: str, columns: int, lines: int) -> Iterator[Tmux]:
    """A window of this size."""
    if shutil.which("tmux") is None:
        pytest.skip("there is no tmux")
    window = Tmux(directory)
    # tmux 3.3 does not always tell how a program ended.
    script = f'"$@"; echo "{_ENDED}$?"; sleep 1000'
    window.ask("new-session", "-d", "-x", str(columns), "-y", str(lines), "sh", "-c", script, "sh", *command)
    try:
        yield window
    finally:
        window.ask("kill-server")
