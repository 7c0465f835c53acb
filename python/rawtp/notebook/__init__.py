"""Events as a table and as a chart, for notebooks.

After ``%load_ext rawtp`` a list of events, as :meth:`rawtp.Tracer.get_many` gives it, is shown as a table by itself, as
:class:`rawtp.Batch` and :class:`rawtp.Stats` are anyway. :meth:`rawtp.Tracer.live` is a table that follows what comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp._core import ALL_FIELDS, OPT_IN_FIELDS, Batch
from rawtp.notebook._html import ROWS, Table, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from rawtp._core import Batch
    from rawtp.event import Event
    from rawtp.notebook._chart import Chart

__all__ = ["chart", "load_ipython_extension", "table", "unload_ipython_extension"]

_KEYS = dict.fromkeys((*ALL_FIELDS, *OPT_IN_FIELDS))


def table(events: Sequence[Event] | Batch, rows: int = ROWS, keys: Iterable[str] | None = None) -> Table:
    """Show the first events as a table: HTML in a notebook, text elsewhere. No name in it acts on the page.

    ::

        rawtp.notebook.table(tracer.get_many(), keys=["comm", "argv", "path"])

    Args:
        events: dicts, or a batch.
        rows: how many of them, at least 1.
        keys: the columns. By default those that the command line shows, or all when there are few.

    Raises:
        ValueError: ``rows`` is below 1, or one of ``keys`` is no key of an event.
        TypeError: ``events`` are none.
    """
    if rows < 1:
        raise ValueError(f"rows must be at least 1, not {rows}")
    if isinstance(keys, str):
        raise TypeError("keys must be an iterable of names, not a str")
    names = None if keys is None else list(keys)
    for key in names or ():
        if key not in _KEYS:
            raise ValueError(f"unknown key {key!r}; an event has {', '.join(_KEYS)}")
    if isinstance(events, Batch):
        first: Sequence[Event] = events._dicts(0, rows)
    else:
        first = events[:rows]
        if not all(isinstance(event, dict) for event in first):
            raise TypeError("events must be dicts, as a tracer gives them, or a Batch")
    return Table(first, counted(len(events), rows), names)


def chart(events: Iterable[Event] | Batch, by: str = "comm") -> Chart:
    """Draw the number of events over time, by process: a picture in a notebook.

    It needs matplotlib (``pip install 'rawtp[notebook]'``). ``chart(events).figure`` is matplotlib's, to change or to
    save.

    Args:
        events: dicts, or a batch, with ``ts_ns`` and ``by``. Choose before what shall count: those that failed are
            events, too.
        by: the key whose values get a colour each: the seven that come most often, and one for all others.

    Raises:
        ImportError: there is no matplotlib.
        ValueError: the events have no ``ts_ns``, or no such key.
    """
    from rawtp.notebook._chart import Chart

    return Chart(events, by)


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext rawtp``: show lists of events as tables."""
    ipython.display_formatter.formatters["text/html"].for_type(list, _html_of_list)


def unload_ipython_extension(ipython: Any) -> None:
    """``%unload_ext rawtp``: show them as lists."""
    ipython.display_formatter.formatters["text/html"].pop(list, None)


def _html_of_list(values: list[Any]) -> str | None:
    """``None``, and so what it would be otherwise, for a list of anything else."""
    if not values or not all(type(value) is dict and value and value.keys() <= _KEYS.keys() for value in values):
        return None
    return table(values)._repr_html_()
