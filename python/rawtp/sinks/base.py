"""The interface of every sink."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rawtp.event import Event

MAX_WAIT_S = 3600.0
"""The longest wait. 1e300 seconds is a fair wish, but no clock can count it."""


class Sink:
    """Takes the events of a session. This one drops them.

    The calls come in this order: ``begin`` once, ``events`` any number of times, ``lost`` if events were lost after the
    last one, and ``end`` once. Each raises OSError when the sink cannot take what it is given.
    """

    fields: tuple[str, ...] = ()
    """The keys of an event that the sink needs: the tracer must be asked for them."""

    @property
    def wait_s(self) -> float:
        """The longest time in seconds until the next call of ``events``, which may be one with no events."""
        return MAX_WAIT_S

    def begin(self, session: Mapping[str, object]) -> None:
        """Start. ``session`` describes the host and the tracer."""

    def events(self, events: Sequence[Event]) -> None:
        """Take events, in their order; none when no event came for a while."""

    def lost(self, count: int) -> None:
        """Note that this many events were lost after the last one."""

    def end(self, counts: Mapping[str, int | None]) -> None:
        """Finish. ``counts`` is the ledger, final."""
