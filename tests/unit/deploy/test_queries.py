"""The dashboard of Grafana and the rules of Prometheus ask for metrics that there are."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from helpers.metrics import every_family, samples
from rawtp._metrics.exposition import render

DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "rawtp.json").read_text())
RULES: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())


def queries() -> dict[str, str]:
    """Every query, by what it is for."""
    found = {
        f"panel {panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    }
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            found[f"variable {variable['name']}"] = variable["query"]["query"]
    for rule in RULES["groups"][0]["rules"]:
        found[f"rule {rule['alert']}"] = rule["expr"]
    return found


def known() -> dict[str, dict[str, set[str]]]:
    """The metrics, and the labels of each with their values."""
    found: dict[str, dict[str, set[str]]] = {}
    for sample in samples(render(every_family(), openmetrics=False)):
        name, _, labels = sample.partition("{")
        of_name = found.setdefault(name, defaultdict(set))
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
            of_name[label].add(value)
    return found


KNOWN = known()
ADDED = {"instance", "job"}  # by Prometheus itself


@pytest.mark.parametrize("query", queries().items(), ids=lambda query: query[0])
def test_a_query_asks_for_what_there_is(query: tuple[str, str]) -> None:
    _, expression = query
    metrics = re.findall(r"\brawtp_\w+", expression)
    assert metrics
    assert [name for name in metrics if name not in KNOWN] == []
    for name, matchers in re.findall(r"\b(rawtp_\w+)\{([^}]*)\}", expression):
        for label, operator, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers):
            if label in ADDED:
                continue
            assert label in KNOWN[name], (name, label)
            if operator == "=":
                assert value in KNOWN[name][label], (name, label, value)
    # Those that it groups by.
    for grouped in re.findall(r"\bby \(([^)]*)\)", expression):
        labels = {label.strip() for label in grouped.split(",")}
        assert labels <= ADDED.union(*(KNOWN[name].keys() for name in metrics))
    assert expression.count("(") == expression.count(")")
    # A rate is of a counter, and a counter is not shown by itself.
    for function, name in re.findall(r"(rate|increase)\((rawtp_\w+)", expression):
        assert name.endswith("_total"), (function, name)
    for name in metrics:
        assert name.endswith("_total") == bool(re.search(rf"(rate|increase)\({name}\b", expression)), name


def test_every_metric_is_on_the_dashboard() -> None:
    shown = set(re.findall(r"\brawtp_\w+", " ".join(queries().values())))
    left_out = {
        *("rawtp_recorder_start_timestamp_seconds", "rawtp_last_acknowledgement_timestamp_seconds"),
        *("rawtp_last_event_timestamp_seconds", "rawtp_journal_lines_merged_total", "rawtp_directory_moved"),
        *("rawtp_heartbeats_total", "rawtp_alert_folded_events_total", "rawtp_notification_retries_total"),
        *("rawtp_alert_groups_forgotten_total", "rawtp_sink_position_written_timestamp_seconds"),
    }
    assert KNOWN.keys() - shown == left_out


def test_the_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
