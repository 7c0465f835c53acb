"""Compares events with rules, counts them in windows, and folds what repeats. It knows no clock, thread or socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp._alert.alert import Alert, identity
from rawtp._alert.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from rawtp._alert.alert import Kind
    from rawtp._alert.rules import Rule
    from rawtp.event import Event

MAX_GROUPS = 4096
"""The groups whose counts are kept, of all rules."""
MAX_TIMES = 1 << 20
"""The times of events that are kept for windows, of all groups."""


class RuleCounts:
    """What became of the events of one rule."""

    __slots__ = ("alerts", "folded", "matched")

    def __init__(self) -> None:
        self.matched = 0
        """Events that the rule matches."""
        self.alerts = 0
        """Alerts, those about repeats too."""
        self.folded = 0
        """Events that came in a cool-down; an alert about repeats has told them, or will."""


class _Group:
    __slots__ = ("event", "first_ns", "folded", "last_ns", "until_ns", "values", "window")

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = values
        self.window: Window | None = None
        self.until_ns: int | None = None  # the end of the cool-down
        self.folded = 0
        self.first_ns = self.last_ns = 0
        self.event: Event | None = None


class Engine:
    """Takes events, and gives alerts. All times are Unix times in nanoseconds, and ``now_ns`` is the caller's clock.

    A group is forgotten when it has nothing to say any more. Where there are too many groups, the one that has been
    quiet the longest is forgotten: ``evicted`` counts these.
    """

    def __init__(self, rules: Sequence[Rule], *, max_groups: int = MAX_GROUPS, max_times: int = MAX_TIMES) -> None:
        self.counts = {rule.name: RuleCounts() for rule in rules}
        self.evicted = 0
        self._of_events = [(number, rule) for number, rule in enumerate(rules) if not rule.is_loss]
        self._of_losses = [(number, rule) for number, rule in enumerate(rules) if rule.is_loss]
        self._rules = list(rules)
        self._groups: dict[tuple[int, tuple[object, ...]], _Group] = {}
        self._max_groups = max_groups
        self._max_times = max_times
        self._times = 0
        self._next_ns: int | None = None
        self._ticked_ns = 0

    def events(self, events: Iterable[Event], now_ns: int) -> list[Alert]:
        """Compare these events with every rule."""
        alerts: list[Alert] = []
        for event in events:
            for number, rule in self._of_events:
                if rule.matches(event):
                    values = tuple([_group_value(event, key) for key in rule.by]) if rule.by else ()
                    self._add(number, rule, values, event, event["ts_ns"], 1, now_ns, alerts)
            if self._of_losses and event["lost"]:
                self._lost(event["lost"], event["ts_ns"], now_ns, alerts)
        return alerts

    def lost(self, count: int, now_ns: int) -> list[Alert]:
        """Note events that were lost."""
        alerts: list[Alert] = []
        self._lost(count, now_ns, now_ns, alerts)
        return alerts

    def tick(self, now_ns: int) -> list[Alert]:
        """End the cool-downs that are over: what they held back is told."""
        alerts: list[Alert] = []
        is_set_back = now_ns < self._ticked_ns
        self._ticked_ns = now_ns
        if not is_set_back and (self._next_ns is None or now_ns < self._next_ns):
            return alerts
        self._next_ns = None
        for key, group in list(self._groups.items()):
            rule = self._rules[key[0]]
            if group.until_ns is not None:
                # The clock may have been set back.
                group.until_ns = min(group.until_ns, now_ns + rule.cooldown_ns)
                self._end_cooldown(rule, group, now_ns, alerts)
                self._note(group.until_ns)
            if group.until_ns is None:
                if group.window is None or group.window.is_over(now_ns):
                    self._forget(key)
                else:
                    self._note(group.window.last_ns + rule.window_ns)
        return alerts

    def finish(self) -> list[Alert]:
        """Tell what cool-downs hold back, at the end."""
        alerts: list[Alert] = []
        for key, group in self._groups.items():
            self._tell_folded(self._rules[key[0]], group, alerts)
        self._groups.clear()
        self._times = 0
        self._next_ns = None
        return alerts

    @property
    def held_back(self) -> int:
        """Events in cool-downs that no alert has told yet."""
        return sum(group.folded for group in self._groups.values())

    @property
    def oldest_ns(self) -> int | None:
        """The time of the earliest event that counts in a window, or that no alert has told yet."""
        times = [group.first_ns for group in self._groups.values() if group.folded]
        times += [group.window.first_ns for group in self._groups.values() if group.window]
        return min(times, default=None)

    def _lost(self, count: int, time_ns: int, now_ns: int, alerts: list[Alert]) -> None:
        for number, rule in self._of_losses:
            self._add(number, rule, (), None, time_ns, count, now_ns, alerts)

    def _add(
        self,
        number: int,
        rule: Rule,
        values: tuple[object, ...],
        event: Event | None,
        time_ns: int,
        count: int,
        now_ns: int,
        alerts: list[Alert],
    ) -> None:
        counts = self.counts[rule.name]
        counts.matched += count
        key = (number, values)
        # What was used last is at the end.
        group = self._groups.pop(key, None) or _Group(dict(zip(rule.by, values, strict=True)))
        self._groups[key] = group
        if group.until_ns is not None:
            group.until_ns = min(group.until_ns, now_ns + rule.cooldown_ns)
            self._end_cooldown(rule, group, now_ns, alerts)
            self._note(group.until_ns)
        if group.until_ns is not None:
            counts.folded += count
            group.first_ns = min(group.first_ns, time_ns) if group.folded else time_ns
            group.last_ns = max(group.last_ns, time_ns) if group.folded else time_ns
            group.folded += count
            group.event = event
        elif self._is_enough(rule, group, time_ns, now_ns):
            first_ns, last_ns = time_ns, time_ns
            kind: Kind = "loss" if rule.is_loss else "event"
            if group.window is not None:
                first_ns, last_ns, count, kind = group.window.first_ns, group.window.last_ns, len(group.window), "count"
                self._times -= len(group.window)
                group.window = None
            self._alert(rule, kind, group, count, first_ns, last_ns, event, alerts)
            if rule.cooldown_ns:
                group.until_ns = now_ns + rule.cooldown_ns
                self._note(group.until_ns)
            else:
                self._forget(key)
        elif group.window is not None:
            self._note(group.window.last_ns + rule.window_ns)
        self._bound(alerts)

    def _is_enough(self, rule: Rule, group: _Group, time_ns: int, now_ns: int) -> bool:
        if rule.count == 1:
            return True
        if group.window is None:
            group.window = Window(rule.count, rule.window_ns)
        before = len(group.window)
        is_enough = group.window.add(time_ns, now_ns)
        self._times += len(group.window) - before
        return is_enough

    def _end_cooldown(self, rule: Rule, group: _Group, now_ns: int, alerts: list[Alert]) -> None:
        """End it if it is over. What it has held back is told, and begins another."""
        if group.until_ns is None or now_ns < group.until_ns:
            return
        group.until_ns = None
        if self._tell_folded(rule, group, alerts):
            group.until_ns = now_ns + rule.cooldown_ns

    def _tell_folded(self, rule: Rule, group: _Group, alerts: list[Alert]) -> bool:
        if not group.folded:
            return False
        kind: Kind = "loss" if rule.is_loss else "repeat"
        self._alert(rule, kind, group, group.folded, group.first_ns, group.last_ns, group.event, alerts)
        group.folded = 0
        group.event = None
        return True

    def _alert(
        self,
        rule: Rule,
        kind: Kind,
        group: _Group,
        count: int,
        first_ns: int,
        last_ns: int,
        event: Event | None,
        alerts: list[Alert],
    ) -> None:
        self.counts[rule.name].alerts += 1
        window_s = rule.window_ns / 1e9 if kind == "count" else None
        number = identity(rule.name, kind, count, event)
        alerts.append(Alert(rule.name, kind, count, first_ns, last_ns, group.values, event, window_s, number))

    def _note(self, time_ns: int | None) -> None:
        if time_ns is not None and (self._next_ns is None or time_ns < self._next_ns):
            self._next_ns = time_ns

    def _forget(self, key: tuple[int, tuple[object, ...]]) -> None:
        group = self._groups.pop(key)
        if group.window is not None:
            self._times -= len(group.window)

    def _bound(self, alerts: list[Alert]) -> None:
        while len(self._groups) > self._max_groups or (self._times > self._max_times and len(self._groups) > 1):
            key = next(iter(self._groups))
            self._tell_folded(self._rules[key[0]], self._groups[key], alerts)
            self._forget(key)
            self.evicted += 1


def _group_value(event: Mapping[str, Any], key: str) -> object:
    if key != "directory":
        return event.get(key)
    path: str | None = event["real_path"] or event["path"]
    return None if path is None else path.rpartition("/")[0] or "/"
