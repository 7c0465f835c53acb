"""Alerts of a recorder: its events, read from its directory, compared with rules."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from rawtp._core import HistoryReader, RawtpError
from rawtp._errors import reason
from rawtp._feed.catalogue import Catalogue
from rawtp._feed.feed import Feed
from rawtp._record.companion import Companion
from rawtp._record.looked_at import LookedAt
from rawtp._signals import Blocked
from rawtp.formats import ledger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rawtp._alert.alerts import Alerts
    from rawtp._core import Recorder

_LOOK_S = 0.5  # between looks at what is new
_NICE = 19
_FINISH_S = 5.0
_LAST_LOOK_S = 20.0
_JOIN_S = 5.0
_MAX_SAID = 256  # lines between two looks of the service
_MAX_EVENTS = 500  # between looks at the clock
_BEHIND = "alerts: the last events were not looked at in time: the next recorder does so"


class Alerting(Companion):
    """Looks at the directory when the recorder has acknowledged more, in a thread of its own.

    It has the lowest priority: whatever it costs, the recorder goes first. Where it has looked is stored, and a
    recorder that comes after a kill goes on there. Recordings without alerts in between are left out.
    """

    def __init__(self, alerts: Alerts, recorder: Recorder) -> None:
        self._alerts = alerts
        self._status = recorder.status
        self._session: int = self._status()["session"]
        # By the directory itself, wherever it is moved.
        self._fd = recorder._open_directory()
        directory = f"/proc/self/fd/{self._fd}"
        self._looked_at = LookedAt(directory, self._session, alerts)
        reader = HistoryReader(directory)
        self._unwatched = {one["session"] for one in reader.sessions() if not _has_alerts(one["info"])}
        self._feed = Feed(
            reader,
            Catalogue(reader, directory),
            self._looked_at.position,
            takes_files=False,
            max_records=_MAX_EVENTS,
            say=lambda text: self._say([f"alerts: {text}"]),
            is_by_time=True,
            wants=self._wants,
        )
        self._thread = threading.Thread(target=self._run, name="rawtp-alerts", daemon=True)
        self._end = threading.Event()
        self._end_s = float("inf")
        self._said: deque[str] = deque()
        self._unsaid = 0
        self._seen: tuple[int, ...] = ()
        self._is_new = True
        self._is_behind = False
        self._lost = 0
        self._trouble: str | None = None
        self._untold: str | None = None
        if self._looked_at.is_damaged:
            self._said.append(
                "alerts: alerts.json is damaged, or of another version: what was recorded before may raise no alert"
            )

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
        self._end_s = time.monotonic() + _LAST_LOOK_S
        self._end.set()
        self._thread.join(_LAST_LOOK_S + _JOIN_S)
        if self._thread.is_alive():
            self._said.append(_BEHIND)
            return self.said()
        if self._is_behind:
            self._said.append(_BEHIND)
        self._say(self._alerts.finish(_FINISH_S))
        self._say(self._alerts.troubles())
        if unsent := self._alerts.unsent:
            self._said.append(
                f"alerts: {ledger.counted(unsent, 'alert')} not sent in time: the next recorder sends them"
            )
        self._looked_at.close(is_told=not unsent)
        os.close(self._fd)
        self._said.append(self._alerts.summary())
        return self.said()

    def _wants(self, session: int) -> bool:
        return session == self._session or (self._looked_at.first_session <= session and session not in self._unwatched)

    def _say(self, lines: list[str]) -> None:
        room = max(_MAX_SAID - len(self._said), 0)
        self._said += lines[:room]
        self._unsaid += len(lines) - len(lines[:room])

    def _run(self) -> None:
        with suppress(OSError):  # where a sandbox does not let it
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while not self._end.wait(_LOOK_S):
            self._look()
        self._is_new = True
        self._look()

    def _look(self) -> None:
        try:
            status = self._status()
            # What is acknowledged is told on the disk a moment later: so there is one more look.
            seen = (status["acknowledged"], status["sealed"], status["expired"], status["quarantined"])
            is_new, self._is_new = seen != self._seen or self._is_new, seen != self._seen
            self._seen = seen
            if is_new:
                self._look_at_new()
            if status["lost"] != self._lost:
                self._say(self._alerts.lost(status["lost"] - self._lost))
                self._lost = status["lost"]
            self._say(self._alerts.events(()))
            self._looked_at.settle()
            trouble = None
        except (OSError, RawtpError) as error:
            trouble = reason(error)
            # It may pass, and what was missed is found then.
            self._is_new = True
        if trouble and trouble != self._trouble:
            self._said.append(f"alerts: the log cannot be read: {trouble}")
        self._trouble = trouble
        if (untold := self._looked_at.trouble) != self._untold:
            self._untold = untold
            if untold:
                self._said.append(f"alerts: their position cannot be stored, and would be lost by a kill: {untold}")
        self._say(self._alerts.troubles())

    def _look_at_new(self) -> None:
        self._feed.refresh()
        self._is_behind = True
        for delivery in self._feed.items():
            if time.monotonic() >= self._end_s:
                return
            self._take(delivery.records)  # type: ignore[union-attr]
            self._looked_at.note()
            self._looked_at.settle()
        self._is_behind = False
        self._looked_at.note()

    def _take(self, records: Sequence[dict[str, Any]]) -> None:
        events = [record for record in records if record["type"] == "event"]
        for event in events:
            # The recorder counts all losses.
            event["lost"] = 0
        self._say(self._alerts.events(events))  # type: ignore[arg-type]
        for record in records:
            if record["type"] == "unshipped":
                self._say(
                    [
                        f"alerts: {record['file']}: {ledger.events(record['count'])} not looked at:"
                        f" the file is {record['reason']}"
                    ]
                )
                self._say(self._alerts.lost(record["count"]))
            elif record["type"] == "loss" and self._is_of_another(record):
                self._say(self._alerts.lost(record["count"]))

    def _is_of_another(self, loss: dict[str, Any]) -> bool:
        """Whether a loss is of an earlier recording. Those of this one are in the recorder's status at once."""
        session = int(loss.get("of") or loss["session"])
        return session != self._session and self._wants(session)


def _has_alerts(info: str) -> bool:
    """Whether a recording was compared with rules; ``info`` is what the journal has of it."""
    try:
        return json.loads(info)["alerts"] is True
    except (ValueError, KeyError, TypeError):
        return False
