"""A widget of lines that fit the screen, on one of which the cursor is."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from rawtp.formats.escape import pad, shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events


_THE_TOP = object()
"""What the cursor follows where it stays on the first line, whatever that is."""


class Line(NamedTuple):
    """A line before its text is made, which only those on the screen have."""

    key: object
    """What the line is about: the cursor follows it."""
    text: Callable[[int], str]
    """Gives the text, of at most so many cells, without any character that acts on a terminal."""
    look: str
    """Of :attr:`Lines.COMPONENT_CLASSES`, behind ``lines--``."""


class Lines(Widget, can_focus=True):
    """A header, and lines below it. Texts are drawn as they are: nothing in them is markup."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "lines--header",
        "lines--cursor",
        "lines--busy",
        "lines--quiet",
        "lines--failed",
    }
    DEFAULT_CSS = """
    Lines { height: 1fr; }
    Lines > .lines--header { background: $panel; color: $text; text-style: bold; }
    Lines > .lines--cursor { background: $primary; color: $text; }
    Lines > .lines--quiet { color: $text-muted; }
    Lines > .lines--failed { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False),
        Binding("down,j", "move(1)", "down", show=False),
        Binding("pageup", "page(-1)", "a page up", show=False),
        Binding("pagedown", "page(1)", "a page down", show=False),
        Binding("home", "move(-1000000)", "to the top", show=False),
        Binding("end", "move(1000000)", "to the end", show=False),
    ]

    class HeaderClicked(Message):
        """The header was clicked."""

        def __init__(self, cell: int) -> None:
            self.cell = cell
            super().__init__()

    class LineClicked(Message):
        """The line of the cursor was clicked again."""

    def __init__(self) -> None:
        super().__init__()
        self._header: Callable[[int], str] = lambda cells: ""
        self._lines: Sequence[Line] = ()
        self._instead = ""
        self._cursor = 0
        self._first = 0
        self._followed = _THE_TOP

    @property
    def key(self) -> object:
        """The key of the line that the cursor is on; that of no line where there is none."""
        return self._lines[self._cursor].key if self._lines else _THE_TOP

    def show(self, header: Callable[[int], str], lines: Sequence[Line], instead: str) -> None:
        """Show these lines, or ``instead`` where there are none. The cursor goes with its line, unless it was put on
        the first: there it stays."""
        self._header, self._lines, self._instead = header, lines, instead
        at = 0
        if self._followed is not _THE_TOP:
            at = next((at for at, line in enumerate(lines) if line.key == self._followed), self._cursor)
        self._cursor = max(min(at, len(lines) - 1), 0)
        self.refresh()

    def restart(self) -> None:
        """Put the cursor on the first line."""
        self._cursor = self._first = 0
        self._followed = _THE_TOP

    def go(self, key: object) -> None:
        """Put the cursor on the line with this key, if there is one."""
        for at, line in enumerate(self._lines):
            if line.key == key:
                self._cursor, self._followed = at, key if at else _THE_TOP
                self.refresh()

    def keys(self) -> list[object]:
        """The keys of the lines, from the one behind the cursor's on, around to that one."""
        keys = [line.key for line in self._lines]
        return [*keys[self._cursor + 1 :], *keys[: self._cursor + 1]]

    def render_line(self, y: int) -> Strip:
        """Draw a line."""
        cells = self.size.width
        if y == 0:
            return self._strip(self._header(cells), "header", cells)
        self._scroll()
        at = self._first + y - 1
        if at < len(self._lines):
            line = self._lines[at]
            return self._strip(line.text(cells), "cursor" if at == self._cursor else line.look, cells)
        return self._strip(self._instead if y == 1 and not self._lines else "", "quiet", cells)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._cursor = max(min(self._cursor + by, len(self._lines) - 1), 0)
        self._followed = self.key if self._cursor else _THE_TOP
        self.refresh()

    def action_page(self, by: int) -> None:
        """Move the cursor by so many screens."""
        self.action_move(by * max(self.size.height - 1, 1))

    def on_click(self, event: events.Click) -> None:
        """Sort by a column, or choose a line."""
        if event.y == 0:
            self.post_message(self.HeaderClicked(event.x))
        elif (at := self._first + event.y - 1) < len(self._lines):
            if at == self._cursor:
                self.post_message(self.LineClicked())
            self.action_move(at - self._cursor)

    def on_mouse_scroll_down(self) -> None:
        """Move the cursor by three lines."""
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        """Move the cursor by three lines."""
        self.action_move(-3)

    def _scroll(self) -> None:
        """Have the cursor on the screen."""
        rows = max(self.size.height - 1, 1)
        last = max(len(self._lines) - rows, 0)
        self._first = min(max(self._first, self._cursor - rows + 1), self._cursor, last)

    def _strip(self, text: str, look: str, cells: int) -> Strip:
        style = self.get_component_rich_style(f"lines--{look}")
        # The library has widths of characters of its own, and would cut the line by them.
        return Strip([Segment(pad(shortened(text, cells), cells), style)], cells)
