"""What rows are called, as text that a terminal shows and never obeys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp._top.table import OTHERS
from rawtp.formats.escape import quoted, quoted_name
from rawtp.formats.story import command

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawtp._containers.runtimes import Names
    from rawtp._top.row import Row

    Lookup = Callable[[str | None, str | None], tuple[Names | None, bool]]
    """Gives the names of a container and of its pod by their ids, as far as they are known, at once."""

THE_OTHERS = "(others)"
_SHORT_ID = 12  # as docker shows it
_MAX_ARGUMENTS = 1000  # cells


def comm(row: Row) -> str:
    """The command name of a process."""
    return THE_OTHERS if row.key is OTHERS else quoted_name(row.names[2])


def arguments(row: Row) -> str:
    """The arguments of a process; ``-`` where they are not known. The first is left out where it is only its name."""
    if row.key is OTHERS:
        return ""
    name, argv = row.names[2:]
    if argv is None:
        return "-"
    words = argv[1:] if argv and argv[0].rpartition("/")[2] == name else argv
    return command(words, "", _MAX_ARGUMENTS) if words else ""


def directory(row: Row) -> str:
    """A directory; ``below`` stands before one that has rows of others in it."""
    if row.key is None:
        return "(no whole path)"
    name = quoted_name(str(row.key))
    return f"below {name}" if row.is_tree else name


def container(row: Row, look_up: Lookup) -> str:
    """A container: its name and its pod's where these are known, and its id."""
    if row.key is OTHERS:
        return THE_OTHERS
    if row.key is None:
        return "(no container known)"
    container_id = str(row.key)
    found, _ = look_up(*row.names)
    if found is None:
        return _name(container_id)
    words = [] if found.container_name is None else [_name(found.container_name)]
    if found.pod is not None:
        words.append(_name(f"{found.namespace or '?'}/{found.pod}"))
    return " ".join([*words, _name(container_id[:_SHORT_ID] if words else container_id)])


def unit(row: Row) -> str:
    """A unit of systemd's."""
    if row.key is OTHERS:
        return THE_OTHERS
    return "(no unit known)" if row.key is None else _name(str(row.key))


def _name(text: str) -> str:
    """A name, in quotes where it would read like one of ours."""
    return quoted(text) if text.startswith("(") else quoted_name(text)
