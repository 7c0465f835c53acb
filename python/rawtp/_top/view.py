"""Rows as lines of a screen: which columns there are, in which order the rows come, and which of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from rawtp._top import names
from rawtp._top.table import OTHERS
from rawtp.formats.escape import pad, shortened, size, width

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rawtp._top.model import Model
    from rawtp._top.names import Lookup
    from rawtp._top.row import Row

UNKNOWN = "?"
"""A size that is not known."""
_AT_LEAST = "≥ "
_DOWN, _UP = "▼", "▲"


class Column(NamedTuple):
    """A column of a view."""

    title: str
    cells: int
    """How wide it is; 0: as wide as there is room."""
    text: Callable[[Row], str]
    value: Callable[[Row], Any]
    """What rows are sorted by; ``None`` comes last."""
    is_number: bool


class Order(NamedTuple):
    """The column that rows are sorted by, and whether the greatest comes first."""

    column: str
    is_descending: bool


class View:
    """Lines about the rows of one of a model's tables, as of a moment."""

    def __init__(self, model: Model, name: str, now_s: float, look_up: Lookup) -> None:
        self._table = model.tables[name]
        rate = partial(rate_of, model, now_s=now_s)
        self.columns: tuple[Column, ...] = (
            Column("RATE/S", 8, lambda row: figure(rate(row)), rate, True),
            Column("EVENTS", 9, lambda row: str(row.events), lambda row: row.events, True),
            Column("FAILED", 7, lambda row: str(row.failed) if row.failed else "", lambda row: row.failed, True),
            Column("GONE", 11, gone, lambda row: row.gone(), True),
            *_LAST[name](look_up),
        )

    def rows(self, order: Order, text: str = "") -> list[Row]:
        """The rows that have this text in their names, whatever its case, in this order; the others come last.

        An order by a column that this view does not have is that of the first.
        """
        wanted = text.casefold()
        found = [row for row in self._table if wanted in self.name(row).casefold()] if wanted else list(self._table)
        column = next((one for one in self.columns if one.title == order.column), self.columns[0])
        # The second key: those that are equal keep this order.
        found.sort(key=lambda row: (-row.events, self.name(row)))
        known = [row for row in found if column.value(row) is not None]
        known.sort(key=column.value, reverse=order.is_descending)
        found = [*known, *(row for row in found if column.value(row) is None)]
        return found if self._table.others is None else [*found, self._table.others]

    def name(self, row: Row) -> str:
        """What a row is found by: its last columns."""
        return " ".join(column.text(row) for column in self.columns[4:])

    def header(self, order: Order, cells: int) -> str:
        """The titles, with a mark at the one that the order is by."""
        mark = _DOWN if order.is_descending else _UP
        titles = [f"{one.title}{mark}" if one.title == order.column else one.title for one in self.columns]
        return self._line(titles, cells)

    def line(self, row: Row, cells: int) -> str:
        """A row as a line of so many cells, unless the screen is narrower than the numbers."""
        return self._line([column.text(row) for column in self.columns], cells)

    def column_at(self, cell: int) -> Column:
        """The column that a cell of the header is of."""
        for column in self.columns[:-1]:
            if cell <= column.cells:
                return column
            cell -= column.cells + 1
        return self.columns[-1]

    def _line(self, texts: Sequence[str], cells: int) -> str:
        line = ""
        for column, text in zip(self.columns[:-1], texts, strict=False):
            cell = f"{text:>{column.cells}}" if column.is_number else pad(shortened(text, column.cells), column.cells)
            line += f"{cell} "
        line += shortened(texts[-1], max(cells - width(line), 1))
        return line


def rate_of(model: Model, row: Row, now_s: float) -> float:
    """Events a second of a row."""
    return row.rate(now_s, model.begin_s)


def figure(rate: float) -> str:
    """A rate as text; empty for none."""
    if not rate:
        return ""
    return f"{rate:.0f}" if rate >= 100 else f"{rate:.1f}"


def gone(row: Row) -> str:
    """What content went; a size that is not whole says so."""
    known = row.gone()
    if known is None:
        return UNKNOWN
    return f"{_AT_LEAST if row.unsized else ''}{size(known)}"


def _process(_: Lookup) -> tuple[Column, ...]:
    return (
        Column("PID", 7, lambda row: _id(row, 0), lambda row: _number(row, 0), True),
        Column("UID", 6, lambda row: _id(row, 1), lambda row: _number(row, 1), True),
        Column("COMM", 15, names.comm, names.comm, False),
        Column("ARGUMENTS", 0, names.arguments, names.arguments, False),
    )


def _id(row: Row, at: int) -> str:
    return "" if row.key is OTHERS else str(row.names[at])


def _number(row: Row, at: int) -> int:
    return int(row.names[at])


def _container(look_up: Lookup) -> tuple[Column, ...]:
    text = partial(names.container, look_up=look_up)
    return (Column("CONTAINER", 0, text, text, False),)


_LAST: dict[str, Callable[[Lookup], tuple[Column, ...]]] = {
    "process": _process,
    "directory": lambda _: (Column("DIRECTORY", 0, names.directory, names.directory, False),),
    "container": _container,
    "unit": lambda _: (Column("UNIT", 0, names.unit, names.unit, False),),
}
VIEWS = tuple(_LAST)
