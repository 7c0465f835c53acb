"""Metrics for the tests, and their samples as they are read."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from rawtp._metrics import families

if TYPE_CHECKING:
    from rawtp._metrics.exposition import Family

STATUS: dict[str, Any] = {
    "running": True,
    "session": 1_700_000_000_000_000_000,
    "events": 42,
    "acknowledged": 40,
    "in_memory": 2,
    "dropped": 0,
    "last_ack_ns": 1_700_000_010_000_000_000,
    "last_event_ns": 1_700_000_009_000_000_000,
    "through_ns": 1_700_000_010_000_000_000,
    "heartbeats": 3,
    "lost": 0,
    "gaps": 1,
    "wal_files": 1,
    "wal_bytes": 4096,
    "segments": 2,
    "segment_bytes": 8192,
    "sealed": 2,
    "expired": 0,
    "quarantined": 0,
    "errors": 0,
    "failing": False,
    "merged_lines": 0,
    "directory": "here",
}
ALERTS = {
    "rules": {"r": {"matched": 5, "alerts": 2, "folded": 3}},
    "notifiers": {"n": {"sent": 1, "failed": 1, "dropped": 0, "retried": 4, "pending": 0}},
    "evicted": 0,
    "held_back": 0,
}
LEDGER = {"matched": 8, "filtered": 0, "pending": 1, "buffered": 0, "delivered": 7, "lost_exits": None}


SINK = {
    "version": 1,
    "beat": 4,
    "sink": "otlp",
    "written_ns": 1_700_000_000_000_000_000,
    "failing": None,
    "counts": {"records": 12, "files": 0, "bytes": 0, "refused": 1, "unshipped": 0, "failures": 2},
    "position": {"sessions": {"1700000000000000000": {"log": 3, "batch": 7}}, "journal": None},
}


def every_family() -> list[Family]:
    """All families that there are, each with a sample."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "sinks"
        place.mkdir()
        (place / "otlp.json").write_text(json.dumps(SINK))
        return [
            *families.build(),
            *families.recorder(STATUS, STATUS["through_ns"] + 1_500_000_000),
            *families.ledger(LEDGER),
            *families.heartbeat("ok", 2.5, 3),
            *families.alerts(ALERTS),
            *families.sinks(directory),
        ]


def samples(text: str) -> dict[str, float]:
    """The samples, by name and labels, as Prometheus's own parser reads them."""
    parse = parse_openmetrics if text.endswith("# EOF\n") else text_string_to_metric_families
    found = {}
    for family in parse(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found
