"""Tables with frames, for a terminal, where rich is installed. Nothing needs it, and nothing else imports it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rawtp.formats.ansi import no_color

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO


def framed(sections: Iterable[tuple[str, list[tuple[int, str]]]], stream: TextIO) -> str | None:
    """The tables as they fit that terminal; ``None`` where there is no rich.

    Texts are safe for a terminal already. What is in brackets in one is no markup: none is parsed.
    """
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return None
    console = Console(file=stream, width=_width(stream), markup=False, emoji=False, highlight=False)
    with console.capture() as capture:
        for title, rows in sections:
            table = Table(box=box.ROUNDED, header_style="bold", border_style="dim")
            table.add_column("events", justify="right", no_wrap=True)
            table.add_column(Text(title), overflow="fold")
            for count, text in rows:
                table.add_row(Text(str(count)), Text(text))
            console.print(table)
    return capture.get()


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def wanted(stream: TextIO | None, color: str) -> bool:
    """Tell whether frames are wanted: on a terminal, unless colours are refused."""
    if stream is None or not stream.isatty():
        return False
    return color == "always" or (color == "auto" and not no_color())
