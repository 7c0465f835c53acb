"""The metrics of a recorder."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rawtp._metrics import families
from rawtp._metrics.publisher import Publisher
from rawtp._record.companion import Companion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from rawtp._core import Recorder, Tracer
    from rawtp._metrics.exposition import Family
    from rawtp._metrics.publisher import Target
    from rawtp._record.heartbeat import Heartbeat


class Metrics(Companion):
    """Publishes the state of a recorder. Whoever reads it asks the recorder, and holds nothing up.

    Raises:
        OSError: nobody can listen there.
    """

    def __init__(
        self,
        where: Target,
        recorder: Recorder,
        tracer: Tracer,
        heartbeat: Heartbeat,
        directory: str,
        alerts: Callable[[], Mapping[str, Any]] | None,
    ) -> None:
        self._recorder = recorder
        self._tracer = tracer
        self._heartbeat = heartbeat
        self._directory = directory
        self._alerts = alerts
        self._publisher = Publisher(where, self._collect)

    @property
    def place(self) -> str:
        """Where the metrics are."""
        return self._publisher.place

    def start(self) -> None:
        """Begin to publish."""
        self._publisher.start()

    def said(self) -> list[str]:
        """What goes wrong."""
        return self._publisher.said()

    def finish(self) -> list[str]:
        """Publish the last state, where that is a file."""
        return self._publisher.finish()

    def _collect(self) -> list[Family]:
        status = self._recorder.status()
        last_s = self._heartbeat.last_s
        age_s = None if last_s is None else max(time.monotonic() - last_s, 0.0)
        found = [
            *families.build(),
            *families.recorder(status, time.time_ns()),
            *families.ledger(self._tracer.stats().as_dict()),
            *families.heartbeat(self._heartbeat.state, age_s, status["heartbeats"]),
            *families.sinks(self._directory),
        ]
        if self._alerts is not None:
            found += families.alerts(self._alerts())
        return found
