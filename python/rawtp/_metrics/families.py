"""What there is to say: the metric families of a tracer, a recorder, alerts and sinks."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from rawtp._core import __version__
from rawtp._metrics.exposition import Family

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_IN_FLIGHT = ("pending", "buffered")
_MAX_SINKS = 64
_MAX_SINK_BYTES = 16 << 20


def build() -> list[Family]:
    """The version."""
    return [Family("rawtp_build", "info", "The version of rawtp.").add(1, version=__version__)]


def ledger(counts: Mapping[str, int | None]) -> list[Family]:
    """The ledger of a tracer, as :meth:`rawtp.Stats.as_dict` has it."""
    total = Family(
        "rawtp_ledger_events",
        "counter",
        "Events and reports by what became of them. matched is the sum of filtered, lost_ring, lost_state, delivered,"
        " discarded, and rawtp_ledger_in_flight_events.",
    )
    in_flight = Family("rawtp_ledger_in_flight_events", "gauge", "Events on their way to the reader.")
    for name, count in counts.items():
        (in_flight if name in _IN_FLIGHT else total).add(count, entry=name)
    return [total, in_flight]


def recorder(status: Mapping[str, Any], now_ns: int) -> list[Family]:
    """The state of a recorder, as :meth:`rawtp.Recorder.status` has it."""
    events = Family(
        "rawtp_recorder_events",
        "counter",
        "Events by how far they have come: read from the tracer, and of"
        " these acknowledged (on the disk) or dropped (no room on the disk or in memory).",
    )
    for state, key in (("read", "events"), ("acknowledged", "acknowledged"), ("dropped", "dropped")):
        events.add(status[key], state=state)
    files = Family("rawtp_files", "gauge", "Files in the directory: logs, which are not sealed yet, and segments.")
    sizes = Family("rawtp_files_bytes", "gauge", "The size of the logs, and of the segments, in the directory.")
    for kind, count, size in (("log", "wal_files", "wal_bytes"), ("segment", "segments", "segment_bytes")):
        files.add(status[count], kind=kind)
        sizes.add(status[size], kind=kind)
    handled = Family(
        "rawtp_files_handled",
        "counter",
        "Files by what was done: sealed, expired (removed because of age or size), quarantined (damaged).",
    )
    for key in ("sealed", "expired", "quarantined"):
        handled.add(status[key], what=key)
    gauge, counter = _gauge, _counter
    return [
        gauge("rawtp_recorder_running", "1 while the recorder records.", int(status["running"])),
        gauge("rawtp_recorder_start_timestamp_seconds", "When the session began.", status["session"] / 1e9),
        events,
        gauge("rawtp_recorder_waiting_events", "Events in memory, not on the disk yet.", status["in_memory"]),
        counter("rawtp_recorder_lost_events", "Events that are lost, whatever the reason.", status["lost"]),
        counter("rawtp_recorder_gaps", "Stretches of time in which nothing was watched.", status["gaps"]),
        gauge(
            "rawtp_drain_lag_seconds",
            "Everything that happened before this long ago is recorded, or counted as lost.",
            max(now_ns - status["through_ns"], 0) / 1e9,
        ),
        gauge(
            "rawtp_last_acknowledgement_timestamp_seconds",
            "When something was acknowledged last.",
            _seconds(status["last_ack_ns"]),
        ),
        gauge("rawtp_last_event_timestamp_seconds", "The time of the latest event.", _seconds(status["last_event_ns"])),
        files,
        sizes,
        handled,
        counter("rawtp_write_errors", "Attempts to write that failed.", status["errors"]),
        gauge("rawtp_write_failing", "1 while the log cannot be written.", int(status["failing"])),
        counter(
            "rawtp_journal_lines_merged", "Lines of the journal that were merged with others.", status["merged_lines"]
        ),
        gauge(
            "rawtp_directory_moved",
            "1 where the name of the directory leads elsewhere.",
            int(status["directory"] != "here"),
        ),
    ]


def heartbeat(state: str, age_s: float | None, count: int) -> list[Family]:
    """The heartbeat. Without one, there is nothing to say."""
    if state == "none":
        return []
    return [
        _gauge(
            "rawtp_heartbeat_late",
            "1 while no heartbeat comes back: what happens may not be seen.",
            int(state == "late"),
        ),
        _gauge("rawtp_heartbeat_age_seconds", "The time since a heartbeat came back.", age_s),
        _counter("rawtp_heartbeats", "Heartbeats that came back.", count),
    ]


def alerts(counts: Mapping[str, Any]) -> list[Family]:
    """The alerts, as :meth:`rawtp._alert.alerts.Alerts.counts` has them."""
    matches = Family("rawtp_alert_matches", "counter", "Events that a rule matched.")
    told = Family("rawtp_alerts", "counter", "Alerts of a rule, those about repeats too.")
    folded = Family("rawtp_alert_folded_events", "counter", "Events that came in a cool-down.")
    for rule, of_rule in counts["rules"].items():
        matches.add(of_rule["matched"], rule=rule)
        told.add(of_rule["alerts"], rule=rule)
        folded.add(of_rule["folded"], rule=rule)
    sent = Family("rawtp_notifications", "counter", "Alerts by what became of them at a notifier.")
    waiting = Family("rawtp_notifications_pending", "gauge", "Alerts that wait for a notifier, or are being sent.")
    retried = Family("rawtp_notification_retries", "counter", "Attempts to send an alert that were repeated.")
    for notifier, of_notifier in counts["notifiers"].items():
        for result in ("sent", "failed", "dropped"):
            sent.add(of_notifier[result], notifier=notifier, result=result)
        waiting.add(of_notifier["pending"], notifier=notifier)
        retried.add(of_notifier["retried"], notifier=notifier)
    forgotten = _counter("rawtp_alert_groups_forgotten", "Groups that found no room.", counts["evicted"])
    return [matches, told, folded, sent, waiting, retried, forgotten]


def sinks(directory: str) -> list[Family]:
    """The positions of sinks, which are in ``sinks/NAME.json`` of a recorder's directory, or in ``NAME.1.json``, where
    that is newer. What cannot be read is left out."""
    events = Family("rawtp_sink_events", "counter", "Events by what became of them at a sink.")
    failures = Family("rawtp_sink_failures", "counter", "Attempts of a sink that failed.")
    failing = Family("rawtp_sink_failing", "gauge", "1 while a sink takes nothing.")
    written = Family("rawtp_sink_position_written_timestamp_seconds", "gauge", "When a sink's position was written.")
    log = Family("rawtp_sink_position_log", "gauge", "The number of the log that a sink has come to.")
    place = os.path.join(directory, "sinks")  # noqa: PTH118 - start-up time
    try:
        names = sorted(os.listdir(place))  # noqa: PTH208 - start-up time
    except OSError:
        names = []
    stems = [stem for name in names if (stem := name.removesuffix(".json")) != name and "." not in stem]
    for stem in stems[:_MAX_SINKS]:
        slots = [_json(os.path.join(place, name)) for name in (f"{stem}.json", f"{stem}.1.json")]  # noqa: PTH118
        found = max(slots, key=lambda slot: _count(slot.get("beat")) or 0)
        counts = found.get("counts")
        if isinstance(counts, dict):
            for result, key in (("sent", "records"), ("refused", "refused"), ("unshipped", "unshipped")):
                events.add(_count(counts.get(key)), sink=stem, result=result)
            failures.add(_count(counts.get("failures")), sink=stem)
        if "failing" in found:
            failing.add(int(bool(found["failing"])), sink=stem)
        written.add(_seconds(_count(found.get("written_ns"))), sink=stem)
        log.add(_log(found.get("position")), sink=stem)
    return [events, failures, failing, written, log]


def _log(position: object) -> int | None:
    """The log of the latest session in a position."""
    sessions = position.get("sessions") if isinstance(position, dict) else None
    if not isinstance(sessions, dict) or not sessions:
        return None
    latest = sessions[max(sessions)]
    return _count(latest.get("log")) if isinstance(latest, dict) else None


def _json(path: str) -> dict[str, Any]:
    try:
        # A FIFO in its place must not hold anybody up.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            found = json.loads(file.read(_MAX_SINK_BYTES))
    except (OSError, ValueError, RecursionError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else None


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / 1e9


def _gauge(name: str, text: str, value: float | None) -> Family:
    return Family(name, "gauge", text).add(value)


def _counter(name: str, text: str, value: int | None) -> Family:
    return Family(name, "counter", text).add(value)
