"""The alerts of a watch: takes events, and has what the rules say of them sent."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rawtp._alert import delivery
from rawtp._alert.alert import FIELDS
from rawtp._alert.engine import Engine
from rawtp._alert.naming import Naming, named
from rawtp._containers import runtimes
from rawtp._containers.cache import NameCache
from rawtp.formats import ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from rawtp._alert.alert import Alert
    from rawtp._alert.rules import RuleSet
    from rawtp.event import Event

_TICK_S = 0.2
_FINISH_S = 5.0


@dataclass
class Mark:
    """A moment: the events and alerts that came before it."""

    last_ns: int
    """The time of the latest event."""
    numbers: dict[str, int] | None = None
    """Of each notifier the last alert about them; None while there may be others."""


class Alerts:
    """Compares events with rules. Nothing here waits, or raises for a notifier that fails.

    ``clock_ns`` is Unix time, by which windows and cool-downs go. ``patience_s``: whoever brings events can wait so
    long for a notifier that works, and has no room. ``root``: where the root of the host is mounted, on which names are
    looked up.
    """

    fields = FIELDS
    """The keys of an event that it needs."""
    wait_s = 0.5
    """The longest time until the next call of ``events``, which may be one with no events."""

    def __init__(
        self,
        found: RuleSet,
        *,
        host: str | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        max_waiting: int = delivery.MAX_WAITING,
        cache: NameCache | None = None,
        patience_s: float = 0.0,
        root: str = "/",
    ) -> None:
        self._clock_ns = clock_ns
        self._patience_s = patience_s
        self._last_ns = 0
        self._engine = Engine(found.rules)
        self._notify = {rule.name: rule.notify for rule in found.rules}
        cache = NameCache(runtimes.finder(root)) if cache is None else cache
        self._naming = Naming(cache) if any(rule.needs_names for rule in found.rules) else None
        prepare = partial(named, cache=cache, root=root)
        name = os.uname().nodename if host is None else host
        self._deliveries = {
            key: delivery.Delivery(notifier, name, prepare, max_waiting) for key, notifier in found.notifiers.items()
        }
        self._ticked_ns = 0

    def events(self, events: Iterable[Event]) -> list[str]:
        """Take events, or none when none came for a while; a line for each alert."""
        now_ns = self._clock_ns()
        events = list(events)
        self._last_ns = max(self._last_ns, *(event["ts_ns"] for event in events), 0)
        if self._naming is not None:
            events = self._naming.events(events, now_ns)
        alerts = self._engine.events(events, now_ns)
        if not 0 <= now_ns - self._ticked_ns < _TICK_S * 1e9:
            self._ticked_ns = now_ns
            alerts += self._engine.tick(now_ns)
        return self._send(alerts)

    def lost(self, count: int) -> list[str]:
        """Note events that were lost after the last one; a line for each alert."""
        return self._send(self._engine.lost(count, self._clock_ns()))

    def mark(self) -> Mark:
        """Mark this moment."""
        return Mark(self._last_ns)

    def is_done(self, mark: Mark) -> bool:
        """Tell whether nothing is left of what came before a mark: no event waits, counts in a window or is held back,
        and every alert was sent, or given up."""
        if mark.numbers is None:
            # A window takes what is later than now for an event of now.
            mark.last_ns = min(mark.last_ns, self._clock_ns())
            waiting = [self._engine.oldest_ns, None if self._naming is None else self._naming.oldest_ns]
            if any(time_ns is not None and time_ns <= mark.last_ns for time_ns in waiting):
                return False
            mark.numbers = {name: one.taken for name, one in self._deliveries.items()}
        return all(one.is_done(mark.numbers[name]) for name, one in self._deliveries.items())

    @property
    def unsent(self) -> int:
        """Alerts that were not sent by the end."""
        return sum(one.unsent for one in self._deliveries.values())

    def finish(self, wait_s: float = _FINISH_S) -> list[str]:
        """Tell what is held back, and wait for what is being sent; a line for each alert."""
        rest = self._naming.rest() if self._naming is not None else []
        lines = self._send(self._engine.events(rest, self._clock_ns()) + self._engine.finish())
        delivery.finish(self._deliveries.values(), wait_s)
        return lines

    def troubles(self) -> list[str]:
        """Lines about notifiers that fail, or work again, since the last call."""
        return [line for one in self._deliveries.values() for line in one.said()]

    def summary(self) -> str:
        """The counts as one line."""
        counts = self.counts()
        alerts = sum(rule["alerts"] for rule in counts["rules"].values())
        matched = sum(rule["matched"] for rule in counts["rules"].values())
        parts = [f"rules matched {ledger.counted(matched, 'time')}, {ledger.counted(alerts, 'alert')}"]
        for name, sent in counts["notifiers"].items():
            parts.append(f"{name}: {sent['sent']} sent, {sent['failed']} failed, {sent['dropped']} dropped")
        if counts["evicted"]:
            parts.append(f"{counts['evicted']} groups forgotten")
        return "; ".join(parts)

    def counts(self) -> dict[str, Any]:
        """All counts: ``rules`` and ``notifiers`` by name, ``evicted``, ``held_back``."""
        return {
            "rules": {
                name: {"matched": counts.matched, "alerts": counts.alerts, "folded": counts.folded}
                for name, counts in self._engine.counts.items()
            },
            "notifiers": {
                name: {
                    "sent": one.sent,
                    "failed": one.failed,
                    "dropped": one.dropped,
                    "retried": one.notifier.retried,
                    "pending": one.pending(),
                }
                for name, one in self._deliveries.items()
            },
            "evicted": self._engine.evicted,
            "held_back": self._engine.held_back,
            "unnamed": self._naming.unnamed if self._naming is not None else 0,
        }

    def _send(self, alerts: list[Alert]) -> list[str]:
        for alert in alerts:
            for name in self._notify[alert.rule]:
                self._deliveries[name].put(alert, self._patience_s)
        return [f"alert: {alert.message()}" for alert in alerts]
