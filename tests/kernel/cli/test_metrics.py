"""``--metrics`` of ``rawtp record`` and ``rawtp``, read as Prometheus does."""

from __future__ import annotations

import os
import re
import signal
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from helpers.command_line import cli, delete, end
from helpers.metrics import samples
from helpers.recorders import asked, recording
from helpers.support import HANG_S, wait_for

pytestmark = pytest.mark.kernel


@pytest.fixture
def place(tmp_path: Path) -> Path:
    real = Path(os.path.realpath(tmp_path)) / "place"
    real.mkdir()
    return real


def read(url: str) -> dict[str, float]:
    request = urllib.request.Request(url, headers={"Accept": "application/openmetrics-text"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=HANG_S) as answer:  # noqa: S310
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        return samples(answer.read().decode())


def test_a_recorder(place: Path) -> None:
    history = place.parent / "history"
    with recording(history, "--metrics", "0", "-p", os.getpid()) as recorder:
        wait_for(lambda: "metrics: " in recorder.messages, "it says where")
        found = re.search(r"rawtp: metrics: (http://127\.0\.0\.1:\d+/metrics)\n", recorder.messages)
        assert found
        before = read(found[1])
        assert before["rawtp_recorder_running"] == 1
        assert before["rawtp_write_failing"] == 0
        for number in range(25):
            delete(place / str(number))
        acknowledged = 'rawtp_recorder_events_total{state="acknowledged"}'
        wait_for(lambda: read(found[1])[acknowledged] >= before[acknowledged] + 25, "all are on the disk")
        wait_for(lambda: "rawtp_heartbeat_age_seconds" in read(found[1]), "a heartbeat has come back")
        values = read(found[1])
        assert values["rawtp_recorder_lost_events_total"] == 0
        assert values['rawtp_files{kind="log"}'] >= 1
        assert values['rawtp_files_bytes{kind="log"}'] > 0
        assert values["rawtp_heartbeat_late"] == 0
        # The ledger's sum, which is taken while events come.
        assert values['rawtp_ledger_events_total{entry="matched"}'] >= 25
        recorder.process.send_signal(signal.SIGHUP)
        wait_for(lambda: read(found[1])['rawtp_files_handled_total{what="sealed"}'] == 1, "it is sealed")
        assert read(found[1])['rawtp_files_bytes{kind="segment"}'] > 0
        assert recorder.end() == 0


def test_a_recorders_file(place: Path) -> None:
    history = place.parent / "history"
    path = place.parent / "rawtp.prom"
    with recording(history, "--metrics", path, "-p", os.getpid()) as recorder:
        wait_for(path.exists, "the file")
        assert samples(path.read_text())["rawtp_recorder_running"] == 1
        delete(place / "x")
        assert recorder.end() == 0
    values = samples(path.read_text())
    # Whoever scrapes it sees that it has ended.
    assert values["rawtp_recorder_running"] == 0
    assert values['rawtp_recorder_events_total{state="acknowledged"}'] >= 1
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_watch_with_alerts(tmp_path: Path, place: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(
        f"""
        [notify.n]
        type = "command"
        argv = ["/bin/true"]
        [[rules]]
        name = "place"
        path = "{place}"
        notify = "n"
        cooldown = 0
        """
    )
    with cli("--alert", rules, "--metrics", "0", "-o", "jsonl", "-O", tmp_path / "out") as process:
        assert process.stderr
        line = process.stderr.readline().decode()
        found = re.fullmatch(r"rawtp: metrics: (http://127\.0\.0\.1:\d+/metrics)\n", line)
        assert found, line
        url = found[1]

        def is_sent() -> bool:
            delete(place / "x")
            return read(url).get('rawtp_notifications_total{notifier="n",result="sent"}', 0) >= 3

        wait_for(is_sent, "alerts are sent")
        values = read(url)
        assert values['rawtp_alerts_total{rule="place"}'] == values['rawtp_alert_matches_total{rule="place"}'] >= 3
        assert values['rawtp_ledger_events_total{entry="delivered"}'] >= 3
        assert end(process)[0] == 0
    with suppress(OSError):
        read(url)
        pytest.fail("it answers after the end")


def test_a_port_that_is_taken(place: Path) -> None:
    history = place.parent / "history"
    with recording(history, "--metrics", "0", "-p", os.getpid()) as recorder:
        wait_for(lambda: "metrics: " in recorder.messages, "it says where")
        found = re.search(r"127\.0\.0\.1:(\d+)/", recorder.messages)
        assert found
        code, out, err = asked("record", "--directory", f"{history}2", "--metrics", found[1])
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == "rawtp: cannot publish metrics: Address already in use"


@pytest.mark.parametrize("command", ["record", "watch"])
def test_wrong_places(command: str) -> None:
    code, _, err = asked(command, "--metrics", "/tmp/x.txt")
    assert code == 2
    assert err.endswith("argument --metrics: '/tmp/x.txt' must end in .prom: node_exporter reads no other file\n")


def test_the_unit_of_a_recorder_with_metrics() -> None:
    unit = asked("record", "--install", "--metrics", "9750")[1]
    assert "--metrics 127.0.0.1:9750\n" in unit
    assert "PrivateNetwork" not in unit
    unit = asked("record", "--install", "--metrics", "/var/lib/node_exporter/rawtp.prom")[1]
    assert "PrivateNetwork=yes" in unit
    assert "\nReadWritePaths=/var/lib/node_exporter\n" in unit
