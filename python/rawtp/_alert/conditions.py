"""What a rule asks of an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from rawtp._alert.patterns import PathPattern, TextPattern

    Condition = Callable[[Mapping[str, Any]], bool]


def paths(event: Mapping[str, Any]) -> list[str]:
    """The paths that an event is about: of each file the one that the kernel found, else the one that the process
    said."""
    found = []
    for fact, claim in (("real_path", "host_path"), ("new_real_path", "new_path")):
        path = event[fact] or event[claim] or (event["path"] if claim == "host_path" else None)
        # A path whose beginning is not known has no slash there.
        if path is not None and path[:1] == "/":
            found.append(path)
    return found


def is_of_path(patterns: Sequence[PathPattern]) -> Condition:
    """A condition: one of the event's paths matches, or a rename moves a directory above."""

    def holds(event: Mapping[str, Any]) -> bool:
        found = paths(event)
        for pattern in patterns:
            for path in found:
                if pattern.matches(path):
                    return True
            if event["action"] == "rename" and any(pattern.is_below(path) for path in found):
                return True
        return False

    return holds


def is_text(key: str, patterns: Sequence[TextPattern]) -> Condition:
    """A condition: this value of the event is known, and matches."""

    def holds(event: Mapping[str, Any]) -> bool:
        value = event.get(key)
        return value is not None and any(pattern.matches(value) for pattern in patterns)

    return holds


def is_exe(patterns: Sequence[TextPattern]) -> Condition:
    """A condition on the executable, which may have been deleted or replaced since."""

    def holds(event: Mapping[str, Any]) -> bool:
        exe = event["exe"]
        return exe is not None and any(pattern.matches(exe.removesuffix(" (deleted)")) for pattern in patterns)

    return holds


def is_user(ids: frozenset[int]) -> Condition:
    """A condition on the real, effective and file-system user."""
    return lambda event: event["uid"] in ids or event["euid"] in ids or event["fsuid"] in ids


def is_login(ids: frozenset[int]) -> Condition:
    """A condition on the user who logged in."""
    return lambda event: event["auid"] in ids


def is_one_of(key: str, values: frozenset[object]) -> Condition:
    """A condition: this value is one of these."""
    return lambda event: event[key] in values


def is_container(ids: tuple[str, ...]) -> Condition:
    """A condition: in a container whose id begins so; ``"*"`` is any."""
    if "*" in ids:
        return lambda event: event["container_id"] is not None
    return lambda event: (event["container_id"] or "").startswith(ids)


def has_outcome(outcome: str) -> Condition:
    """A condition on the result; one that is not known counts as none that failed."""
    if outcome == "failed":
        return lambda event: event["ret"] is not None and event["ret"] < 0
    return lambda event: event["ret"] is None or event["ret"] >= 0


def has_size(smallest: int, largest: int | None) -> Condition:
    """A condition on the bytes that went: the file's size, that of what a rename replaced, the part that a truncation
    cut off, or the range that was taken. A size that is not known is none."""

    def holds(event: Mapping[str, Any]) -> bool:
        lost = lost_bytes(event)
        return lost is not None and lost >= smallest and (largest is None or lost <= largest)

    return holds


def lost_bytes(event: Mapping[str, Any]) -> int | None:
    """The bytes that went with the event; None where that is not known."""
    size: int | None = event["size"]
    if event["action"] == "rename":
        replaced: int | None = event["replaced_size"]
        return replaced
    if event["action"] == "truncate":
        length = event["length"]
        return None if size is None or length is None else max(size - length, 0)
    if event["action"] in {"punch", "zero", "collapse"}:
        taken: int | None = event["range_length"]
        return taken
    return size


def is_not(condition: Condition) -> Condition:
    """The condition that holds where this one does not."""
    return lambda event: not condition(event)
