"""The counts of one row: of a process, a directory, a container, a unit, or of all together."""

from __future__ import annotations

from collections import deque
from heapq import nlargest
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

WINDOW_S = 5
"""The number of seconds that a rate is over, of which the last one may have just begun."""

MAX_RECENT = 32
"""The number of events that a row keeps."""

_NOTHING = (0,) * WINDOW_S

Recent = tuple[int, tuple[object, ...]]
"""The number of an event in the order of the counting, and its values."""


class Row:
    """Events counted in memory that does not grow."""

    __slots__ = ("_counts", "_second", "bytes", "events", "failed", "is_tree", "key", "names", "recent", "unsized")

    def __init__(self, key: object, second: int = 0) -> None:
        self.key = key
        """The identity of the row among those of its table."""
        self.names: tuple[Any, ...] = ()
        """What the row is called, as the latest event says: of a process pid, uid, comm and argv, of a container the
        ids of it and of its pod."""
        self.events = 0
        self.failed = 0
        """Events that failed."""
        self.bytes = 0
        """The content that went, as far as it is known."""
        self.unsized = 0
        """Events of which it is not known how much content went."""
        self.is_tree = False
        """Whether rows of directories below this one were folded into it."""
        self.recent: deque[Recent] = deque(maxlen=MAX_RECENT)
        """The last events, the latest last."""
        self._counts = [0] * WINDOW_S
        self._second = second

    def add(self, second: int, failed: bool, size: int | None) -> None:
        """Count an event of this second (int, of any clock that does not go back). ``size`` is in bytes."""
        if second != self._second:
            self._turn(second)
        self._counts[-1] += 1
        self.events += 1
        self.failed += failed
        if size is None:
            self.unsized += 1
        else:
            self.bytes += size

    def gone(self) -> int | None:
        """The bytes that went; ``None`` where that is known of no event."""
        return None if self.unsized and not self.bytes else self.bytes

    def rate(self, now_s: float, begin_s: float = 0.0) -> float:
        """Events a second, over the last :data:`WINDOW_S` seconds, or since ``begin_s`` if that is later."""
        second = int(now_s)
        if second > self._second:
            self._turn(second)
        total = sum(self._counts)
        return total / max(min(now_s - second + WINDOW_S - 1, now_s - begin_s), 1.0) if total else 0.0

    def is_active(self, second: int) -> bool:
        """Whether an event came within the window that ends with this second."""
        return second - self._second < WINDOW_S and any(self._counts)

    def absorb(self, others: Iterable[Row], second: int) -> None:
        """Count what these rows have counted, too."""
        others = list(others)
        for row in (self, *others):
            if second > row._second:
                row._turn(second)
        for row in others:
            self.events += row.events
            self.failed += row.failed
            self.bytes += row.bytes
            self.unsized += row.unsized
            self._counts = [one + more for one, more in zip(self._counts, row._counts, strict=True)]
        # No number comes twice, so values are never compared.
        latest = nlargest(MAX_RECENT, chain(self.recent, *(row.recent for row in others)))
        self.recent = deque(reversed(latest), MAX_RECENT)

    def copy(self) -> Row:
        """A row with the same counts, which this one's growth does not change."""
        made = Row(self.key)
        made.names, made.is_tree = self.names, self.is_tree
        made.events, made.failed, made.bytes, made.unsized = self.events, self.failed, self.bytes, self.unsized
        made.recent = self.recent.copy()
        made._counts, made._second = self._counts.copy(), self._second
        return made

    def _turn(self, second: int) -> None:
        steps = second - self._second
        self._counts = [*self._counts[steps:], *_NOTHING[:steps]]
        self._second = second
