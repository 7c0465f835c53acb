"""The names of a call, and what became of its file, in words for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rawtp.formats.escape import quoted, quoted_name, size

if TYPE_CHECKING:
    from rawtp.event import Event

FACT, ASCII_FACT = "→", "=>"
"""The arrow from what the process said to what the kernel did. ``->`` is that of a rename."""
RENAME, EXCHANGE = "->", "<->"
# In a name these would read like marks of ours: an arrow, or parentheses at the end.
_MARK = re.compile(rf"(^| )({FACT}|{ASCII_FACT}|{RENAME}|{EXCHANGE})( |$)| \(.*\)$", re.DOTALL)


def claims_and_facts(event: Event) -> tuple[list[str], list[str], str]:
    """What was said, what is known, and what stands between two of either. What is not known is what was said."""
    said = _path(event["path"], event["path_kind"], event["filename"], event["name_status"])
    known = _real(event["real_path"], said)
    if event["action"] != "rename" and event["new_path"] is None:
        # A call on a descriptor has said nothing.
        return [said] if said != "<fd>" else [], [known], ""
    # The status is that of both names, but one of the paths may be whole where the other is not.
    kind = event["path_kind"] if event["new_path"] else None
    new = _path(event["new_path"], kind, event["new_filename"], event["name_status"])
    joint = f" {EXCHANGE if event['exchange'] else RENAME} "
    # Nor has what is no call.
    return [said, new] if said != "<fd>" else [], [known, _real(event["new_real_path"], new)], joint


def note(event: Event) -> str:
    """What went with the call, if that is known."""
    if event["ret"] is not None and event["ret"] < 0:
        return ""
    if event["replaced"]:
        if event["file_type"] == "directory":
            return "(replaced a directory)"
        links, replaced = event["replaced_nlink"], event["replaced_size"]
        if links is not None and links > 1:
            return f"(replaced 1 of {links} links)"
        return "(replaced a file)" if replaced is None else f"(replaced {size(replaced)})"
    start, length = event["range_start"], event["range_length"]
    if start is not None and length is not None:
        return f"({size(length)} at {size(start)})"
    before, after = event["size"], event["length"]
    return f"({size(before)} -> {size(after)})" if before is not None and after is not None else ""


def gone(event: Event) -> int | None:
    """The bytes of content that the call took away, as far as that is known; None also where it took none away."""
    if event["ret"] is None or event["ret"] < 0:
        return None
    if event["action"] == "rename":
        return event["replaced_size"] if event["replaced_nlink"] == 1 else None
    if event["range_length"] is not None:
        return event["range_length"]
    before, after = event["size"], event["length"]
    if event["action"] == "truncate":
        return before - after if before is not None and after is not None else None
    return before if event["action"] == "delete" and event["nlink"] == 1 else None


def _real(path: str | None, claim: str) -> str:
    return claim if path is None else _name(path)


def _path(path: str | None, kind: str | None, filename: str | None, status: str) -> str:
    whole = path is not None and kind not in {None, "partial"} and status == "ok"
    return _name(path or "") if whole else _filename(filename, status)


def _filename(filename: str | None, name_status: str) -> str:
    if filename is None:
        # "ok" without a name: a call on a descriptor, or on a handle.
        return "<fd>" if name_status == "ok" else f"<{name_status}>"
    return f"{quoted(filename)}<truncated>" if name_status == "truncated" else _name(filename)


def _name(name: str) -> str:
    """A name, in quotes where it holds what reads like a mark of ours."""
    # Nearly all names have none of these, and the expression is slow.
    is_suspect = ">" in name or FACT in name or name.endswith(")")
    return quoted(name) if is_suspect and _MARK.search(name) else quoted_name(name)
