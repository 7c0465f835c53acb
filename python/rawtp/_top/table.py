"""Rows in bounded memory: what finds no room is folded, and no count is lost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rawtp._top.row import Row
from rawtp.summary.directories import fold_smallest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeVar

    AnyTable = TypeVar("AnyTable", bound="Table")

MAX_ROWS = 1000

OTHERS = object()
"""The key of the row that rows without room are folded into."""


class Table:
    """Rows by their keys. Of more than ``max_rows`` half, those with least, becomes one: others."""

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        self._max = max(max_rows, 2)
        self._rows: dict[object, Row] = {}
        self._others: Row | None = None

    def __iter__(self) -> Iterator[Row]:
        """The rows, but for the others."""
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def others(self) -> Row | None:
        """The row of what was folded; ``None`` when nothing was."""
        return self._others

    def get(self, key: object) -> Row | None:
        """The row with this key, if it is there."""
        return self._others if key is OTHERS else self._rows.get(key)

    def row(self, key: object, second: int) -> Row:
        """The row with this key, made if need be."""
        row = self._rows.get(key)
        if row is not None:
            return row
        if len(self._rows) >= self._max:
            self._fold(second)
        # The fold may have made this very row.
        return self._rows.setdefault(key, Row(key, second))

    def copy(self: AnyTable) -> AnyTable:
        """A table of the same rows, which this one's growth does not change."""
        made = type(self)(self._max)
        made._rows = {key: row.copy() for key, row in self._rows.items()}
        made._others = self._others and self._others.copy()
        return made

    def _room(self) -> int:
        """The number of rows that a fold leaves."""
        return self._max // 2

    def _fold(self, second: int) -> None:
        # Who is at it now stays, however little that is.
        order = sorted(self._rows.values(), key=lambda row: (row.is_active(second), row.events), reverse=True)
        self._rows = {row.key: row for row in order[: self._room()]}
        if self._others is None:
            self._others = Row(OTHERS)
        self._others.absorb(order[self._room() :], second)


class DirectoryTable(Table):
    """Rows of directories, by their paths. The smallest are folded into a directory above them, which stands for all
    below it then. ``None`` is the key of directories that are not known."""

    def _fold(self, second: int) -> None:
        paths = {str(key): row for key, row in self._rows.items() if key is not None}
        kept = fold_smallest(Counter({path: row.events for path, row in paths.items()}), max(self._room() - 1, 1))
        folded: dict[str, list[Row]] = {}
        for path, row in paths.items():
            above = path
            while above not in kept and above != "/":
                above = above.rpartition("/")[0] or "/"
            if above != path:
                del self._rows[path]
                folded.setdefault(above, []).append(row)
        for above, rows in folded.items():
            tree = self._rows.setdefault(above, Row(above))
            tree.is_tree = True
            tree.absorb(rows, second)
