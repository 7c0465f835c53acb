"""Counts events in a sliding window of time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort


class Window:
    """The times of the latest events, until there are enough of them within a window.

    It goes by the events' own times, which may come a little out of order. It keeps ``count`` of them at the most.
    """

    __slots__ = ("_count", "_length_ns", "_times")

    def __init__(self, count: int, length_ns: int) -> None:
        self._count = count
        self._length_ns = length_ns
        self._times: list[int] = []

    def __len__(self) -> int:
        return len(self._times)

    @property
    def first_ns(self) -> int:
        """The time of the earliest event that counts."""
        return self._times[0]

    @property
    def last_ns(self) -> int:
        """The time of the latest event."""
        return self._times[-1]

    def add(self, time_ns: int, now_ns: int) -> bool:
        """Count an event; tell whether there are enough in the window that ends with the latest one.

        What is later than ``now_ns`` counts as of now: else a clock that was set back would leave the window in the
        future, and blind.
        """
        times = self._times
        if times and times[-1] > now_ns:
            at = bisect_right(times, now_ns)
            times[at:] = [now_ns] * (len(times) - at)
        time_ns = min(time_ns, now_ns)
        if not times or time_ns >= times[-1]:
            times.append(time_ns)
        else:
            insort(times, time_ns)
        # The window's beginning does not belong to it.
        del times[: bisect_left(times, times[-1] - self._length_ns + 1)]
        return len(times) >= self._count

    def is_over(self, now_ns: int) -> bool:
        """Tell whether no event of now could be in one window with any that is kept."""
        return not self._times or self._times[-1] + self._length_ns <= now_ns
