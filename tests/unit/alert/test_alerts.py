"""Delivery: what waits, what fails, what is dropped, and how it ends."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

from helpers.samples import RM
from helpers.support import HANG_S, wait_for
from rawtp._alert import rules
from rawtp._alert.alert import Alert
from rawtp._alert.alerts import Alerts
from rawtp._alert.notifiers.base import Notifier, NotifyError
from rawtp._alert.rules import Rule, RuleSet

if TYPE_CHECKING:
    from collections.abc import Mapping


class Told(Notifier):
    """Keeps what it is told; fails, or waits, where it is asked to."""

    def __init__(self, name: str, parallel: int = 1) -> None:
        super().__init__(name, parallel=parallel)
        self.alerts: list[Alert] = []
        self.gate = threading.Event()
        self.gate.set()
        self.failure: Exception | None = None
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environment: Mapping[str, str], at: list[str]) -> Told:
        raise AssertionError("the tests make it themselves")

    def send(self, alert: Alert, host: str, stop: threading.Event) -> None:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        while not self.gate.wait(0.01):
            if stop.is_set():
                break
        with self._lock:
            self.at_once -= 1
        if self.failure is not None:
            raise self.failure
        self.alerts.append(alert)


def alerts_to(*notifiers: Notifier, max_waiting: int = 256) -> Alerts:
    names = tuple(one.name for one in notifiers)
    rule = Rule(name="r", conditions=(), notify=names, cooldown_ns=0)
    return Alerts(RuleSet((rule,), {one.name: one for one in notifiers}), host="h", max_waiting=max_waiting)


def test_each_is_told_in_order() -> None:
    one, two = Told("one"), Told("two")
    alerts = alerts_to(one, two)
    assert len(alerts.events([{**RM, "pid": pid} for pid in range(50)])) == 50
    assert alerts.finish(HANG_S) == []
    for told in (one, two):
        assert [alert.event["pid"] for alert in told.alerts if alert.event] == [*range(50)]
    assert alerts.summary() == (
        "rules matched 50 times, 50 alerts; one: 50 sent, 0 failed, 0 dropped; two: 50 sent, 0 failed, 0 dropped"
    )


def test_one_that_hangs_holds_nobody_up() -> None:
    dead, lively = Told("dead"), Told("lively")
    dead.gate.clear()
    alerts = alerts_to(dead, lively, max_waiting=10)
    for _ in range(100):
        alerts.events([RM])
        wait_for(lambda: len(lively.alerts) == alerts.counts()["rules"]["r"]["alerts"], "the other is told")
    counts = alerts.counts()["notifiers"]["dead"]
    # One is being sent, ten wait.
    assert (counts["sent"], counts["dropped"], counts["pending"]) == (0, 89, 11)
    assert alerts.troubles() == ["notify.dead: too many alerts wait: some are dropped, and counted"]
    begin_s = time.monotonic()
    alerts.finish(0.2)
    assert time.monotonic() - begin_s < HANG_S
    counts = alerts.counts()["notifiers"]["dead"]
    assert counts["dropped"] == 99
    assert counts["sent"] + counts["failed"] + counts["dropped"] + counts["pending"] == 100


def test_one_that_fails_is_told_once_and_counted() -> None:
    told = Told("n")
    alerts = alerts_to(told)
    told.failure = NotifyError("no route")
    alerts.events([RM] * 5)
    wait_for(lambda: alerts.counts()["notifiers"]["n"]["failed"] == 5, "all have failed")
    assert alerts.troubles() == ["notify.n: failed: no route"]
    told.failure = None
    alerts.events([RM])
    wait_for(lambda: alerts.counts()["notifiers"]["n"]["sent"] == 1, "it works")
    assert alerts.troubles() == ["notify.n: it works again"]
    # Not even a defect ends the thread.
    told.failure = ZeroDivisionError("a defect")
    alerts.events([RM])
    wait_for(lambda: alerts.counts()["notifiers"]["n"]["failed"] == 6, "it has failed")
    assert alerts.troubles() == ["notify.n: failed: ZeroDivisionError: a defect"]
    told.failure = None
    alerts.events([RM])
    alerts.finish(HANG_S)
    assert alerts.counts()["notifiers"]["n"]["sent"] == 2


def test_so_many_at_once_and_no_more() -> None:
    told = Told("n", parallel=3)
    told.gate.clear()
    alerts = alerts_to(told)
    alerts.events([RM] * 20)
    wait_for(lambda: told.at_once == 3, "three are being sent")
    time.sleep(0.1)
    assert told.most_at_once == 3
    told.gate.set()
    alerts.finish(HANG_S)
    assert (len(told.alerts), told.most_at_once) == (20, 3)


def test_what_is_held_back_is_told_at_the_end() -> None:
    text = b'[notify.n]\ntype = "journald"\n[[rules]]\nname = "r"\nnotify = "n"\n'
    found = rules.parse(text, {})
    told = Told("n")
    alerts = Alerts(RuleSet(found.rules, {"n": told}), host="h", clock_ns=lambda: RM["ts_ns"])
    alerts.events([RM] * 10)
    assert len(alerts.finish(HANG_S)) == 1
    assert [(alert.kind, alert.count) for alert in told.alerts] == [("event", 1), ("repeat", 9)]
    assert json.loads(told.alerts[1].json("h"))["count"] == 9


def test_messages() -> None:
    event = {**RM, "container_id": "4f1c8d0e7b3aff00", "real_path": "/srv/\x1b[2J"}
    texts = {
        kind: Alert("r", kind, 3, 0, 0, {}, None if kind == "loss" else event, 10.0).message()  # type: ignore[arg-type]
        for kind in ("event", "count", "repeat", "loss")
    }
    what = "rm /tmp/test.txt (pid 12345, user 1000, container 4f1c8d0e7b3a) deleted /srv/\\x1b[2J"
    assert texts == {
        "event": f"r: {what}",
        "count": f"r: 3 events within 10 s, the last: {what}",
        "repeat": f"r: 3 more events, the last: {what}",
        "loss": "r: 3 events lost",
    }
