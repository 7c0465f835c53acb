"""Reads the events that a recorder has acknowledged, each once, soon after that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp._core import HistoryReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

OVERLAP_NS = 60_000_000_000
"""The longest time from a call's entry to the moment at which its event is found."""
_SHORT_NS = 1_000_000_000  # nearly all calls take less
_DEEP_NS = 30_000_000_000  # between looks for those that do not
MAX_REMEMBERED = 1 << 16
"""The events of that time that are remembered, by their keys."""
_CHUNK = 4096
_NAMES = {
    *("comm", "parent_comm", "exe", "argv", "filename", "new_filename", "path", "new_path", "host_path", "real_path"),
    "new_real_path",
}


class Follower:
    """Gives the events of one session in the order in which they are found.

    A history is asked by the times of calls' entries, and calls end in another order. So it asks for the last second
    again each time, and now and then for the last minute, and remembers what it has given. Where more events came than
    it can remember, it asks for less.
    """

    def __init__(self, directory: str, session: int, columns: Sequence[str], since_ns: int) -> None:
        self._directory = directory
        self._session = session
        # Without the bytes a name that is no UTF-8 would be the text that shows it.
        exact = [f"{name}_bytes" for name in columns if name in _NAMES]
        self._columns = list(dict.fromkeys((*columns, *exact, "ts_ns", "cpu", "seq", "via", "session")))
        self._since_ns = since_ns
        self._seen: dict[tuple[str, int, int], int] = {}
        self._asked_ns = since_ns
        self._deep_ns = since_ns
        self.forgot = False
        """Whether events were too many to remember: a call that took long may have been left out since."""

    def events(self, through_ns: int) -> Iterator[list[dict[str, Any]]]:
        """The events that are new, in lists; ``through_ns``: the recorder has everything up to then.

        Raises:
            OSError: the directory cannot be read.
            RawtpError: a file is damaged; its other files come with the next call.
        """
        reader = HistoryReader(self._directory)
        is_deep = not 0 <= through_ns - self._deep_ns < _DEEP_NS
        since_ns = self._since_ns if is_deep else max(self._since_ns, self._asked_ns - _SHORT_NS)
        for batch in reader.scan(self._columns, since_ns=since_ns):
            for first in range(0, len(batch), _CHUNK):
                found = [event for event in batch._dicts(first, _CHUNK) if self._is_new(event)]
                if found:
                    yield found
        # Not before: after an error the same is asked again.
        self._asked_ns = through_ns
        if is_deep:
            self._deep_ns = through_ns
            self._forget(max(self._since_ns, through_ns - OVERLAP_NS))
        elif len(self._seen) > 2 * MAX_REMEMBERED:
            self._forget(self._since_ns)

    def _is_new(self, event: dict[str, Any]) -> bool:
        if event["session"] != self._session:
            return False
        key = (event["via"], event["cpu"], event["seq"])
        if key in self._seen:
            return False
        self._seen[key] = event["ts_ns"]
        return True

    def _forget(self, since_ns: int) -> None:
        """Forget what is older. What is not asked for again need not be remembered."""
        if len(self._seen) > MAX_REMEMBERED:
            times = sorted(self._seen.values())
            bound_ns = times[-MAX_REMEMBERED // 2] + 1
            if bound_ns > since_ns:
                since_ns = bound_ns
                self.forgot = True
        if since_ns > self._since_ns:
            self._since_ns = since_ns
            self._seen = {key: time_ns for key, time_ns in self._seen.items() if time_ns >= since_ns}
