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

    from rawtp._core import Batch, Tracer
    from rawtp.event import Event

_REFRESH_S = 0.25
_MAX_ROWS = 1000  # a longer table takes long to draw, and is drawn four times a second
_MAX_TAKEN = 65536  # at a time; only the events that are shown become dicts
_RATE_POINTS = 9
_RATE_S = round((_RATE_POINTS - 1) * _REFRESH_S)


def live(tracer: Tracer, seconds: float | None, rows: int) -> None:
    """See ``Tracer.live``, which has checked the arguments, but for what only a page limits."""
    if rows > _MAX_ROWS:
        raise ValueError(f"rows must be at most {_MAX_ROWS}, not {rows}")
    display = _display()
    handle, text = None, ""
    begin_s = shown_s = time.monotonic()
    end_s = begin_s + (math.inf if seconds is None else seconds)
    before = tracer.stats().as_dict()
    tally = Tally(rows)
    points = deque([(begin_s, 0)], maxlen=_RATE_POINTS)
    end = None
    with _Interrupt() as interrupt:
        # No more can have gone by before than were waiting.
        while tally.add(tracer.to_arrow(0, _MAX_TAKEN)) == _MAX_TAKEN and tally.events < (before["buffered"] or 0):
            if interrupt.asked or time.monotonic() >= end_s:
                break
        tally.before = tally.events
        while end is None:
            closed, left_s = tracer.closed, end_s - time.monotonic()
            taken = tally.add(tracer.to_arrow(max(min(_REFRESH_S, left_s), 0.0), _MAX_TAKEN))
            now_s = time.monotonic()
            if closed and not taken:
                end = "the tracer was closed"
            elif left_s <= 0:
                end = "ended"
            elif interrupt.asked:
                end = "interrupted"
            if end is None and handle is not None and now_s < shown_s + _REFRESH_S / 2:
                continue  # the batch was full at once: take more before drawing
            points.append((now_s, tally.since_start))
            since_s, since = points[0]
            rates = [f"{_rate(tally.since_start, now_s - begin_s)} since the start"]
            if end is None and now_s >= begin_s + _RATE_S:
                rates.append(f"{_rate(tally.since_start - since, now_s - since_s)} in the last {_RATE_S} s")
            state = f"{end} after {now_s - begin_s:.0f} s" if end else f"watching for {now_s - begin_s:.0f} s"
            more = {name: (count or 0) - (before[name] or 0) for name, count in tracer.stats().as_dict().items()}
            losses = _losses(more)
            table = Table(
                tally.recent,
                f"{state}: {', '.join([str(tally), *rates, *([] if losses else ['0 lost'])])}",
                notes=[_filters(tracer, more), *([] if end else ["interrupt the kernel to end it"])],
                losses=losses,
            )
            shown_s = now_s
            if handle is None:
                handle = display(table, display_id=True)
            elif (latest := repr(table)) != text:
                text = latest
                handle.update(table)


class Tally:
    """What was taken: the latest events, and the counts of all."""

    def __init__(self, rows: int) -> None:
        self.recent: deque[Event] = deque(maxlen=rows)
        self.events = self.before = 0
        self._failed = self._unknown = 0

    def add(self, batch: Batch) -> int:
        """Take a batch; the number of its events."""
        rows, count = self.recent.maxlen or 0, len(batch)
        self.recent.extend(batch._dicts(max(count - rows, 0), rows))
        self.events += count
        failed, unknown = batch._outcomes() or (0, 0)
        self._failed += failed
        self._unknown += unknown
        return count

    @property
    def since_start(self) -> int:
        """The number of events since the start: those that had waited are not among them."""
        return self.events - self.before

    def __str__(self) -> str:
        parts = [ledger.events(self.events)]
        if self.events > len(self.recent):
            parts[0] += f" (the latest {len(self.recent)} are shown)"
        if self.before:
            parts.append(f"{self.before} of them from before the start")
        if self._failed:
            parts.append(f"{self._failed} failed")
        if self._unknown:
            parts.append(f"{self._unknown} without a known result")
        return ", ".join(parts)


def _rate(events: int, seconds: float) -> str:
    rate = events / max(seconds, 1e-9)
    return f"{rate:,.0f} a second" if rate >= 10 else f"{rate:.1f} a second"


def _filters(tracer: Tracer, more: dict[str, int]) -> str:
    """Describe what the tracer leaves out."""
    asked = f"filter: {tracer._filters}" if tracer._filters else "no filter"
    return f"{asked}; {ledger.counted(more['filtered'], 'other call')} left out" if more["filtered"] > 0 else asked


def _losses(more: dict[str, int]) -> str:
    """Describe the losses; without any, nothing."""
    lost = more["lost_ring"] + more["lost_state"]
    others = [f"{name} {more[name]}" for name in ("missed", "lost_exits", "unfollowed") if more[name]]
    return ", ".join([*([f"{ledger.events(lost)} lost"] if lost else []), *others])


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
