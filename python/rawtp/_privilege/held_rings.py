"""Maps of tracers that have ended, as long as their memory is not free."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class HeldRings:
    """Counts the tracers that have ended while somebody still holds one of the maps that were handed out.

    A client can keep its descriptors and mappings, or give them to others. These count like tracers, so that nobody
    gets one ring after another in that way.
    """

    def __init__(self, list_ids: Callable[[], Iterable[int]] | None) -> None:
        self._list_ids = list_ids
        self._users: dict[frozenset[int], int] = {}

    def add(self, maps: frozenset[int], uid: int) -> None:
        """The maps, by their ids, of a tracer of this user that has ended."""
        if self._list_ids is not None and maps:
            self._users[maps] = uid

    def count(self, uid: int) -> tuple[int, int]:
        """Count them, all and this user's."""
        if self._users and self._list_ids is not None:
            try:
                there = set(self._list_ids())
            except OSError:  # keep counting all of them
                pass
            else:
                self._users = {maps: of for maps, of in self._users.items() if not there.isdisjoint(maps)}
        return len(self._users), sum(of == uid for of in self._users.values())
