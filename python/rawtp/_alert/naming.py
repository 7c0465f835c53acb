"""Names for alerts: of users, and of containers."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from rawtp import _root
from rawtp._containers.cache import NameCache
from rawtp._containers.runtimes import KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from rawtp._alert.alert import Alert
    from rawtp.event import Event

_WAIT_NS = 2_000_000_000
_MAX_WAITING = 4096


def named(alert: Alert, cache: NameCache, root: str = "/") -> Alert:
    """The alert with the names that are known of its event on the host whose root is mounted at ``root``. It may wait
    for files, and for a directory of users."""
    event = alert.event
    if event is None:
        return alert
    names: dict[str, str] = {}
    for key, number in (("user", event["uid"]), ("login", event["auid"])):
        if number is not None and (name := _root.user_name(number, root)):
            names[key] = name
    found = cache.look_up(event["container_id"], event["pod_id"])
    if found is not None:
        names |= {key: value for key, value in found._asdict().items() if value is not None}
    return replace(alert, names=names)


class Naming:
    """Adds containers' names to events, for rules that ask for them.

    An event whose container is not known yet waits for that, two seconds at the most, and so do those behind it.
    ``unnamed`` counts those that went on without.
    """

    def __init__(self, cache: NameCache, max_waiting: int = _MAX_WAITING) -> None:
        self._cache = cache
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[Event, int]] = deque()
        self.unnamed = 0

    def events(self, events: Iterable[Event], now_ns: int) -> list[Event]:
        """Take events; those that can go on."""
        self._waiting += ((event, now_ns) for event in events)
        return list(self._ready(now_ns))

    @property
    def oldest_ns(self) -> int | None:
        """The time of the earliest event that waits."""
        return min((event["ts_ns"] for event, _ in self._waiting), default=None)

    def rest(self) -> list[Event]:
        """Those that wait, as they are."""
        return [self._named(self._waiting.popleft()[0])[0] for _ in range(len(self._waiting))]

    def _ready(self, now_ns: int) -> Iterator[Event]:
        while self._waiting:
            event, since_ns = self._waiting[0]
            named_event, is_known = self._named(event)
            # A clock that was set back makes nobody wait.
            is_over = not 0 <= now_ns - since_ns < _WAIT_NS or len(self._waiting) > self._max_waiting
            if not (is_known or is_over):
                return
            self._waiting.popleft()
            self.unnamed += not is_known
            yield named_event

    def _named(self, event: Event) -> tuple[Event, bool]:
        found, is_known = self._cache.get(event["container_id"], event["pod_id"])
        names: dict[str, Any] = dict.fromkeys(KEYS) if found is None else found._asdict()
        return {**event, **names}, is_known  # type: ignore[typeddict-item]
