"""A table in a notebook that follows what is deleted: ``Tracer.live``."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from rawtp.formats import ledger
from rawtp.notebook._html import Table

if TYPE_CHECKING:
    from typing import Any

    from rawtp._core import Tracer
    from rawtp.event import Event

_REFRESH_S = 0.25
_MAX_ROWS = 1000  # a longer table takes long to draw, and is drawn four times a second
_MAX_TAKEN = 65536  # at a time; only the events that are shown become dicts
_RATE_POINTS = 9  # the rate is that of the last two seconds


def live(tracer: Tracer, seconds: float | None, rows: int) -> None:
    """See ``Tracer.live``, which has checked the arguments, but for what only a page limits."""
    if rows > _MAX_ROWS:
        raise ValueError(f"rows must be at most {_MAX_ROWS}, not {rows}")
    display = _display()
    recent: deque[Event] = deque(maxlen=rows)
    taken, handle, text = 0, None, ""
    before = tracer.stats().as_dict()
    begin_s = now_s = shown_s = time.monotonic()
    end_s = begin_s + (math.inf if seconds is None else seconds)
    points = deque([(begin_s, 0)], maxlen=_RATE_POINTS)
    end = None
    with _Interrupt() as interrupt:
        while end is None:
            closed, left_s = tracer.closed, end_s - time.monotonic()
            batch = tracer.to_arrow(max(min(_REFRESH_S, left_s), 0.0), _MAX_TAKEN)
            taken += len(batch)
            recent.extend(batch._dicts(max(len(batch) - rows, 0), rows))
            now_s = time.monotonic()
            if closed and not len(batch):
                end = "the tracer was closed"
            elif left_s <= 0:
                end = "ended"
            elif interrupt.asked:
                end = "interrupted"
            if end is None and handle is not None and now_s < shown_s + _REFRESH_S / 2:
                continue  # the batch was full at once: take more before drawing
            points.append((now_s, taken))
            since_s, since = (begin_s, 0) if end else points[0]
            rate = (taken - since) / max(now_s - since_s, 1e-9)
            state = f"{end} after" if end else "watching; interrupt the kernel to end it:"
            counts = f"{ledger.events(taken)}, {_figure(rate)} a second, {_losses(before, tracer.stats().as_dict())}"
            table = Table(recent, f"{state} {now_s - begin_s:.0f} s: {counts}")
            shown_s = now_s
            if handle is None:
                handle = display(table, display_id=True)
            elif (latest := repr(table)) != text:
                text = latest
                handle.update(table)


def _figure(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"


def _losses(before: dict[str, int | None], now: dict[str, int | None]) -> str:
    """Describe the losses since ``before``."""
    more = {name: (now[name] or 0) - (before[name] or 0) for name in now}
    lost = more["lost_ring"] + more["lost_state"]
    others = [f", {name} {more[name]}" for name in ("missed", "lost_exits", "unfollowed") if more[name]]
    return f"{lost} lost{''.join(others)}"


class _Interrupt:
    """The wish to end. It raises nothing: an exception could fall between the taking of events and their showing.

    A second one does, in case the first finds nobody who listens.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> _Interrupt:
        # Python handles signals in the main thread only; no other thread can be interrupted.
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._on_signal) or signal.default_int_handler
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def _display() -> Any:
    """IPython's function that shows something in place. A terminal cannot, whatever runs in it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if ipython is None or getattr(shell, "kernel", None) is None:
        raise RuntimeError(
            "tracer.live() needs a Jupyter notebook, whose output it draws in place; "
            "in a terminal run: python3 -m rawtp, or iterate over the tracer"
        )
    return ipython.display.display
