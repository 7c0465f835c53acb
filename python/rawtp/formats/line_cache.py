"""A cache of lines: what stays the same from event to event is text already, with holes for the rest."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from rawtp.event import Event

VARYING = (
    *("ts_ns", "duration_ns", "seq", "filename", "new_filename", "path", "new_path", "host_path", "real_path"),
    "args",
)
"""The keys whose values differ from event to event. The others stay while a process does the same thing."""

OF_FILES = ("new_real_path", "ino", "generation", "size", "mtime_ns", "replaced_ino", "replaced_size")
"""The keys whose values differ from file to file, where they are known at all."""

_MAX_KEPT = 1024  # of at most some 20 KB each


class Templates:
    """Templates for ``%``, cached by the values that are text in them.

    ``make`` makes one of an event, with ``%s`` for each of these keys.
    """

    def __init__(self, keys: Sequence[str], make: Callable[[Event, Container[str]], str]) -> None:
        same = [key for key in keys if key not in VARYING and key not in OF_FILES]
        of_files = [key for key in keys if key in OF_FILES]
        # itemgetter of a single key gives no tuple: `lost` is added, and cut off again.
        self._same_of: Callable[[Mapping[str, object]], object] = itemgetter(*same, "lost")
        self._files_of = itemgetter(*of_files) if of_files else None
        self._no_files = (None,) * len(of_files) if len(of_files) > 1 else None
        self._holes = [[key for key in keys if key in VARYING], [key for key in keys if key in VARYING + OF_FILES]]
        self._varying_of: list[Callable[[Mapping[str, object]], tuple[Any, ...]]] = [
            itemgetter(*holes, "lost", "lost") for holes in self._holes
        ]
        self._make = make
        self._kept: dict[object, str] = {}

    def each(self, events: Iterable[Event]) -> Iterator[tuple[Event, str, list[str], tuple[Any, ...]]]:
        """Each event with its template, the keys that have holes in it, and what belongs into them."""
        same_of, files_of, no_files, kept = self._same_of, self._files_of, self._no_files, self._kept
        before: object = None
        had_files = False
        template = ""
        varying_of, holes = self._varying_of[False], self._holes[False]
        for event in events:
            # Where nothing is known of files, that is text as well.
            has_files = files_of is not None and files_of(event) != no_files
            if (same := same_of(event)) != before or has_files != had_files:
                before, had_files = same, has_files
                varying_of, holes = self._varying_of[has_files], self._holes[has_files]
                if (found := kept.get((same, has_files))) is None:
                    if len(kept) >= _MAX_KEPT:
                        kept.clear()
                    found = kept[same, has_files] = self._make(event, holes)
                template = found
            yield event, template, holes, varying_of(event)[:-2]
