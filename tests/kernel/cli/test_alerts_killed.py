"""A recorder with alerts that is killed: no recorded event is left out."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers import recordings
from helpers.recorders import recording
from helpers.recordings import HANG_S, delete, events
from helpers.support import wait_for
from helpers.webhooks import serving
from rawtp import _core
from rawtp._alert.alerts import Alerts
from rawtp._alert.notifiers.base import Notifier
from rawtp._alert.rules import Rule, RuleSet
from rawtp._record.alerting import Alerting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rawtp._alert.alert import Alert

pytestmark = pytest.mark.kernel

ROUNDS = max(int(os.environ.get("RAWTP_CRASHES", "0")), 20)


class Told(Notifier):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("told")
        self.alerts: list[Alert] = []

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environment: Mapping[str, str], at: list[str]) -> Told:
        raise AssertionError("the tests make it themselves")

    def send(self, alert: Alert, host: str, stop: threading.Event) -> None:
        self.alerts.append(alert)

    @property
    def keys(self) -> list[str | None]:
        return [alert.key for alert in self.alerts if alert.event is not None]


def alerting(recorder: _core.Recorder, told: Told, **changes: Any) -> Alerting:
    rules = (
        Rule("all", (), ("told",), **{"cooldown_ns": 0, **changes}),
        Rule("blind", (), ("told",), cooldown_ns=0, is_loss=True),
    )
    return Alerting(Alerts(RuleSet(rules, {"told": told}), host="h", patience_s=5.0), recorder)


def alerted(directory: Path, told: Told, work: Path, *names: object, **changes: Any) -> list[str]:
    """Records deletions with alerts, to a clean end; the messages."""
    with recordings.recording(directory, session='{"alerts": true}') as recorder:
        companion = alerting(recorder, told, **changes)
        companion.start()
        delete(work, *map(str, names))
        recorder.close()
        return companion.finish()


def keys(directory: Path, **filters: Any) -> set[str]:
    """The keys of the recorded events."""
    of = {one["session"]: f"{one['machine_id']}:{one['boot_id']}" for one in _core.HistoryReader(directory).sessions()}
    found = events(directory, **filters)
    return {f"{of[one['session']]}:{one['session']}:{one['via']}:{one['cpu']}:{one['seq']}" for one in found}


class Load(threading.Thread):
    """Files are made and deleted, some ten a second."""

    def __init__(self, place: Path) -> None:
        super().__init__(daemon=True)
        self._place = place
        self.is_over = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.is_over.wait(0.3):
            delete(self._place, *range(number, number + 3))
            number += 3


@pytest.mark.slow
@pytest.mark.timeout(120 + 10 * ROUNDS)
def test_each_recorded_event_is_told_whenever_the_recorder_is_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get("RAWTP_CRASH_SEED", str(time.time_ns())))
    print("RAWTP_CRASH_SEED =", seed)
    moment = random.Random(seed)  # noqa: S311
    directory, place, rules = tmp_path / "h", Path(os.path.realpath(tmp_path)) / "place", tmp_path / "rules.toml"
    place.mkdir()
    load = Load(place)
    with serving() as server:
        rules.write_text(
            f"""
            [notify.server]
            type = "webhook"
            url = "http://127.0.0.1:{server.port}/"
            [[rules]]
            name = "place"
            path = "{place}"
            notify = "server"
            cooldown = 0
            """
        )
        options = ("--alert", rules, "-p", os.getpid(), "--segment-age", "1s")
        load.start()
        try:
            for _ in range(ROUNDS):
                with recording(directory, *options) as recorder:
                    time.sleep(moment.uniform(0.0, 2.0))
                    recorder.end(signal.SIGKILL)
        finally:
            load.is_over.set()
            load.join()
        with recording(directory, *options) as recorder:
            expected = keys(directory, under=os.fsencode(place), outcome="ok")

            def told() -> set[str]:
                # A request that was cut off by a kill has no body.
                return {json.loads(body)["key"] for _, _, body in server.requests if body}

            wait_for(lambda: expected <= told(), "every recorded event is told")
            assert recorder.end() == 0
        documents = [json.loads(body) for _, _, body in server.requests if body]
    assert len(expected) > ROUNDS
    found = {document["key"] for document in documents}
    assert found == expected
    ids: dict[str, set[str]] = defaultdict(set)
    for document in documents:
        ids[document["key"]].add(document["id"])
    # One that comes again can be known by its id.
    assert [key for key, of_key in ids.items() if len(of_key) != 1] == []
    assert len({document["id"] for document in documents}) == len(expected)
    print(f"{ROUNDS} kills, {len(expected)} events, {len(documents) - len(expected)} alerts came again")


def test_what_was_told_is_not_told_again(tmp_path: Path) -> None:
    """After a clean end the next recorder begins where the one before ended."""
    directory, work, told = tmp_path / "h", tmp_path / "work", Told()
    work.mkdir()
    for number in range(3):
        alerted(directory, told, work, *(f"{number} {file}" for file in range(50)))
    assert len(told.keys) == len(set(told.keys))
    assert {*told.keys} == keys(directory)
    assert len({alert.id for alert in told.alerts}) == len(told.alerts)


def test_what_was_sealed_unseen_comes_by_its_time(tmp_path: Path) -> None:
    """A sealed file has another order; a window needs that of the times."""
    directory, work, told = tmp_path / "h", tmp_path / "work", Told()
    work.mkdir()
    alerted(directory, told, work, "first")
    with recordings.recording(directory, session='{"alerts": true}'):
        delete(work, *(f"{number:03}" for number in reversed(range(300))))
    told.alerts.clear()
    alerted(directory, told, work, "last")
    names = [Path(str(alert.event["path"])).name for alert in told.alerts if alert.event]
    assert names == [*(f"{number:03}" for number in reversed(range(300))), "last"]
    times = [alert.last_ns for alert in told.alerts]
    assert times == sorted(times)


def test_a_window_and_a_cool_down_survive_a_kill(tmp_path: Path) -> None:
    """What is not told yet is looked at again, so that a mass deletion with a kill in its midst is one."""
    directory, work, told = tmp_path / "h", tmp_path / "work", Told()
    work.mkdir()
    window = {"count": 60, "window_ns": 600_000_000_000, "cooldown_ns": 600_000_000_000}
    with recordings.recording(directory, session='{"alerts": true}') as recorder:
        killed = alerting(recorder, told, **window)
        killed.start()
        delete(work, *range(40))
        recorder.sync(HANG_S)
        wait_for(lambda: killed.counts()["rules"]["all"]["matched"] == 40, "it has looked")
        time.sleep(1.5)  # longer than between two looks and two writes of the position
        abandon(killed)
    assert told.alerts == []
    said = alerted(directory, told, work, *range(40, 70), **window)
    assert [(alert.kind, alert.count) for alert in told.alerts] == [("count", 60), ("repeat", 10)]
    assert any("rules matched 70 times, 2 alerts" in line for line in said)


def abandon(companion: Alerting) -> None:
    """Ends its thread and gives the lock back, as a kill would; nothing more is stored."""
    companion._end_s = 0.0
    companion._end.set()
    companion._thread.join(HANG_S)
    companion._looked_at.close(is_told=False)


def test_what_retention_took_unseen_is_told(tmp_path: Path) -> None:
    directory, work, told = tmp_path / "h", tmp_path / "work", Told()
    work.mkdir()
    alerted(directory, told, work, "first")
    with recordings.recording(directory, session='{"alerts": true}', max_bytes=40_000) as recorder:
        for _ in range(6):
            delete(work, *range(200))
            recorder.seal(HANG_S)
        wait_for(lambda: recorder.status()["expired"] > 0, "a file is removed")
        acknowledged = recorder.status()["acknowledged"]
    told.alerts.clear()
    said = alerted(directory, told, work, "last")
    losses = [alert for alert in told.alerts if alert.rule == "blind"]
    missing = sum(alert.count for alert in losses)
    assert missing > 0
    assert len(told.keys) == acknowledged - missing + 1
    lines = [line for line in said if "not looked at: the file is expired" in line]
    assert len(lines) == len(losses)
    told.alerts.clear()
    assert not any("not looked at" in line for line in alerted(directory, told, work, "once more"))
    assert len(told.alerts) == 1


def test_recordings_without_alerts_are_left_out(tmp_path: Path) -> None:
    """Those before the first one with alerts, and those in between."""
    directory, work, told = tmp_path / "h", tmp_path / "work", Told()
    work.mkdir()
    for number in range(2):
        with recordings.recording(directory, session='{"alerts": false}'):
            delete(work, f"without {number}")
        alerted(directory, told, work, f"with {number}")
    names = [Path(str(alert.event["path"])).name for alert in told.alerts if alert.event]
    assert names == ["with 0", "with 1"]


def test_a_damaged_position_is_told(tmp_path: Path) -> None:
    directory, work, told = tmp_path / "h", tmp_path / "work", Told()
    work.mkdir()
    alerted(directory, told, work, "first")
    for name in ("alerts.json", "alerts.1.json"):
        (directory / name).write_bytes(b"{}\n")
    said = alerted(directory, told, work, "second")
    assert any("alerts.json is damaged, or of another version" in line for line in said)
    # What the recorder records from then on is told, and stored.
    names = [Path(str(alert.event["path"])).name for alert in told.alerts if alert.event]
    assert names == ["first", "second"]
    assert alerted(directory, told, work, "third")[:-1] == [f"alert: {told.alerts[-1].message()}"]
    assert len(told.alerts) == 3
