"""Keeps on the disk up to where the alerts of a recorder have looked, so that a kill leaves nothing out."""

from __future__ import annotations

import copy
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from rawtp._errors import reason
from rawtp._feed.position import Position, PositionFile

if TYPE_CHECKING:
    from typing import Any

    from rawtp._alert.alerts import Alerts, Mark

NAME = "alerts"
_WRITE_S = 1.0


class LookedAt:
    """The position of the alerts, in ``alerts.json`` and ``alerts.1.json``.

    The position is stored when nothing is left of what came before it: see :meth:`Alerts.is_done`. So a recorder that
    was killed looks again at all that it has not told. One position at a time waits for that, and the stored one is
    older than the longest window or cool-down by twice its time at most.
    """

    def __init__(self, directory: str, session: int, alerts: Alerts) -> None:
        self._alerts = alerts
        self._file: PositionFile | None = None
        self._waiting: tuple[Mark, dict[str, Any]] | None = None
        self._stored: dict[str, Any] = {}
        self._tried_s = float("-inf")
        self.trouble: str | None = None
        """Why the position is not stored."""
        self.is_damaged = False
        """Whether there was a position that cannot be read."""
        stored = None
        try:
            self._file = PositionFile(directory, NAME)
            stored = self._file.read()
        except OSError as error:
            self.trouble = reason(error)
        except ValueError:
            self.is_damaged = True
        values = stored or {}
        self.first_session: int = int(values.get("first_session", session))
        """The first session that alerts have looked at."""
        self.position = Position(values.get("position"))
        if stored is None:
            # A kill before the first position would leave out all that this recorder has recorded.
            self._write(self.position.to_dict())

    def note(self) -> None:
        """Note where the position is. Called when the events before it were given to the alerts."""
        if self._waiting is None:
            values = self.position.to_dict()
            if values != self._stored:
                self._waiting = self._alerts.mark(), copy.deepcopy(values)

    def settle(self, *, at_once: bool = False) -> None:
        """Store the position that waits, if nothing is left of what came before it: once a second, or ``at_once``."""
        if self._waiting is None or not (at_once or time.monotonic() >= self._tried_s + _WRITE_S):
            return
        mark, values = self._waiting
        if not self._alerts.is_done(mark):
            return
        self._waiting = None
        self._write(values)

    def _write(self, values: dict[str, Any]) -> None:
        self._tried_s = time.monotonic()
        if self._file is None:
            return
        try:
            self._file.write({"first_session": self.first_session, "written_ns": time.time_ns(), "position": values})
        except OSError as error:
            self.trouble = reason(error)
            return
        self._stored, self.trouble = copy.deepcopy(values), None

    def close(self, *, is_told: bool) -> None:
        """Close the files; before that store the last position, if ``is_told``: nothing is left of what came before."""
        if is_told:
            self.settle(at_once=True)
            self.note()
            self.settle(at_once=True)
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None
