"""Lines of keys, made fast: what does not vary from event to event is text already, with holes for the rest."""

from __future__ import annotations

from operator import itemgetter

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rawtp.event import Event

VARYING = ("ts_ns", "duration_ns", "seq", "filename", "new_filename", "path", "new_path", "host_path")
"""What is another for the next event as a rule. All else stays for as long as a process does the same thing."""

_MAX_KEPT = 1024  # of at most some 20 KB each


class Templates:
    """For ``%``, by what they have in them. ``make`` makes one, with ``%s`` for each key of :data:`VARYING`."""

    def __init__(self, keys: Sequence[str], make: Callable[[Event], str]) -> None:
        same = [key for key in keys if key not in VARYING]
        varying = [key for key in keys if key in VARYING]
        # Of a single key, itemgetter makes no tuple: `lost` is there to be cut off again.
        self._same_of: Callable[[Mapping[str, object]], object] = itemgetter(*same, "lost")
        self._varying_of: Callable[[Mapping[str, object]], tuple[Any, ...]] = itemgetter(*varying, "lost", "lost")
        self._make = make
        self._kept: dict[object, str] = {}
        self._last: tuple[object, str] = (None, "")

    def of(self, event: Event) -> str:
        """The template of this event."""
        same = self._same_of(event)
        if same == self._last[0]:
            return self._last[1]
        if (template := self._kept.get(same)) is None:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            template = self._kept[same] = self._make(event)
        self._last = same, template
        return template

    def varying(self, event: Event) -> tuple[Any, ...]:
        """What belongs into its holes."""
        return self._varying_of(event)[:-2]
