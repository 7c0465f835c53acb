"""How often each system call was made, how often it failed, and how long it took: as ``strace -c`` counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp.formats.escape import quoted_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rawtp.event import Event

_KINDS = 4096  # of calls, over all tables: there are fewer


class CallSummary:
    """Counts events by their call. What has no result counts as a call alone."""

    fields = ("syscall", "errno", "duration_ns")
    """The keys that events must have."""

    def __init__(self) -> None:
        self._found: dict[str, list[int]] = {}

    def add(self, events: Iterable[Event]) -> None:
        """Count these."""
        found = self._found
        for event in events:
            name = event["syscall"] or "?"
            row = found.get(name)
            if row is None:
                if len(found) >= _KINDS:
                    name = "others"
                row = found.setdefault(name, [0, 0, 0])
            row[0] += 1
            row[1] += event["errno"] is not None
            row[2] += event["duration_ns"] or 0

    def lines(self) -> list[str]:
        """A table, what took longest first."""
        rows = sorted(self._found.items(), key=lambda row: (-row[1][2], -row[1][0], row[0]))
        total_ns = sum(took for _, (_, _, took) in rows)
        lines = [f"{'% time':>6} {'seconds':>11} {'usecs/call':>11} {'calls':>9} {'errors':>9} syscall"]
        for name, (calls, errors, took) in [*rows, ("total", self._total())]:
            share = 100 * took / total_ns if total_ns else 0.0
            failed = str(errors) if errors else ""
            lines.append(
                f"{share:6.2f} {took / 1e9:11.6f} {took // 1000 // max(calls, 1):11} {calls:9} {failed:>9}"
                f" {quoted_name(name)}"
            )
        return lines

    def _total(self) -> list[int]:
        columns = zip(*self._found.values(), strict=True) if self._found else [(0,)] * 3
        return [sum(column) for column in columns]
