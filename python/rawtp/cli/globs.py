"""Globs of paths, as the tracer's filter has them, for names that were recorded."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"[*?[{\\]")


def directory(glob: str) -> str:
    """The deepest directory that everything is in which the glob matches."""
    return _SPECIAL.split(glob, maxsplit=1)[0].rpartition("/")[0] or "/"


def compiled(glob: str) -> re.Pattern[str]:
    """An expression that matches what the glob matches, and all below.

    ``*``, ``?`` and ``[a-z]`` match within a name, ``**`` any number of directories, ``{a,b}`` either. A backslash
    takes their meaning away.

    Raises:
        ValueError: the glob is none; the message says where.
    """
    out: list[str] = []
    at, groups = 0, 0
    while at < len(glob):
        char = glob[at]
        if parts := re.compile(r"/\*\*(?=[/,}]|$)").match(glob, at):
            out.append("(?:/.*)?")
            at = parts.end()
            continue
        at += 1
        if char == "*":
            at += len(glob[at:]) - len(glob[at:].lstrip("*"))
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            text, at = _set(glob, at)
            out.append(text)
        elif char == "{":
            out.append("(?:")
            groups += 1
        elif char in ",}" and groups:
            out.append("|" if char == "," else ")")
            groups -= char == "}"
        elif char == "\\":
            if at == len(glob):
                raise ValueError("nothing follows the backslash at its end")
            out.append(re.escape(glob[at]))
            at += 1
        else:
            out.append(re.escape(char))
    if groups:
        raise ValueError("no } closes a { in it")
    return re.compile(f"(?:{''.join(out)})(?:/.*)?", re.DOTALL)


def _set(glob: str, at: int) -> tuple[str, int]:
    """The set whose ``[`` was before ``at``, as an expression; and the place behind it."""
    first = at - 1
    is_negated = glob[at : at + 1] in {"!", "^"}
    at += is_negated
    chars: list[str] = []
    is_first = True
    while True:
        if at >= len(glob):
            raise ValueError(f"no ] closes the [ at character {first}")
        char = glob[at]
        at += 1
        if char == "]" and not is_first:
            break
        is_first = False
        if char == "\\":
            char, at = glob[at : at + 1], at + 1
        if glob[at : at + 1] == "-" and glob[at + 1 : at + 2] not in {"]", ""}:
            high, at = glob[at + 1], at + 2
            if high == "\\":
                high, at = glob[at : at + 1], at + 1
            if not char <= high:
                raise ValueError(f"the range {char}-{high} in the [ at character {first} has nothing in it")
            chars.append(f"{re.escape(char)}-{re.escape(high)}")
        else:
            chars.append(re.escape(char))
    return f"(?!/)[{'^' if is_negated else ''}{''.join(chars)}]", at
