"""How far receivers are, by their positions' files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from rawtp._feed.position import parse, slots
from rawtp.formats import ledger
from rawtp.formats.escape import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_BYTES = 16 << 20


def read(directory: str) -> dict[str, dict[str, Any]]:
    """The state of each receiver, by the name of its position. Those that cannot be read are left out.

    ``sink``, ``target`` (str); ``failing`` (str or None): why nothing is taken; ``written_ns`` (int): when that was
    noted; ``counts``: ``records``, ``files``, ``bytes``, ``refused``, ``unshipped``, ``failures`` (int); ``position``.

    Raises:
        OSError: the directory cannot be read.
    """
    try:
        names = sorted(os.listdir(directory))  # noqa: PTH208
    except FileNotFoundError:
        return {}
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        stem = name.removesuffix(".json")
        if stem == name or "." in stem:
            continue
        values = [one for slot in slots(stem) if (one := _read(os.path.join(directory, slot)))]  # noqa: PTH118
        if values:
            found[stem] = max(values, key=lambda one: int(one["beat"]))
    return found


def _read(path: str) -> dict[str, Any] | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:  # noqa: PTH123
            return parse(file.read(_MAX_BYTES))
    except OSError:
        return None


def lines(found: Mapping[str, Mapping[str, Any]], now_ns: int) -> list[str]:
    """The state as text, safe to write to a terminal."""
    shown = []
    for name, one in found.items():
        counts = one["counts"]
        parts = [ledger.counted(counts["records"], "record")]
        if counts["files"]:
            parts.append(ledger.counted(counts["files"], "file"))
        if counts["refused"]:
            parts.append(f"{counts['refused']} refused")
        if counts["unshipped"]:
            parts.append(f"{ledger.events(counts['unshipped'])} not shipped")
        age_s = max(now_ns - one["written_ns"], 0) / 1e9
        shown.append(f"{name}: {printable(one['target'])}: {', '.join(parts)}; position of {age_s:.0f} s ago")
        if one["failing"] is not None:
            shown.append(f"problem: {name} takes nothing: {printable(one['failing'])}")
    return shown or ["nothing is shipped"]
