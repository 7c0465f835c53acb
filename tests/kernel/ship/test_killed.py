"""Receivers and shippers that are killed under load: nothing that was acknowledged is lost."""

from __future__ import annotations

import os
import signal
import threading
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from helpers import journals, receivers
from helpers.receivers import Ship, pause, ship_all
from helpers.recordings import events, recording
from rawtp import _core

if TYPE_CHECKING:
    from pathlib import Path

# boto3 and moto warn of what they use themselves.
pytestmark = [pytest.mark.kernel, pytest.mark.slow, pytest.mark.filterwarnings("ignore"), pytest.mark.quiet_host]

MEMORY_MB = 200.0
SERVERS = [
    *(receivers.Otlp, receivers.Nats, receivers.NatsArrow, receivers.S3, receivers.Rsyslog),
    *([journals.Journald] if journals.missing() is None else []),
]


class Load(threading.Thread):
    """Names that are missing are removed, some thousand a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.is_over = threading.Event()
        self.count = 0

    def run(self) -> None:
        while not self.is_over.wait(0.02):
            for _ in range(60):
                with suppress(FileNotFoundError):
                    os.unlink(f"/nonexistent/rawtp-ship/{self.count}")  # noqa: PTH108
                self.count += 1


def keys(directory: Path) -> set[str]:
    """The keys of all recorded events."""
    of = {one["session"]: f"{one['machine_id']}:{one['boot_id']}" for one in _core.HistoryReader(directory).sessions()}
    found = events(directory)
    return {f"{of[one['session']]}:{one['session']}:{one['via']}:{one['cpu']}:{one['seq']}" for one in found}


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.__name__)
def test_nothing_acknowledged_is_lost(kind: type[receivers.Receiver], tmp_path: Path) -> None:
    if kind is receivers.Rsyslog and not receivers.Rsyslog.program():
        if os.environ.get("RAWTP_REQUIRE_KERNEL"):
            pytest.fail("rsyslogd is required here", pytrace=False)
        pytest.skip("no rsyslogd")
    directory, state = tmp_path / "h", tmp_path / "state"
    server = kind(tmp_path)
    server.start()
    load = Load()
    most_mb = []
    try:
        with recording(directory, segment_bytes=1 << 20, segment_s=1.0) as recorder:
            load.start()
            ship = Ship(directory, state, server)
            for _ in range(2):
                pause(1.5)
                server.kill()
                pause(0.7)
                server.start()
                pause(1.5)
                most_mb.append(ship.memory_mb())
                ship.end(signal.SIGKILL)
                ship = Ship(directory, state, server)
            load.is_over.set()
            load.join()
            recorder.sync(60)
            most_mb.append(ship.memory_mb())
            ship.end()
            assert recorder.status()["lost"] == 0
        ship_all(directory, state, server)
        received = server.received()
    finally:
        load.is_over.set()
        server.kill()
    expected = keys(directory)
    assert len(expected) >= load.count > 1000
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in received:
        found[record["key"]].append(record)
    shipped = {key for key, records in found.items() if records[0]["type"] == "event"}
    assert expected - shipped == set(), "what was recorded was not shipped"
    assert shipped - expected == set(), "something was shipped that is not recorded"
    for key, records in found.items():
        assert len({record.get("path") for record in records}) == 1, f"{key} is the key of several events"
    types = {records[0]["type"] for records in found.values()}
    assert {"session", "through"} <= types
    duplicates = len(received) - len(found)
    print(f"{kind.__name__}: {len(expected)} events, {duplicates} duplicates, at most {max(most_mb):.0f} MB")
    assert max(most_mb) < MEMORY_MB
    assert not (server.takes_once and duplicates)
