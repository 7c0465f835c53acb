"""Events and counts as HTML, for notebooks: pure text.

Names are hostile. Each text is first made visible, as for a terminal, and then escaped: no name becomes a tag, hides,
or turns the line around.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from rawtp.formats import ledger
from rawtp.formats.columns import Columns, paths, result
from rawtp.formats.escape import pad, width
from rawtp.formats.table import cell
from rawtp.formats.timestamp import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from rawtp._core import Batch, Stats

ROWS = 20
"""The number of events that are shown by default."""

_MOST_KEYS = 10  # as many as a page has room for
_SHARES = ("matched", "filtered", "lost_ring", "lost_state", "pending", "buffered", "delivered", "discarded")
# pre: of two names that differ by blanks only, neither looks like the other.
_SHORT = "text-align: left; white-space: pre"
_LONG = "text-align: left; white-space: pre-wrap; overflow-wrap: anywhere"
_NUMBER = "text-align: right"
# Each with a background of its own, so that it can be read on a light page and on a dark one, by whoever shows it.
_FAILURE = "background-color: #b42318; color: #ffffff"
_LOSS = "background-color: #ffd54f; color: #000000"
_MARKED = ("result", "errno")  # in the row of an event that failed
_SHORT_CELLS = 24  # a text of up to this width is never broken


class Table:
    """Events as a table: HTML in a notebook, text elsewhere. Results that are failures are marked.

    Above it stand the caption, the notes, and what was lost, which is marked as well.
    """

    def __init__(
        self,
        events: Sequence[Mapping[str, Any]],
        caption: str,
        keys: Iterable[str] | None = None,
        notes: Sequence[str] = (),
        losses: str = "",
    ) -> None:
        columns = [(key, _plain(key)) for key in keys] if keys is not None else _columns(events[0] if events else {})
        self._titles = [title for title, _ in columns]
        self._rows = [[text(event) for _, text in columns] for event in events]
        self._failed = [(event.get("ret") or 0) < 0 or event.get("errno") is not None for event in events]
        self._lines = [caption, *notes]
        self._losses = losses

    def _repr_html_(self) -> str:
        above = [*map(_line, self._lines), *([_line(self._losses, _LOSS)] if self._losses else [])]
        return as_text("".join([*above, _table(self._titles, self._rows, self._failed)]))

    def __repr__(self) -> str:
        rows = [self._titles, *self._rows]
        widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
        lines = [" ".join(map(pad, row, widths)).rstrip() for row in rows if row]
        return "\n".join([*self._lines, *([self._losses] if self._losses else []), *lines])


def as_text(html: str) -> str:
    """Keep MathJax, which notebooks set ``$x$`` with, from what is in an element."""
    return f'<div class="tex2jax_ignore mathjax_ignore">{html}</div>'


def batch(events: Batch) -> str:
    """Render the first events of a batch."""
    return Table(events._dicts(0, ROWS), counted(len(events), ROWS))._repr_html_()


def counted(count: int, shown: int) -> str:
    """Describe the number of events, and how many of them are shown."""
    return ledger.events(count) + (f", of which the first {shown} are shown" if count > shown else "")


def stats(stats: Stats) -> str:
    """Render the ledger: the sum, and the counters that are no part of it."""
    counts = stats.as_dict()
    lines = []
    for names in (_SHARES, tuple(name for name in counts if name not in _SHARES)):
        cells = ["unknown" if counts[name] is None else str(counts[name]) for name in names]
        lines.append(_table(names, [cells], [False]))
    outcome = _line(ledger.summary(counts)[0], _LOSS if ledger.lost_anything(counts) else "")
    return as_text("".join([outcome, *lines]))


def _columns(event: Mapping[str, Any]) -> list[tuple[str, Callable[[Mapping[str, Any]], str]]]:
    """Titles, and what makes a cell of an event: few keys as they are, of many the ones that the terminal shows."""
    if len(event) <= _MOST_KEYS:
        return [(key, _plain(key)) for key in event]
    columns: list[tuple[str, Callable[[Mapping[str, Any]], str]]] = []
    if "ts_ns" in event:
        clock = Clock()
        columns.append(("time", lambda event: clock.of_day(event["ts_ns"])))
    columns += [(key, _plain(key)) for key in ("pid", "uid", "comm", "action", "syscall") if key in event]
    if event.keys() >= {"ret", "errno"}:
        columns.append(("result", lambda event: result(event["ret"], event["errno"])))
    if event.keys() >= set(Columns.fields):
        columns.append(("path", lambda event: paths(event)))  # type: ignore[arg-type]
    else:
        columns += [(key, _plain(key)) for key in ("filename", "path", "real_path") if key in event]
    return columns


def _plain(key: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda event: cell(event.get(key))


def _table(titles: Sequence[str], rows: Iterable[Iterable[str]], failed: Iterable[bool]) -> str:
    if not titles:
        return ""
    head = "".join(f'<th style="text-align: left">{escape(title)}</th>' for title in titles)
    marks = (dict.fromkeys(_MARKED, _FAILURE) if has_failed else {} for has_failed in failed)
    body = "".join(
        f"<tr>{''.join(_cell(text, mark.get(title, '')) for title, text in zip(titles, row, strict=True))}</tr>"
        for row, mark in zip(rows, marks, strict=True)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str, mark: str) -> str:
    style = _NUMBER if text.isdecimal() else _SHORT if width(text) <= _SHORT_CELLS else _LONG
    return f'<td style="{style}{"; " if mark else ""}{mark}">{escape(text)}</td>'


def _line(text: str, style: str = "") -> str:
    return f'<p style="{style}">{escape(text)}</p>' if style else f"<p>{escape(text)}</p>"
