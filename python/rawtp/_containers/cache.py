"""A cache of containers' names, which a thread of its own fills: who asks never waits."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from rawtp._containers import runtimes
from rawtp._signals import Blocked

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawtp._containers.runtimes import Names

    Key = tuple[str | None, str | None]

MAX_KEPT = 4096
MAX_WAITING = 1024
_FOUND_S = 300.0  # a container's names do not change, but a pod's directory may come later
_NOT_FOUND_S = 5.0


class NameCache:
    """The names of containers by their ids, as far as they have been looked up.

    What was found once stays known when the container is gone, for as long as there is room. ``dropped`` counts
    questions that found none.
    """

    def __init__(
        self,
        find: Callable[[str | None, str | None], Names | None] = runtimes.find,
        clock: Callable[[], float] = time.monotonic,
        *,
        max_kept: int = MAX_KEPT,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self.dropped = 0
        self._find = find
        self._clock = clock
        self._max_kept = max_kept
        self._max_waiting = max_waiting
        self._kept: OrderedDict[Key, tuple[Names | None, float]] = OrderedDict()
        self._waiting: deque[Key] = deque()
        self._asked: set[Key] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def get(self, container_id: str | None, pod_id: str | None) -> tuple[Names | None, bool]:
        """The names, and whether they were looked up. It has them looked up where that is due, and does not wait."""
        if container_id is None and pod_id is None:
            return None, True
        key = (container_id, pod_id)
        with self._changed:
            kept = self._kept.get(key)
            if kept is None or kept[1] <= self._clock():
                self._ask(key)
            if kept is None:
                return None, False
            self._kept.move_to_end(key)
            return kept[0], True

    def look_up(self, container_id: str | None, pod_id: str | None) -> Names | None:
        """The names. It reads files where that is due."""
        if container_id is None and pod_id is None:
            return None
        key = (container_id, pod_id)
        with self._changed:
            kept = self._kept.get(key)
        if kept is not None and kept[1] > self._clock():
            return kept[0]
        return self._keep(key, self._find(*key))

    def _ask(self, key: Key) -> None:
        if key in self._asked:
            return
        if len(self._waiting) >= self._max_waiting:
            self.dropped += 1
            return
        self._asked.add(key)
        self._waiting.append(key)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="rawtp-names", daemon=True)
            with Blocked():  # signals are the main thread's
                self._thread.start()
        self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    self._changed.wait()
                key = self._waiting.popleft()
            try:
                found = self._find(*key)
            except Exception:  # a defect must not end the looking up
                found = None
            self._keep(key, found)

    def _keep(self, key: Key, found: Names | None) -> Names | None:
        with self._changed:
            self._asked.discard(key)
            before = self._kept.pop(key, (None, 0.0))[0]
            # A container that is gone is called what it was called.
            names = found or before
            self._kept[key] = names, self._clock() + (_FOUND_S if found else _NOT_FOUND_S)
            while len(self._kept) > self._max_kept:
                self._kept.popitem(last=False)
            return names
