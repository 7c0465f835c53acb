"""A cache of lines: what stays the same from event to event is text already, with holes for the rest."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from rawtp.event import Event

VARYING = (
    *("ts_ns", "duration_ns", "seq", "filename", "new_filename", "path", "new_path", "host_path", "real_path"),
    *("new_real_path", "ino", "generation", "size", "mtime_ns", "replaced_ino", "replaced_size"),
)
"""The keys whose values differ from event to event. The others stay while a process does the same thing."""

_MAX_KEPT = 1024  # of at most some 20 KB each


class Templates:
    """Templates for ``%``, cached by the values that are text in them. ``make`` makes one, with ``%s`` for each key of
    :data:`VARYING`."""

    def __init__(self, keys: Sequence[str], make: Callable[[Event], str]) -> None:
        same = [key for key in keys if key not in VARYING]
        varying = [key for key in keys if key in VARYING]
        # itemgetter of a single key gives no tuple: `lost` is added, and cut off again.
        self._same_of: Callable[[Mapping[str, object]], object] = itemgetter(*same, "lost")
        self._varying_of: Callable[[Mapping[str, object]], tuple[Any, ...]] = itemgetter(*varying, "lost", "lost")
        self._make = make
        self._kept: dict[object, str] = {}

    def each(self, events: Iterable[Event]) -> Iterator[tuple[Event, str, tuple[Any, ...]]]:
        """Each event with its template, and with what belongs into the holes."""
        same_of, varying_of, kept = self._same_of, self._varying_of, self._kept
        before: object = None
        template = ""
        for event in events:
            if (same := same_of(event)) != before:
                before = same
                if (found := kept.get(same)) is None:
                    if len(kept) >= _MAX_KEPT:
                        kept.clear()
                    found = kept[same] = self._make(event)
                template = found
            yield event, template, varying_of(event)[:-2]
