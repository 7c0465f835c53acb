"""Events as nested objects, in the words of other people's schemas."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from operator import itemgetter

from rawtp.formats.base import Format
from rawtp.formats.names import FIELDS, PROCESS

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    from rawtp.event import Event

_MAX_KEPT = 1024  # of at most some 20 KB each
_encode = json.JSONEncoder(separators=(",", ":")).encode
_process_of = itemgetter(*PROCESS)


class Documents(Format, ABC):
    """One object a line, and events only. What they have in common is encoded once for each process."""

    fields = FIELDS

    def __init__(self) -> None:
        self._kept: dict[object, str] = {}

    @abstractmethod
    def common(self, event: Event) -> dict[str, object]:
        """What depends on nothing but the keys of :data:`names.PROCESS`."""

    @abstractmethod
    def own(self, event: Event) -> dict[str, object]:
        """The rest, under other keys."""

    def event(self, event: Event) -> str:
        """One event."""
        process = _process_of(event)
        if (common := self._kept.get(process)) is None:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            common = self._kept[process] = _encode(self.common(event))
        return f"{_encode(self.own(event))[:-1]},{common[1:]}\n"
