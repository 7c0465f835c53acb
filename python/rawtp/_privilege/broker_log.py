"""A broker's log: as much of it as one user may cause, and written without ever waiting for its reader."""

from __future__ import annotations

import os
import select
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_S = 60.0
LINES_OF_USER = {"refuse": 10, "grant": 100, "end": 100}
"""The most lines of each kind that a user may cause within a window."""
LINES_OF_ALL = 1000
"""The most lines that all users may cause together: one person can have many user ids (``subuid(5)``)."""
_USERS = 256
"""Users that are told apart within a window; what more users cause is counted together."""
_TEXT_CHARS = 300
_PLURAL = {"refuse": "refusals", "grant": "grants", "end": "ends"}

_QUEUE_LINES = 2000
_CLOSE_S = 2.0


@dataclass
class _User:
    until: float
    lines: Counter[str] = field(default_factory=Counter)
    more: Counter[str] = field(default_factory=Counter)


class UserLog:
    """Lines that users cause: so many of each user and kind, and at the end of the window how many there were more."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        # In the order in which their windows end, since all windows have the same length.
        self._users: dict[int | None, _User] = {}
        self._lines, self._until = 0, 0.0

    def line(self, now: float, uid: int, word: str, text: str) -> None:
        """A line, which begins with this word of :data:`LINES_OF_USER`, or one more of those that are counted."""
        self.tell(now)
        if now >= self._until:
            self._lines, self._until = 0, now + WINDOW_S
        key = uid if uid in self._users or len(self._users) < _USERS else None
        user = self._users.setdefault(key, _User(now + WINDOW_S))
        if user.lines[word] >= LINES_OF_USER[word] or self._lines >= LINES_OF_ALL:
            user.more[word] += 1
            return
        user.lines[word] += 1
        self._lines += 1
        self._write(f"{word} {text}" if len(text) <= _TEXT_CHARS else f"{word} {text[:_TEXT_CHARS]}...")

    def tell(self, now: float) -> None:
        """Tells of the windows that have ended."""
        while self._users and (first := next(iter(self._users.items())))[1].until <= now:
            del self._users[first[0]]
            self._tell(*first)

    def until(self) -> float | None:
        """The end of the first window that has something to tell; ``None`` where none has."""
        return min((user.until for user in self._users.values() if user.more), default=None)

    def close(self) -> None:
        """Tells of all windows."""
        for uid, user in self._users.items():
            self._tell(uid, user)
        self._users.clear()

    def _tell(self, uid: int | None, user: _User) -> None:
        if user.more:
            counts = ", ".join(f"{count:,} more {_PLURAL[word]}" for word, count in user.more.items())
            who = "other users" if uid is None else f"uid {uid}"
            self._write(f"and {counts} of {who} in {WINDOW_S:.0f} s")


class Writer:
    """Writes lines to a descriptor from a thread of its own. A reader who stops holds up nobody; the lines that it
    misses are counted, and it is told how many when it reads on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: deque[tuple[int, str]] = deque()
        """Each with the number of lines that are missing before it."""
        self._missing = 0
        self._is_closed = False
        self._change = threading.Condition()
        # A daemon thread: the interpreter's exit does not wait for a write that never returns.
        self._thread = threading.Thread(target=self._run, name="rawtp-log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Put a line in the queue, or count it as missing where that is full."""
        with self._change:
            if len(self._lines) >= _QUEUE_LINES:
                self._missing += 1
                return
            self._lines.append((self._missing, line))
            self._missing = 0
            self._change.notify()

    def close(self) -> None:
        """Wait until all is written, but not for a reader who has stopped."""
        with self._change:
            self._is_closed = True
            self._change.notify()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        missing = 0
        while True:
            with self._change:
                self._change.wait_for(lambda: self._lines or self._missing or self._is_closed)
                if self._lines:
                    before, line = self._lines.popleft()
                elif self._missing:
                    before, line = self._missing, ""
                    self._missing = 0
                else:
                    return
            missing += before
            text = f"rawtp: {missing:,} lines of this log are missing here: nobody took them\n" if missing else ""
            if self._put(f"{text}rawtp: {line}\n" if line else text):
                missing = 0
            else:
                missing += bool(line)

    def _put(self, text: str) -> bool:
        rest = text.encode("utf-8", "backslashreplace")
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # another process that shares the description has set O_NONBLOCK
                select.select([], [self._descriptor], [])
            except OSError:
                return False
        return True
