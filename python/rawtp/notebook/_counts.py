"""Counts of system calls as HTML, each row with a bar as long as its share."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rawtp._core import _NATIVE_ABI
from rawtp.formats.counts import LEFT, cells, titles, whole_of
from rawtp.notebook._html import as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawtp.formats.counts import Row

_ROWS = 40
_BAR = "display: inline-block; height: 0.8em; background: #4477aa; width: {:.1f}em"
_WIDEST_EM = 10


def html(rows: Sequence[Row], title: str, notes: Sequence[str], *, has_times: bool, by_process: bool) -> str:
    """A table. Names are escaped twice, as those of events are: no name acts on the page."""
    whole = whole_of(rows, has_times=has_times)
    heads = ["", *titles(has_times=has_times, by_process=by_process)]
    lines = []
    for row in rows[:_ROWS]:
        part = (row.total_ns or 0) if has_times else row.calls
        bar = f'<td><span style="{_BAR.format(_WIDEST_EM * part / whole if whole else 0)}"></span></td>'
        texts = cells(row, whole, _NATIVE_ABI, has_times=has_times, by_process=by_process)
        lines.append(f"<tr>{bar}{''.join(map(_cell, texts, heads[1:]))}</tr>")
    if len(rows) > _ROWS:
        notes = [f"{len(rows) - _ROWS} more rows", *notes]
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    below = "".join(f"<p>{escape(note)}</p>" for note in notes)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return as_text(f"<p>{escape(title)}</p>{table}{below}")


def _cell(text: str, head: str) -> str:
    side = "left" if head in LEFT else "right"
    return f'<td style="text-align: {side}; white-space: pre">{escape(text)}</td>'
