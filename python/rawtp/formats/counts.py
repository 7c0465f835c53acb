"""Counts of system calls as a table for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp.formats.escape import pad, quoted_name, width

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Row(Protocol):
        """What a table reads of a row."""

        @property
        def syscall(self) -> str | None: ...
        @property
        def abi(self) -> str: ...
        @property
        def pid(self) -> int | None: ...
        @property
        def comm(self) -> str | None: ...
        @property
        def calls(self) -> int: ...
        @property
        def errors(self) -> int: ...
        @property
        def errnos(self) -> tuple[tuple[str, int], ...]: ...
        @property
        def total_ns(self) -> int | None: ...
        @property
        def max_ns(self) -> int | None: ...
        @property
        def mean_ns(self) -> float | None: ...
        def quantile_ns(self, share: float) -> int | None: ...


_UNITS = (("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000))


def duration(ns: float | None) -> str:
    """The time with three digits and a unit; nothing for one that is not known."""
    if ns is None:
        return ""
    for unit, size in _UNITS:
        if ns >= size:
            return f"{ns / size:.3g} {unit}" if ns < 1000 * size else f"{ns / size:.0f} {unit}"
    return f"{ns:.0f} ns"


def name_of(row: Row, native: str) -> str:
    """The call, with its table where that is not the native one."""
    name = row.syscall or "(other numbers)"
    return name if row.abi == native else f"{name} ({row.abi})"


_SHOWN_ERRNOS = 3


def errnos_of(row: Row) -> str:
    """The most frequent errors of a row, each with its count."""
    shown = [f"{name} {count}" for name, count in row.errnos[:_SHOWN_ERRNOS]]
    return ", ".join([*shown, *(["..."] if len(row.errnos) > _SHOWN_ERRNOS else [])])


def titles(*, has_times: bool, by_process: bool) -> list[str]:
    """The heads of the columns."""
    times = ["% time", "total", "mean", "p50 <", "p99 <", "longest"] if has_times else ["% calls"]
    return [*times, "calls", "errors", *(["pid", "comm"] if by_process else []), "syscall", "errnos"]


LEFT = frozenset({"comm", "syscall", "errnos"})
"""The heads of columns that stand to the left."""


def cells(row: Row, whole: int, native: str, *, has_times: bool, by_process: bool) -> list[str]:
    """The texts of a row; ``whole`` is what its share is of: all calls, or all of the time."""
    part = (row.total_ns or 0) if has_times else row.calls
    texts = [f"{100 * part / whole:.2f}" if whole else "0.00"]
    if has_times:
        times = (row.total_ns, row.mean_ns, row.quantile_ns(0.5), row.quantile_ns(0.99), row.max_ns)
        texts += map(duration, times)
    texts += [str(row.calls), str(row.errors or "")]
    if by_process:
        texts += ["" if row.pid is None else str(row.pid), "(others)" if row.comm is None else quoted_name(row.comm)]
    return [*texts, name_of(row, native), errnos_of(row)]


def whole_of(rows: Sequence[Row], *, has_times: bool) -> int:
    """What the shares of the rows are of."""
    return sum((row.total_ns or 0) if has_times else row.calls for row in rows)


def table(rows: Sequence[Row], native: str, limit: int | None, *, has_times: bool, by_process: bool) -> list[str]:
    """The lines of the table. Numbers stand to the right, names to the left."""
    whole = whole_of(rows, has_times=has_times)
    heads = titles(has_times=has_times, by_process=by_process)
    shown = [cells(row, whole, native, has_times=has_times, by_process=by_process) for row in rows[:limit]]
    last = ["", *([""] * 5 if has_times else []), str(sum(row.calls for row in rows))]
    last += [str(sum(row.errors for row in rows) or ""), *(["", ""] if by_process else []), "total", ""]
    if not any(texts[-1] for texts in shown):
        heads, shown, last = heads[:-1], [texts[:-1] for texts in shown], last[:-1]
    widths = [max(map(width, column)) for column in zip(heads, *shown, last, strict=True)]

    def line(texts: Sequence[str]) -> str:
        padded = (
            pad(text, cells) if head in LEFT else " " * (cells - width(text)) + text
            for text, cells, head in zip(texts, widths, heads, strict=True)
        )
        return "  ".join(padded).rstrip()

    lines = [line(heads), *map(line, shown)]
    if limit is not None and len(rows) > limit:
        lines.append(f"... and {len(rows) - limit} more rows")
    return [*lines, line(last)]
