"""Reads a tracer in a thread of its own, so that neither the counting nor the screen waits for the other."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from rawtp._signals import Blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rawtp._core import Tracer
    from rawtp._top.model import Model

_MAX_EVENTS = 1024  # at a time: the screen waits for no more
_WAIT_S = 0.25


class Feed:
    """Counts all events of a tracer, until that is closed and nothing is left."""

    def __init__(self, tracer: Tracer, model: Model, clock: Callable[[], float] = time.monotonic) -> None:
        self.lock = threading.Lock()
        """Is held while the model changes. Whoever looks at the model holds it."""
        self.model = model
        """The counts."""
        self.failure: Exception | None = None
        """The reason why the counting ended before the tracer was closed, if it did."""
        self._tracer = tracer
        self._clock = clock
        self._thread = threading.Thread(target=self._run, name="rawtp-top", daemon=True)

    @property
    def has_ended(self) -> bool:
        """Whether nothing is counted any more."""
        return not self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        with Blocked():  # signals are the main thread's
            self._thread.start()

    def counts(self) -> Mapping[str, int | None]:
        """The ledger of the tracer, as of now."""
        return self._tracer.stats().as_dict()

    def finish(self) -> None:
        """Close the tracer, and wait until what had come by then is counted."""
        self._tracer.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._count()
        except Exception as error:  # a defect must not end it without a word, or write across the screen
            self.failure = error

    def _count(self) -> None:
        while True:
            try:
                events = self._tracer.get_many(_MAX_EVENTS, _WAIT_S)
            except ValueError:  # closed, and nothing is left
                return
            if events:
                with self.lock:
                    self.model.add(events, self._clock())
