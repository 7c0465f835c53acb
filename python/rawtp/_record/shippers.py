"""The processes that ship what is recorded: started, and started again when they end.

They read the recorder's files like anybody else, so that no receiver can hold the recorder up. Nothing here waits, but
at the very end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_FIRST_S, _MOST_S = 1.0, 60.0
_STEADY_S = 60.0
"""The time after which a process that ends is started again at once."""

_END_S = 7.0
_WRONG_USAGE = 2
_OF_SERVICE = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "STATE_DIRECTORY"}


class _Shipper:
    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.process: subprocess.Popen[bytes] | None = None
        self.started_s = 0.0
        self.next_s = 0.0
        self.delay_s = _FIRST_S
        self.is_given_up = False


class Shippers:
    """Processes of ``rawtp`` with these words. ``say`` writes a line for people."""

    def __init__(self, commands: Sequence[Sequence[str]], say: Callable[[str], None]) -> None:
        self._all = [_Shipper(words) for words in commands]
        self._say = say

    def tick(self, now_s: float) -> None:
        """Start those that do not run, when it is time."""
        for one in self._all:
            if one.process is not None and (code := one.process.poll()) is not None:
                self._ended(one, code, now_s)
            if one.process is None and not one.is_given_up and now_s >= one.next_s:
                self._start(one, now_s)

    def _start(self, one: _Shipper, now_s: float) -> None:
        isolated = ["-I"] if sys.flags.isolated else []
        environment = {name: value for name, value in os.environ.items() if name not in _OF_SERVICE}
        try:
            one.process = subprocess.Popen(  # noqa: S603 - the words are ours
                [sys.executable, *isolated, "-m", "rawtp", *one.words],
                # It ends when this process does, and its standard input with it.
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            self._say(f"{' '.join(one.words[:1])} cannot be started: {error.strerror}")
            one.next_s = now_s + _MOST_S
            return
        one.started_s = now_s

    def _ended(self, one: _Shipper, code: int, now_s: float) -> None:
        assert one.process is not None and one.process.stdin is not None  # noqa: S101, PT018 - for the type checker
        one.process.stdin.close()
        one.process = None
        if now_s - one.started_s >= _STEADY_S:
            one.delay_s = _FIRST_S
        one.next_s = now_s + one.delay_s
        one.delay_s = min(2 * one.delay_s, _MOST_S)
        what = f"the process of {one.words[-2] if len(one.words) > 1 else one.words[0]}"
        how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}"
        one.is_given_up = code == _WRONG_USAGE
        self._say(f"{what} {how}; {'it is not started again' if one.is_given_up else 'it is started again'}")

    def close(self) -> None:
        """End them: what is not acknowledged by then is shipped by the next ones. Takes some seconds at most."""
        running = [one.process for one in self._all if one.process is not None]
        for process in running:
            assert process.stdin is not None  # noqa: S101 - for the type checker
            with suppress(OSError):
                process.stdin.close()
        end_s = time.monotonic() + _END_S
        for process in running:
            try:
                process.wait(max(end_s - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for one in self._all:
            one.process = None
