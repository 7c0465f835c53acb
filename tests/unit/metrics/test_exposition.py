"""The text of metrics, as Prometheus's own parsers read it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from helpers.metrics import SINK, STATUS, every_family, samples
from rawtp._metrics import families
from rawtp._metrics.exposition import Family, render


@pytest.mark.parametrize("is_openmetrics", [True, False])
def test_every_family_is_read_as_it_was_meant(is_openmetrics: bool) -> None:
    text = render(every_family(), openmetrics=is_openmetrics)
    parse = openmetrics.text_string_to_metric_families if is_openmetrics else text_string_to_metric_families
    found = {family.name: family for family in parse(text)}
    assert found["rawtp_recorder_events"].type == "counter"
    assert found["rawtp_drain_lag_seconds"].type == "gauge"
    assert found["rawtp_drain_lag_seconds"].documentation.startswith("Everything that happened before")
    assert found["rawtp_files_bytes"].unit == ("bytes" if is_openmetrics else "")
    values = samples(text)
    assert values['rawtp_recorder_events_total{state="acknowledged"}'] == 40
    assert values["rawtp_drain_lag_seconds"] == 1.5
    assert values['rawtp_files_bytes{kind="log"}'] == 4096
    assert values['rawtp_ledger_events_total{entry="delivered"}'] == 7
    assert values['rawtp_ledger_in_flight_events{entry="pending"}'] == 1
    # What is not known has no sample.
    assert not any("lost_exits" in name for name in values)
    assert values["rawtp_heartbeat_age_seconds"] == 2.5
    assert values['rawtp_alerts_total{rule="r"}'] == 2
    assert values['rawtp_notifications_total{notifier="n",result="failed"}'] == 1
    assert values['rawtp_sink_events_total{sink="otlp",result="sent"}'] == 12
    assert any(name.startswith("rawtp_build_info{version=") for name in values)


def test_names_are_those_that_the_documentation_has() -> None:
    """Every family, and no other."""
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "metrics.md").read_text()
    names = {sample.partition("{")[0] for sample in samples(render(every_family(), openmetrics=True))}
    table = page.partition("| metric |")[2]
    assert set(re.findall(r"^\| `(rawtp_\w+)", table, re.MULTILINE)) == names


@pytest.mark.parametrize("is_openmetrics", [True, False])
@pytest.mark.parametrize("value", ['a"b\\c\nd', "\udcff", "", "é"])
def test_labels_can_have_any_text(value: str, is_openmetrics: bool) -> None:
    text = render([Family("rawtp_x", "gauge", 'say "it"\\\n').add(1, label=value)], openmetrics=is_openmetrics)
    parse = openmetrics.text_string_to_metric_families if is_openmetrics else text_string_to_metric_families
    [family] = parse(text)
    assert family.samples[0].labels == {"label": "\\xff" if value == "\udcff" else value}
    assert text.isascii() or value == "é"


def test_without_a_heartbeat_nothing_is_said_of_it() -> None:
    assert families.heartbeat("none", None, 0) == []


def test_a_recorder_that_has_just_begun() -> None:
    status = {**STATUS, "last_ack_ns": None, "last_event_ns": None}
    values = samples(render(families.recorder(status, 0), openmetrics=True))
    assert "rawtp_last_event_timestamp_seconds" not in values
    # A clock that was set back.
    assert values["rawtp_drain_lag_seconds"] == 0


def test_positions_of_sinks_that_are_odd(tmp_path: Path) -> None:
    place = tmp_path / "sinks"
    place.mkdir()

    def write(name: str, found: Any) -> None:
        (place / name).write_text(found if isinstance(found, str) else json.dumps(found))

    write("a.json", SINK)
    # The two are written in turn.
    write("a.1.json", {**SINK, "beat": 5, "failing": "no route", "counts": {"records": 13}})
    write("b.json", {"position": {"sessions": {"1": 3}}, "counts": {"records": True, "refused": -1, "failures": "x"}})
    write("c.json", "not JSON")
    write("d.json", [1])
    write("e.json", "[" * 60000)
    write("f.txt", SINK)
    os.mkfifo(place / "g.json")
    (place / "h.json").symlink_to(place / "a.json")
    (place / "i.json").mkdir()
    write("j.json", {"beat": "x", "counts": 3, "position": [], "written_ns": 1e300})
    values = samples(render(families.sinks(str(tmp_path)), openmetrics=True))
    assert values == {
        'rawtp_sink_events_total{sink="a",result="sent"}': 13,
        'rawtp_sink_failing{sink="a"}': 1,
        'rawtp_sink_position_written_timestamp_seconds{sink="a"}': 1_700_000_000,
        'rawtp_sink_position_log{sink="a"}': 3,
    }
    assert samples(render(families.sinks(str(tmp_path / "none")), openmetrics=True)) == {}
