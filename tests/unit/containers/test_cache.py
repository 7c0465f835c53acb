"""The cache of names: nobody waits, and it has bounds."""

from __future__ import annotations

import threading

from helpers.samples import RM
from helpers.support import HANG_S, wait_for
from rawtp._alert import rules
from rawtp._alert.alert import Alert
from rawtp._alert.alerts import Alerts
from rawtp._alert.naming import Naming, named
from rawtp._containers.cache import NameCache
from rawtp._containers.runtimes import Names

WEB = Names("app", "web-7c9", "shop", "web:1.2")


class Files:
    """What is found, and how often it is looked for. ``gate`` holds up."""

    def __init__(self) -> None:
        self.found: Names | None = WEB
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()
        self.now_s = 0.0

    def find(self, container_id: str | None, pod_id: str | None) -> Names | None:
        self.gate.wait(HANG_S)
        self.calls += 1
        if container_id == "defect":
            raise ZeroDivisionError
        return self.found

    def clock(self) -> float:
        return self.now_s


def test_who_asks_does_not_wait() -> None:
    files = Files()
    files.gate.clear()
    cache = NameCache(files.find, files.clock)
    for _ in range(10):
        assert cache.get("a", None) == (None, False)
    files.gate.set()
    wait_for(lambda: cache.get("a", None) == (WEB, True), "it is known")
    assert files.calls == 1
    assert cache.get(None, None) == (None, True)


def test_what_is_known_is_asked_again_after_a_while() -> None:
    files = Files()
    cache = NameCache(files.find, files.clock)
    assert cache.look_up("a", None) == WEB
    files.now_s = 200
    assert (cache.look_up("a", None), files.calls) == (WEB, 1)
    # The container is gone, and is called what it was called.
    files.now_s, files.found = 400, None
    assert (cache.look_up("a", None), files.calls) == (WEB, 2)
    assert cache.get("a", None) == (WEB, True)


def test_what_is_not_known_is_asked_sooner() -> None:
    files = Files()
    files.found = None
    cache = NameCache(files.find, files.clock)
    assert cache.look_up("a", None) is None
    files.now_s, files.found = 10, WEB
    assert cache.get("a", None) == (None, True)
    wait_for(lambda: cache.get("a", None) == (WEB, True), "it is known")


def test_it_has_bounds() -> None:
    files = Files()
    cache = NameCache(files.find, files.clock, max_kept=10, max_waiting=5)
    for number in range(100):
        cache.look_up(str(number), None)
    assert len(cache._kept) == 10
    files.gate.clear()
    for number in range(100, 200):
        cache.get(str(number), None)
    # One may be being looked up.
    assert cache.dropped in {94, 95}
    files.gate.set()


def test_a_defect_ends_nothing() -> None:
    files = Files()
    cache = NameCache(files.find, files.clock)
    cache.get("defect", None)
    wait_for(lambda: cache.get("defect", None)[1], "it was looked up")
    cache.get("a", None)
    wait_for(lambda: cache.get("a", None) == (WEB, True), "it is known")


def test_an_alert_has_the_names() -> None:
    files = Files()
    event = {**RM, "container_id": "a", "uid": 0, "auid": None}
    alert = Alert("r", "event", 1, 0, 0, {}, event)  # type: ignore[arg-type]
    names = named(alert, NameCache(files.find, files.clock)).names
    expected = {"user": "root", "container_name": "app", "pod": "web-7c9", "namespace": "shop", "image": "web:1.2"}
    assert names == expected
    told = named(alert, NameCache(files.find)).environment("h")
    assert (told["RAWTP_POD"], told["RAWTP_NAMESPACE"], told["RAWTP_USER"]) == ("web-7c9", "shop", "root")
    # A number of no user, and no container.
    alert = Alert("r", "event", 1, 0, 0, {}, {**RM, "uid": 4_000_000_001, "auid": 4_000_000_001})
    assert named(alert, NameCache(files.find)).names == {}


def test_rules_by_names() -> None:
    """The first event of a container waits for its names, and is compared then."""
    files = Files()
    files.gate.clear()
    text = b"""
        [notify.n]
        type = "command"
        argv = ["/bin/true"]
        [[rules]]
        name = "shop"
        namespace = "sh*"
        not_image = "debug*"
        notify = "n"
        cooldown = 0
    """
    alerts = Alerts(rules.parse(text, {}), cache=NameCache(files.find), clock_ns=lambda: 0)
    assert alerts.events([{**RM, "container_id": "a"}, RM]) == []
    files.gate.set()
    found: list[str] = []

    def is_told() -> bool:
        found.extend(alerts.events([]))
        return bool(found)

    wait_for(is_told, "the alert")
    # What was not in a container has no namespace.
    assert len(found) == 1
    alerts.finish(HANG_S)
    assert alerts.counts()["rules"]["shop"]["matched"] == 1
    assert alerts.counts()["unnamed"] == 0


def test_nobody_waits_for_ever() -> None:
    files = Files()
    files.gate.clear()
    naming = Naming(NameCache(files.find), max_waiting=3)
    events = [{**RM, "container_id": str(number)} for number in range(5)]
    assert [event["container_id"] for event in naming.events(events, 0)] == ["0", "1"]  # type: ignore[arg-type]
    assert naming.events([], 1_000_000_000) == []
    assert len(naming.events([], 2_000_000_000)) == 3
    assert naming.unnamed == 5
    # The clock was set back.
    naming.events([events[0]], 10_000_000_000)  # type: ignore[list-item]
    assert len(naming.events([], 0)) == 1
    naming.events([events[0]], 0)  # type: ignore[list-item]
    [rest] = naming.rest()
    assert rest.get("pod") is None
    files.gate.set()
