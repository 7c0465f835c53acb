"""The screen of ``rawtp top``. It looks at the counts once in a while, and never holds the counting up."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Protocol

from textual.app import App
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Footer, Input, Static

from rawtp._top import view as views
from rawtp._top.lines import Line, Lines
from rawtp._top.model import event_of
from rawtp._top.view import Order, View
from rawtp.formats import columns, ledger
from rawtp.formats.escape import quoted, shortened
from rawtp.formats.timestamp import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager
    from typing import Any

    from textual.app import ComposeResult

    from rawtp._top.model import Model
    from rawtp._top.names import Lookup
    from rawtp._top.row import Row

_LOOK_S = 0.1  # how soon the end of the counting is seen


class Source(Protocol):
    """What is counted, as a :class:`rawtp._top.feed.Feed` has it."""

    @property
    def model(self) -> Model:
        """The counts."""

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Is held while they change."""

    @property
    def has_ended(self) -> bool:
        """Whether they change no more."""

    def counts(self) -> Mapping[str, int | None]:
        """The ledger."""


class TopApp(App[None]):
    """Rows of one of the views, or the last events of one of its rows."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Static { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    #title { background: $panel; }
    #ledger { color: $text-muted; }
    #ledger.-lost { color: $text-warning; text-style: bold; }
    Input, Input:focus { display: none; border: none; height: 1; padding: 0; background: $surface; }
    Input.-open, Input.-open:focus { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "view('process')", "by process", show=False),
        Binding("d", "view('directory')", "by directory", show=False),
        Binding("c", "view('container')", "by container", show=False),
        Binding("u", "view('unit')", "by unit", show=False),
        Binding("tab", "next_view(1)", "next view", show=False, priority=True),
        Binding("shift+tab", "next_view(-1)", "previous view", show=False, priority=True),
        Binding("s,greater_than_sign", "sort(1)", "Sort", key_display="s"),
        Binding("less_than_sign", "sort(-1)", "Sort before", show=False),
        Binding("r", "reverse", "Reverse"),
        Binding("f", "ask('filter')", "Filter"),
        Binding("slash", "ask('search')", "Search", key_display="/"),
        Binding("n", "search(1)", "Next", show=False),
        Binding("N", "search(-1)", "Previous", show=False),
        Binding("space", "pause", "Pause"),
        Binding("enter", "open", "Events"),
        Binding("escape", "close", "Back"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(
        self,
        source: Source,
        look_up: Lookup,
        *,
        view: str = "process",
        interval_s: float = 1.0,
        time_of_day: Clock | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._source = source
        self._look_up = look_up
        self._view_name = view
        self._interval_s = interval_s
        self._time_of_day = time_of_day or Clock()
        self._clock = clock
        self._order = Order("RATE/S", True)
        self._filter = self._search = ""
        self._asked = "filter"
        self._is_paused = self._is_typing = False
        self._opened: Row | None = None
        self._back_to: object = None
        self._search_from: object = None
        self._shown, self._shown_s = self._copy()

    def compose(self) -> ComposeResult:
        """The lines from the top to the bottom."""
        yield Static(id="title", markup=False)
        yield Static(id="totals", markup=False)
        yield Lines()
        yield Input(select_on_focus=False)
        yield Static(id="ledger", markup=False)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Begin."""
        self.query_one(Lines).focus()
        self._renew()
        self.set_interval(self._interval_s, self._renew)
        self.set_interval(_LOOK_S, self._end_with_source)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Tell which keys do something now; the others are not in the footer."""
        if action in {"sort", "reverse", "ask", "search", "open"}:
            return self._opened is None and not self._is_typing
        if action == "close":
            return self._opened is not None or self._is_typing or bool(self._filter)
        if action in {"view", "next_view", "pause"}:
            return not self._is_typing
        return True

    def action_view(self, name: str) -> None:
        """Show the rows of another table."""
        self._view_name, self._opened = name, None
        self.query_one(Lines).restart()
        self._renew()
        self.refresh_bindings()

    def action_next_view(self, by: int) -> None:
        """Show the rows of the table that is next to this one."""
        self.action_view(views.VIEWS[(views.VIEWS.index(self._view_name) + by) % len(views.VIEWS)])

    def action_sort(self, by: int) -> None:
        """Sort by the column that is next to this one."""
        titles = [column.title for column in self._view().columns]
        at = titles.index(self._order.column) if self._order.column in titles else 0
        self._sort_by(titles[(at + by) % len(titles)])

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self._order = self._order._replace(is_descending=not self._order.is_descending)
        self._draw()

    def on_lines_header_clicked(self, message: Lines.HeaderClicked) -> None:
        """Sort by a column, or the other way round."""
        if self._opened is not None:
            return
        title = self._view().column_at(message.cell).title
        if title == self._order.column:
            self.action_reverse()
        else:
            self._sort_by(title)

    def on_lines_line_clicked(self) -> None:
        """Open the row."""
        self.action_open()

    def action_pause(self) -> None:
        """Keep what is shown as it is, or go on. The counting goes on in any case."""
        self._is_paused = not self._is_paused
        if self._is_paused:
            # All tables, of the same moment.
            self._shown, self._shown_s = self._copy(views.VIEWS)
            self._draw()
        else:
            self._renew()

    def action_open(self) -> None:
        """Show the last events of the row under the cursor."""
        lines = self.query_one(Lines)
        if self._opened is None and (row := self._shown.tables[self._view_name].get(lines.key)) is not None:
            self._opened = row
            self._back_to = lines.key
            lines.restart()
            self._draw()
            self.refresh_bindings()

    def action_close(self) -> None:
        """Close what was opened last: the text, the row, or the filter."""
        if self._is_typing:
            if self._asked == "filter":
                self._filter = ""
            else:
                self.query_one(Lines).go(self._search_from)
            self._close_entry()
        elif self._opened is not None:
            self._opened = None
            self._draw()
            self.query_one(Lines).go(self._back_to)
        else:
            self._filter = ""
        self._draw()
        self.refresh_bindings()

    def action_ask(self, what: str) -> None:
        """Let the user type a text to filter by, or to search for."""
        entry = self.query_one(Input)
        self._asked, self._search_from = what, self.query_one(Lines).key
        entry.placeholder = f"{what} by a text; Enter keeps it, Escape drops it"
        entry.value = self._filter if what == "filter" else ""
        entry.add_class("-open")
        entry.focus()
        self._is_typing = True
        self.refresh_bindings()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter, or search, with each character."""
        if not self._is_typing:
            return
        if self._asked == "filter":
            self._filter = event.value
            self._draw()
        else:
            # From where it began: what only a part of the text led to is nothing to go on from.
            self.query_one(Lines).go(self._search_from)
            self._search = event.value
            self._find(self._ahead(is_inclusive=True))

    def on_input_submitted(self) -> None:
        """Keep the text."""
        self._close_entry()
        self._draw()

    def action_search(self, by: int) -> None:
        """Go to the next row that has the text, or to the one before."""
        ahead = self._ahead(is_inclusive=False)
        self._find(ahead if by > 0 else ahead[-2::-1])

    def _ahead(self, *, is_inclusive: bool) -> list[object]:
        keys = self.query_one(Lines).keys()
        return [keys[-1], *keys[:-1]] if is_inclusive and keys else keys

    def _find(self, keys: Iterable[object]) -> None:
        view, table, wanted = self._view(), self._shown.tables[self._view_name], self._search.casefold()
        for key in keys if wanted else ():
            row = table.get(key)
            if row is not None and wanted in view.name(row).casefold():
                self.query_one(Lines).go(key)
                return

    def _close_entry(self) -> None:
        self.query_one(Input).remove_class("-open")
        self.query_one(Lines).focus()
        self._is_typing = False
        self.refresh_bindings()

    def _sort_by(self, title: str) -> None:
        column = next(one for one in self._view().columns if one.title == title)
        self._order = Order(title, column.is_number)
        self._draw()

    def _copy(self, names: Iterable[str] | None = None) -> tuple[Model, float]:
        with self._source.lock:
            return self._source.model.copy(names or (self._view_name,)), self._clock()

    def _renew(self) -> None:
        """Show what is counted by now."""
        if not self._is_paused:
            self._shown, self._shown_s = self._copy()
        self._draw()

    def _end_with_source(self) -> None:
        if self._source.has_ended:
            self.exit()

    def _view(self) -> View:
        return View(self._shown, self._view_name, self._shown_s, self._look_up)

    def _draw(self) -> None:
        self.query_one("#title", Static).update(self._title())
        self.query_one("#totals", Static).update(Content(self._totals()))
        self._draw_ledger()
        if self._opened is None:
            self._draw_rows()
        else:
            self._draw_events(self._opened)

    def _draw_rows(self) -> None:
        view = self._view()
        lines = [
            Line(
                row.key,
                partial(view.line, row),
                "busy" if row.is_active(int(self._shown_s)) else "quiet",
            )
            for row in view.rows(self._order, self._filter)
        ]
        instead = "no row has this text in it" if self._filter else "nothing yet"
        self.query_one(Lines).show(partial(view.header, self._order), lines, instead)

    def _draw_events(self, opened: Row) -> None:
        # Where the row was folded meanwhile, its events stay as they were.
        row = self._shown.tables[self._view_name].get(opened.key) or opened
        self._opened = row

        def text(event: Any, cells: int) -> str:
            return columns.row(event, self._time_of_day, cells)

        lines = []
        for recent in reversed(row.recent):
            event = event_of(recent)
            failed = event["ret"] is not None and event["ret"] < 0
            lines.append(Line(recent[0], partial(text, event), "failed" if failed else "busy"))
        self.query_one(Lines).show(columns.header, lines, "no events")

    def _title(self) -> Content:
        if self._opened is not None:
            start = f"last {ledger.events(len(self._opened.recent))} of {self._view_name} "
            state = " paused " if self._is_paused else ""
            name = shortened(self._view().name(self._opened), max(self.size.width - len(start) - len(state) - 1, 8))
            return Content.assemble(start, (name, "bold"), " ", (state, "reverse"))
        parts: list[str | tuple[str, str]] = ["rawtp top"]
        for name in views.VIEWS:
            look = "reverse bold" if name == self._view_name else ""
            parts += ["  ", (name[0], "bold $accent"), (f" {name} ", look)]
        if self._is_paused:
            parts += ["  ", (" paused ", "reverse")]
        return Content.assemble(*parts)

    def _totals(self) -> str:
        total = self._shown.total
        rate = views.figure(views.rate_of(self._shown, total, self._shown_s)) or "0"
        text = f"{ledger.events(total.events)}, {rate} a second, {total.failed} failed, {views.gone(total)} gone"
        if self._is_paused:
            with self._source.lock:
                text += f"; {self._source.model.total.events - total.events} more since"
        if self._filter:
            text += f"; with {quoted(self._filter)}"
        return text

    def _draw_ledger(self) -> None:
        counts = self._source.counts()
        widget = self.query_one("#ledger", Static)
        widget.set_class(ledger.lost_anything(counts), "-lost")
        widget.update(Content(ledger.brief(counts)))
