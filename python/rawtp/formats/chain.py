"""The processes behind a call, by name, for people: ``rm ← clean.sh ← cron``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rawtp.formats.escape import quoted, quoted_name, shortened, width

if TYPE_CHECKING:
    from collections.abc import Sequence

BY, ASCII_BY = "←", "<-"
"""The arrow from a process to the one that started it."""

_INIT = 1
_INTERPRETER = re.compile(r"-?(?:ba|da|fi|k|z)?sh|(?:lua|node|perl|php|python|ruby)[\d.]*")


def chain(comm: str, ancestors: Sequence[tuple[int, str, Sequence[str] | None]], cells: int, arrow: str = BY) -> str:
    """The process and those that started it, as many as fit into these cells, safe to write to a terminal.

    An interpreter has the name of its script. Neighbours of one name stand once, and the first process of the host is
    left out. An ellipsis says that there are more.
    """
    text = last = _name(comm, arrow)
    for pid, above, argv in ancestors:
        name = _name(_label(above, argv), arrow)
        if pid == _INIT or name == last:
            continue
        if width(text) + width(arrow) + 2 + width(name) > cells:
            return f"{text} …" if width(text) + 2 <= cells else shortened(text, cells)
        text = f"{text} {arrow} {name}"
        last = name
    return shortened(text, cells)


def _label(comm: str, argv: Sequence[str] | None) -> str:
    """What a process is called: its script's name, if it interprets one."""
    if argv and len(argv) > 1 and not argv[1].startswith("-") and _INTERPRETER.fullmatch(_base(argv[0])):
        return _base(argv[1])
    return comm


def _base(path: str) -> str:
    return path.rpartition("/")[2] or path


def _name(name: str, arrow: str) -> str:
    return quoted(name) if arrow in name else quoted_name(name)
