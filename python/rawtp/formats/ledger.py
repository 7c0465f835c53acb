"""The ledger as text: where every event went."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SHARES = ("filtered", "lost_ring", "lost_state", "pending", "buffered", "delivered", "discarded")
_LOST_EVENTS = ("lost_ring", "lost_state")
# A lost exit leaves an event without its result; a program's missed run, or a process that is not followed, may have
# hidden an event: nobody can know.
_LOST_ANYTHING = (*_LOST_EVENTS, "lost_exits", "missed", "unfollowed")


def lost_anything(counts: Mapping[str, int | None]) -> bool:
    """Tell whether an event, or the result of one, is missing from what was delivered, or may be."""
    return any(counts[name] for name in _LOST_ANYTHING)


def missing(counts: Mapping[str, int | None]) -> int:
    """How many events are missing from what was delivered, or may be."""
    return sum(counts[name] or 0 for name in (*_LOST_ANYTHING, "discarded") if name != "lost_exits")


def summary(counts: Mapping[str, int | None], *, whole: bool = False) -> list[str]:
    """``Stats.as_dict()`` as a line: the outcome.

    ``whole``, or where anything was lost: as three, with the sum that accounts for every event, and the rest.
    """
    outcome = f"{events(counts['delivered'])} delivered, {sum(counts[name] or 0 for name in _LOST_EVENTS)} lost"
    if not whole and not lost_anything(counts):
        return [outcome]
    beside = [name for name in counts if name != "matched" and name not in _SHARES]
    return [outcome, identity(counts), ", ".join(_entry(counts, name) for name in beside)]


def brief(counts: Mapping[str, int | None]) -> str:
    """The outcome as one line, the losses first."""
    lost = sum(counts[name] or 0 for name in _LOST_EVENTS)
    others = [_entry(counts, name) for name in _LOST_ANYTHING if name not in _LOST_EVENTS and counts[name]]
    return ", ".join([f"{events(lost)} lost", *others, f"{counts['delivered']} delivered", _entry(counts, "buffered")])


def identity(counts: Mapping[str, int | None]) -> str:
    """The sum that accounts for every event."""
    return f"{_entry(counts, 'matched')} = {' + '.join(_entry(counts, name) for name in _SHARES)}"


def events(count: int | None) -> str:
    """The count and its noun: ``1 event``, ``2 events``."""
    return counted(count, "event")


def counted(count: int | None, noun: str) -> str:
    """The count and a noun that takes an s: ``1 log``, ``2 logs``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _entry(counts: Mapping[str, int | None], name: str) -> str:
    count = counts[name]
    return f"{name} {'unknown' if count is None else count}"
