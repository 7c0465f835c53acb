"""Writes down what containers are called while they are there: next week nothing else knows."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from rawtp._containers import runtimes
from rawtp._containers.table import Table
from rawtp._core import HistoryReader, RawtpError
from rawtp._errors import reason
from rawtp._record.companion import Companion
from rawtp._signals import Blocked

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawtp._containers.runtimes import Names
    from rawtp._containers.table import Ids
    from rawtp._core import Recorder

_LOOK_S = 0.5
_AGAIN_S = (2.0, 10.0, 60.0)
"""When a container's names are looked up again: its runtime, or the kubelet, may write them later."""
_MAX_WAITING = 4096
_CLEAR_UP_S = 86_400.0
_JOIN_S = 5.0


class ContainerNames(Companion):
    """Looks up the names of each container that has events, in a thread of its own, and writes them beside the log.

    ``find`` gives the names for the ids of a container and a pod.
    """

    def __init__(
        self, recorder: Recorder, find: Callable[[str | None, str | None], Names | None] = runtimes.find
    ) -> None:
        self._recorder = recorder
        self._find = find
        self._directory = recorder._open_directory()
        # Made by the thread: whatever becomes of the directory meanwhile, recording begins.
        self._reader: HistoryReader | None = None
        self._table: Table | None = None
        self._waiting: deque[tuple[float, int, Ids, int]] = deque()
        self._cleared_s = float("-inf")
        self._thread = threading.Thread(target=self._run, name="rawtp-names", daemon=True)
        self._end = threading.Event()
        self._said: deque[str] = deque(maxlen=16)
        self._trouble: str | None = None

    def start(self) -> None:
        """Begin to look."""
        with Blocked():  # signals are the main thread's
            self._thread.start()

    def said(self) -> list[str]:
        """What goes wrong."""
        lines = []
        while self._said:
            lines.append(self._said.popleft())
        return lines

    def finish(self) -> list[str]:
        """Look once more."""
        self._end.set()
        self._thread.join(_JOIN_S)
        if not self._thread.is_alive():
            if self._table is None:
                os.close(self._directory)
            else:
                self._table.close()
        return self.said()

    def _run(self) -> None:
        while not self._end.wait(_LOOK_S):
            self._look()
        self._look()

    def _look(self) -> None:
        now_s = time.monotonic()
        trouble = None
        try:
            if self._reader is None:
                self._reader = HistoryReader(f"/proc/self/fd/{self._directory}")
            if self._table is None:
                self._table = Table(self._directory)
            if now_s >= self._cleared_s + _CLEAR_UP_S:
                self._cleared_s = now_s
                self._table.clear_up(self._reader.stats()["first_ns"])
            for ids in self._recorder._new_containers():
                self._name(self._table, ids, time.time_ns(), 0, now_s)
            for _ in range(len(self._waiting)):
                due_s, attempt, ids, seen_ns = self._waiting.popleft()
                if due_s <= now_s:
                    self._name(self._table, ids, seen_ns, attempt, now_s)
                else:
                    self._waiting.append((due_s, attempt, ids, seen_ns))
        except (OSError, RawtpError, ValueError) as error:
            trouble = reason(error)
        if trouble and trouble != self._trouble:
            self._said.append(f"names of containers cannot be written: {trouble}")
        self._trouble = trouble

    def _name(self, table: Table, ids: Ids, seen_ns: int, attempt: int, now_s: float) -> None:
        if attempt < len(_AGAIN_S) and len(self._waiting) < _MAX_WAITING:
            self._waiting.append((now_s + _AGAIN_S[attempt], attempt + 1, ids, seen_ns))
        found = self._find(*ids)
        if found is None and (known := table[ids]) is not None:
            # It may be gone. What it was called then is what it is called.
            found = known.names
        if found is not None:
            table.add(ids, found, seen_ns)
