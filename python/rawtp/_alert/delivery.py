"""Hands alerts to notifiers, in threads of their own: nobody who reads events waits for them."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from rawtp._alert.notifiers.base import NotifyError
from rawtp._signals import Blocked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rawtp._alert.alert import Alert
    from rawtp._alert.notifiers.base import Notifier

MAX_WAITING = 256
"""The alerts that wait for one notifier. More are dropped, and counted."""
_MAX_SAID = 64


class Delivery:
    """The queue and the threads of one notifier.

    ``prepare`` is called with each alert before it is sent, and may take its time.
    """

    def __init__(
        self, notifier: Notifier, host: str, prepare: Callable[[Alert], Alert], max_waiting: int = MAX_WAITING
    ) -> None:
        self.notifier = notifier
        self.sent = 0
        self.failed = 0
        self.dropped = 0
        self.unsent = 0
        """Alerts that were not sent by the end."""
        self._host = host
        self._prepare = prepare
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[int, Alert]] = deque()
        self._busy: set[int] = set()
        self._taken = 0
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._is_closed = False
        self._said: deque[str] = deque(maxlen=_MAX_SAID)
        self._was_failing = False
        self._put_s = self._done_s = 0.0
        self._threads: list[threading.Thread] = []

    def put(self, alert: Alert, patience_s: float = 0.0) -> None:
        """Have an alert sent, or dropped when too many wait.

        ``patience_s``: wait so long for room, from the last alert that was sent on; not at all after one that failed.
        """
        with self._changed:
            while len(self._waiting) >= self._max_waiting and not (self._is_closed or self._was_failing):
                left_s = max(self._done_s, self._put_s) + patience_s - time.monotonic()
                if left_s <= 0:
                    break
                self._changed.wait(left_s)
            self._taken += 1
            if len(self._waiting) >= self._max_waiting or self._is_closed:
                self.dropped += 1
                if self.dropped == 1:
                    self._say("too many alerts wait: some are dropped, and counted")
                return
            if not self._waiting:
                self._put_s = time.monotonic()
            self._waiting.append((self._taken, alert))
            if len(self._busy) + len(self._waiting) > len(self._threads) < self.notifier.parallel:
                self._start()
            self._changed.notify()

    def pending(self) -> int:
        """Alerts that wait, or are being sent."""
        with self._changed:
            return len(self._waiting) + len(self._busy)

    @property
    def taken(self) -> int:
        """The number of the last alert that came, dropped or not."""
        return self._taken

    def is_done(self, number: int) -> bool:
        """Tell whether nothing waits, or is being sent, of the alerts up to this number."""
        with self._changed:
            first = min(self._busy, default=self._waiting[0][0] if self._waiting else number + 1)
        return first > number

    def said(self) -> list[str]:
        """What there is to tell since the last call."""
        with self._changed:
            lines = list(self._said)
            self._said.clear()
        return lines

    def finish(self, end_s: float) -> None:
        """Wait until all is sent, up to this moment of the monotonic clock; what is left is dropped."""
        with self._changed:
            while self._waiting or self._busy:
                left_s = end_s - time.monotonic()
                if left_s <= 0:
                    break
                self._changed.wait(left_s)
            self._is_closed = True
            self.unsent = len(self._waiting) + len(self._busy)
            self.dropped += len(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        # Commands are killed, and nothing is tried again.
        self._stop.set()

    def join(self, end_s: float) -> None:
        """Wait for the threads, up to this moment."""
        for thread in self._threads:
            thread.join(max(end_s - time.monotonic(), 0.0))

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=f"alert-{self.notifier.name}"[:15], daemon=True)
        # Signals are the main thread's.
        with Blocked():
            thread.start()
        self._threads.append(thread)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._is_closed:
                        return
                    self._changed.wait()
                number, alert = self._waiting.popleft()
                self._busy.add(number)
            failure: str | None = None
            try:
                self.notifier.send(self._prepare(alert), self._host, self._stop)
            except NotifyError as error:
                failure = str(error)
            except Exception as error:  # whatever it is, the others must be told
                failure = f"{type(error).__name__}: {error}"
            with self._changed:
                self._busy.remove(number)
                self._done_s = time.monotonic()
                self._count(failure)
                self._changed.notify_all()

    def _count(self, failure: str | None) -> None:
        if failure is None:
            self.sent += 1
            if self._was_failing:
                self._say("it works again")
        else:
            self.failed += 1
            # The first of a row says why; how many there were is in the counts.
            if not self._was_failing:
                self._say(f"failed: {failure}")
        self._was_failing = failure is not None

    def _say(self, text: str) -> None:
        self._said.append(f"notify.{self.notifier.name}: {text}")


def finish(deliveries: Iterable[Delivery], wait_s: float, grace_s: float = 3.0) -> None:
    """Wait for all of them, so long in all; then end what is left."""
    all_of_them = list(deliveries)
    end_s = time.monotonic() + wait_s
    for delivery in all_of_them:
        delivery.finish(end_s)
    end_s = time.monotonic() + grace_s
    for delivery in all_of_them:
        delivery.join(end_s)
