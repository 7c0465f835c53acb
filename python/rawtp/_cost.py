"""Measures the cost of rawtp on this machine: :func:`rawtp.cost`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from rawtp._core import Tracer
from rawtp._core import _cost as _measure

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from rawtp._options import TracerOptions


_NAMES = {
    "bare": "nothing attached",
    "empty": "an empty raw_tp/sys_enter",
    "guide_raw_tp": "pid, comm, filename from raw_tp/sys_enter",
    "guide_tracepoint": "the same from tracepoint/syscalls/sys_enter_unlinkat",
    "rawtp": "rawtp with these options",
}

_FILTERS = ("uid", "comm", "cgroup", "path", "exclude_self")


@dataclass(frozen=True)
class CostFigure:
    """The time that one call takes."""

    ns: float
    """Nanoseconds: the median of the rounds."""
    spread_ns: float
    """The distance between the quartiles: half of the rounds lie within it."""
    ratio: float
    """The time as a multiple of the same call with nothing attached: the median of the rounds' ratios."""


@dataclass(frozen=True)
class CostRow:
    """One thing that can be attached, and what calls take meanwhile."""

    key: str
    """``"bare"``, ``"empty"``, ``"guide_raw_tp"``, ``"guide_tracepoint"`` or ``"rawtp"``."""
    name: str
    """The key in words."""
    unmatched: CostFigure | None
    """A call that is not watched (``getppid``): the overhead that every other call on the host pays."""
    matched: CostFigure | None
    """A call that is watched (``unlinkat`` of a missing name). A real deletion takes many times as long."""
    records: int
    """Calls that it reported meanwhile, other processes' among them."""
    lost: int
    """Records that found no room meanwhile: with any, the call did less work than it should have."""
    reason: str | None
    """The reason why there are no figures; ``None`` when there are."""


@dataclass(frozen=True)
class Cost:
    """The result of :func:`rawtp.cost`: data, and a table as ``str``."""

    rows: tuple[CostRow, ...]
    """The rows, in the order of ``key``'s values."""
    rounds: int
    """The number of times that each row was measured."""
    notes: tuple[str, ...]
    """Remarks on the figures, a line each."""

    def __getitem__(self, key: str) -> CostRow:
        """The row of that key."""
        for row in self.rows:
            if row.key == key:
                return row
        raise KeyError(key)

    def as_dict(self) -> dict[str, Any]:
        """Give the data as dicts and lists, ready for JSON."""
        return asdict(self) | {"rows": [asdict(row) for row in self.rows], "notes": list(self.notes)}

    def __str__(self) -> str:
        width = max(len(row.name) for row in self.rows)
        lines = [
            f"{'ns a call':<{width}}  {'getppid: does not match':^25}  {'unlinkat: matches':^25}",
            f"{'':<{width}} " + f" {'median':>8} {'spread':>8} {'ratio':>7} " * 2,
        ]
        for row in self.rows:
            cells = row.reason or f"{_cells(row.unmatched)}  {_cells(row.matched)}"
            lines.append(f"{row.name:<{width}}  {cells}")
        lines += self.notes
        return "\n".join(line.rstrip() for line in lines)


def _cells(figure: CostFigure | None) -> str:
    return "" if figure is None else f"{figure.ns:8.1f} {figure.spread_ns:8.1f} {figure.ratio:6.2f}x"


def cost(seconds: float = 3.0, **options: Unpack[TracerOptions]) -> Cost:
    """Measure what rawtp costs on this machine, now, beside what else could be attached.

    Each is attached in turn, round after round, while a thread of its own, bound to one CPU, makes one call that does
    not match and one that does. No thread of the caller's is bound, the GIL is not held, and nothing is deleted. The
    rows: nothing; an empty raw tracepoint, the floor; one piece of work (pid, comm and filename to a ring) from the raw
    tracepoint and from the tracepoint of ``unlinkat`` (``bpf/probes/cost.bpf.c`` has both side by side); and a
    :class:`rawtp.Tracer` with ``options``. A row that cannot be measured here has its ``reason``.

    ::

        print(rawtp.cost(fields=rawtp.BASIC_FIELDS, results=False))

    Args:
        seconds: how long, about: above 0 and at most 3600. There are three rounds at the least, which take about one.
        options: what :class:`rawtp.Tracer` takes, by name.

    Raises:
        ValueError: ``seconds`` outside its rule.
        OSError: this host lets no thread be bound to a CPU, or does not say ``ENOENT`` of a name that is not there.
        Exception: whatever ``rawtp.Tracer(**options)`` raises, above all PermissionError.
    """
    # Each round makes another tracer, but an iterator gives its values only once.
    kept = {name: tuple(value) if isinstance(value, Iterator) else value for name, value in options.items()}
    options = cast("TracerOptions", kept)
    rounds, found, others = _measure(seconds, lambda: Tracer(**options))
    by_key = {values[0]: values for values in found}
    rows = [_row(*by_key[key]) for key in _NAMES]
    return Cost(tuple(rows), rounds, tuple(_notes(rows, options, others)))


def _row(
    key: str,
    unmatched: tuple[float, float, float] | None,
    matched: tuple[float, float, float] | None,
    records: int,
    lost: int,
    reason: str | None,
) -> CostRow:
    unmatched_figure = CostFigure(*unmatched) if unmatched else None
    matched_figure = CostFigure(*matched) if matched else None
    return CostRow(key, _NAMES[key], unmatched_figure, matched_figure, records, lost, reason)


def _notes(rows: list[CostRow], options: TracerOptions, others: list[str]) -> list[str]:
    notes = []
    given_calls = options.get("syscalls")
    syscalls = [given_calls] if isinstance(given_calls, str) else given_calls
    if syscalls is not None and not {"unlinkat", "delete", "loss"}.intersection(syscalls):
        notes.append("unlinkat is none of these syscalls: rawtp, too, passes over it")
    given = options.get("pid")
    pids = [given] if given is None or isinstance(given, int) else list(given)
    if given is not None and os.getpid() not in pids:
        processes = "process" if len(pids) == 1 else "processes"
        numbers = ", ".join(map(str, pids))
        notes.append(f"rawtp watches {processes} {numbers} only: it leaves these calls out, in the kernel")
    elif not rows[-1].records and any(options.get(name) for name in _FILTERS):
        notes.append("rawtp's filters leave these calls out, in the kernel")
    notes += [f"{row.lost} records of {row.key!r} found no room: its calls did less work" for row in rows if row.lost]
    notes += [f"attached by others meanwhile, and part of every figure: {other}" for other in others]
    return notes
