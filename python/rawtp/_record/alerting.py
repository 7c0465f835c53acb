"""Alerts of a recorder: its events, read from the log, compared with rules."""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from rawtp._core import RawtpError
from rawtp._errors import reason
from rawtp._record.companion import Companion
from rawtp._record.follower import Follower
from rawtp._signals import Blocked

if TYPE_CHECKING:
    from typing import Any

    from rawtp._alert.alerts import Alerts
    from rawtp._core import Recorder

_LOOK_S = 0.5  # between looks at what is new
_NICE = 19
_FINISH_S = 5.0
_LAST_LOOK_S = 20.0
_MAX_SAID = 256  # lines between two looks of the service


class Alerting(Companion):
    """Looks at the log when the recorder has acknowledged more, in a thread of its own.

    It has the lowest priority: whatever it costs, the recorder goes first.
    """

    def __init__(self, alerts: Alerts, recorder: Recorder) -> None:
        self._alerts = alerts
        self._status = recorder.status
        session: int = self._status()["session"]
        # By the directory itself, wherever it is moved.
        self._fd = recorder._open_directory()
        self._follower = Follower(f"/proc/self/fd/{self._fd}", session, alerts.fields, session)
        self._thread = threading.Thread(target=self._run, name="rawtp-alerts", daemon=True)
        self._end = threading.Event()
        self._said: deque[str] = deque()
        self._unsaid = 0
        self._acknowledged = 0
        self._lost = 0
        self._trouble: str | None = None
        self._has_forgotten = False

    def start(self) -> None:
        """Begin to look."""
        # Signals are the main thread's.
        with Blocked():
            self._thread.start()

    def said(self) -> list[str]:
        """The alerts, and what goes wrong."""
        lines = []
        with suppress(IndexError):
            while True:
                lines.append(self._said.popleft())
        if self._unsaid:
            lines.append(f"alerts: {self._unsaid} more lines are left out")
            self._unsaid = 0
        return lines

    def counts(self) -> dict[str, Any]:
        """The counts of the alerts."""
        return self._alerts.counts()

    def finish(self) -> list[str]:
        """Look once more, tell what is held back, and wait a while for what is being sent."""
        self._end.set()
        self._thread.join(_LAST_LOOK_S)
        if self._thread.is_alive():
            self._said.append("alerts: the last events were not looked at in time")
            return self.said()
        os.close(self._fd)
        self._say(self._alerts.finish(_FINISH_S))
        self._say(self._alerts.troubles())
        self._said.append(self._alerts.summary())
        return self.said()

    def _say(self, lines: list[str]) -> None:
        room = max(_MAX_SAID - len(self._said), 0)
        self._said += lines[:room]
        self._unsaid += len(lines) - len(lines[:room])

    def _run(self) -> None:
        with suppress(OSError):  # where a sandbox does not let it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while not self._end.wait(_LOOK_S):
            self._look()
        self._look()

    def _look(self) -> None:
        try:
            status = self._status()
            if status["acknowledged"] != self._acknowledged:
                # Before the look: what comes meanwhile is for the next one.
                self._acknowledged = status["acknowledged"]
                for events in self._follower.events(status["through_ns"]):
                    for event in events:
                        # The recorder counts all losses.
                        event["lost"] = 0
                    self._say(self._alerts.events(events))  # type: ignore[arg-type]
            if status["lost"] != self._lost:
                self._say(self._alerts.lost(status["lost"] - self._lost))
                self._lost = status["lost"]
            self._say(self._alerts.events(()))
            trouble = None
        except (OSError, RawtpError) as error:
            trouble = reason(error)
            # It may pass, and what was missed is found then.
            self._acknowledged = -1
        if trouble and trouble != self._trouble:
            self._said.append(f"alerts: the log cannot be read: {trouble}")
        self._trouble = trouble
        self._say(self._alerts.troubles())
        if self._follower.forgot and not self._has_forgotten:
            self._has_forgotten = True
            self._said.append("alerts: so many events came that one of a call that took long may raise none")
