"""What was counted: rows, and what can be made of them."""

from __future__ import annotations

from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING

from rawtp._core import _NATIVE_ABI, _bucket_bounds, _count_columns
from rawtp.formats.counts import duration, table

if TYPE_CHECKING:
    from typing import Any

    from rawtp._core import Batch

_BOUNDS = _bucket_bounds()
_SHOWN_ROWS = 40


@dataclass(frozen=True)
class CountRow:
    """The calls of one system call, or of one by one process."""

    syscall: str | None
    """The name; ``None`` for the numbers that have none."""
    abi: str
    """The table that the number is of, as in :class:`rawtp.Event`."""
    pid: int | None
    """The process, by its pid on the host; ``None`` for all, or for those that there was no room for."""
    comm: str | None
    """The name of the process's main thread; ``None`` where ``pid`` is."""
    calls: int
    """Calls that began."""
    errors: int
    """Calls that returned an error."""
    errnos: tuple[tuple[str, int], ...]
    """The errors by name, ``("ENOENT", 5)``, the most frequent first. The kernel tells 12 different ones of a call
    apart on each CPU; with ``by="process"`` it has room for ``max_rows`` of them in all. See :attr:`other_errors`."""
    total_ns: int | None
    """The time that those that returned took, together. This and the rest is ``None`` without ``latency=True``."""
    max_ns: int | None
    """The longest of these times; ``None`` in a difference, too."""
    buckets: tuple[int, ...] | None
    """How many calls took how long: the first below 64 ns, each other one twice as long, the last without a bound."""

    @property
    def histogram(self) -> list[tuple[int | None, int]]:
        """The buckets that are not empty: the bound in ns that their times are below, ``None`` for the last, and how
        many calls."""
        return [(bound, count) for bound, count in zip(_BOUNDS, self.buckets or (), strict=False) if count]

    @property
    def other_errors(self) -> int:
        """Errors that are not among :attr:`errnos`, because there was no room for them."""
        return max(0, self.errors - sum(count for _, count in self.errnos))

    @property
    def timed(self) -> int:
        """The calls whose time is known: all of the histogram."""
        return sum(self.buckets or ())

    @property
    def mean_ns(self) -> float | None:
        """The mean time; ``None`` where none is known."""
        return self.total_ns / timed if self.total_ns is not None and (timed := self.timed) else None

    def quantile_ns(self, share: float) -> int | None:
        """The bound in ns of the bucket that has the last call of this share: 0.5 for the median.

        It is at most twice that call's time. ``None`` where no time is known, or the bucket has no bound.
        """
        left = share * self.timed
        for bound, count in self.histogram:
            left -= count
            if left <= 0:
                return bound
        return None


@dataclass(frozen=True)
class CountsResult:
    """The result of :func:`rawtp.counts` and :meth:`rawtp.Counts.read`: data, a table as ``str``, and Arrow columns.

    The difference of two, ``later - earlier``, is what was counted between them.
    """

    rows: tuple[CountRow, ...]
    """Those with most time first, or with most calls where no times were measured."""
    seconds: float
    """How long it was counted."""
    missed: int | None
    """Runs of a program that the kernel skipped, because it had preempted it for another task. 0 but on kernels that
    preempt such programs and have no other hook. ``None`` where a broker could not tell."""
    unfollowed: int
    """Processes that were not followed although their parent is, because too many were."""
    has_times: bool
    """Whether times were measured."""
    by_process: bool
    """Whether there are rows by process."""
    ended: str | None = None
    """The reason why a broker has ended the counting; ``None`` where none has."""
    returncode: int | None = None
    """The exit code of the command of :func:`rawtp.counts`, 128 + n when signal n ended it; ``None`` without one."""

    @classmethod
    def _read(
        cls, found: tuple[float, int | None, int, str | None, list[Any]], *, has_times: bool, by_process: bool
    ) -> CountsResult:
        seconds, missed, unfollowed, ended, cells = found
        rows = (CountRow(*row) for row in cells)
        # A call that seccomp refused has no entry, only an error.
        whole = (replace(row, calls=row.errors) if row.errors > row.calls else row for row in rows)
        return cls(_sorted(whole, has_times=has_times), seconds, missed, unfollowed, has_times, by_process, ended)

    @property
    def calls(self) -> int:
        """All calls."""
        return sum(row.calls for row in self.rows)

    @property
    def errors(self) -> int:
        """All errors."""
        return sum(row.errors for row in self.rows)

    @property
    def others(self) -> int:
        """With ``by="process"``: calls of processes that there was no room for, whose rows have no ``pid``."""
        return sum(row.calls for row in self.rows if row.pid is None) if self.by_process else 0

    def __sub__(self, earlier: CountsResult) -> CountsResult:
        if not isinstance(earlier, CountsResult):
            return NotImplemented
        before = {_key(row): row for row in earlier.rows}
        rows = [row if (old := before.get(_key(row))) is None else _less(row, old) for row in self.rows]
        return CountsResult(
            _sorted((row for row in rows if row.calls or row.errors or row.timed), has_times=self.has_times),
            self.seconds - earlier.seconds,
            None if self.missed is None or earlier.missed is None else self.missed - earlier.missed,
            self.unfollowed - earlier.unfollowed,
            self.has_times,
            self.by_process,
            self.ended,
            self.returncode,
        )

    def to_arrow(self) -> Batch:
        """The rows as Arrow columns, for polars, pandas, pyarrow and DuckDB. ``histogram`` has the buckets,
        ``errnos`` a list of the errors, each with its count."""
        return _count_columns([astuple(row) for row in self.rows])

    def __arrow_c_schema__(self) -> object:
        return self.to_arrow().__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def describe(self, rows: int | None = None) -> str:
        """The table, with at most so many rows."""
        lines = [
            self.title(),
            *table(self.rows, _NATIVE_ABI, rows, has_times=self.has_times, by_process=self.by_process),
        ]
        return "\n".join([*lines, *self.notes()])

    def title(self) -> str:
        """How many calls in how long."""
        rate = f", {self.calls / self.seconds:,.0f} a second" if self.seconds > 0 else ""
        return f"{self.calls:,} calls in {duration(self.seconds * 1e9)}{rate}"

    def notes(self) -> list[str]:
        """What the rows do not show, a line each."""
        notes = []
        if self.others:
            notes.append(f"{self.others:,} calls are of processes that there was no room for: max_rows")
        if self.missed:
            notes.append(f"the kernel skipped {self.missed:,} entries or exits of calls: they are not counted")
        if unlisted := sum(row.other_errors for row in self.rows):
            notes.append(f"{unlisted:,} errors are not told apart, because there was no room for more of them")
        if self.ended:
            notes.append(f"the counting was ended: {self.ended}")
        if self.unfollowed:
            notes.append(f"{self.unfollowed:,} processes were not followed, because too many were")
        return notes

    def __str__(self) -> str:
        return self.describe(_SHOWN_ROWS)

    def _repr_html_(self) -> str:
        from rawtp.notebook._counts import html

        return html(self.rows, self.title(), self.notes(), has_times=self.has_times, by_process=self.by_process)


def _key(row: CountRow) -> tuple[object, ...]:
    return row.syscall, row.abi, row.pid, row.comm


def _sorted(rows: Any, *, has_times: bool) -> tuple[CountRow, ...]:
    def weight(row: CountRow) -> tuple[object, ...]:
        return -((row.total_ns or 0) if has_times else row.calls), -row.calls, row.syscall or "", row.pid or 0

    return tuple(sorted(rows, key=weight))


def _less(row: CountRow, old: CountRow) -> CountRow:
    before_of = dict(old.errnos)
    fewer = [(name, count - before_of.get(name, 0)) for name, count in row.errnos]
    errnos = tuple(sorted(((name, count) for name, count in fewer if count), key=lambda pair: -pair[1]))
    changed: dict[str, Any] = {"calls": row.calls - old.calls, "errors": row.errors - old.errors, "errnos": errnos}
    if row.total_ns is not None and old.total_ns is not None:
        pairs = zip(row.buckets or (), old.buckets or (), strict=True)
        buckets = tuple(new - before for new, before in pairs)
        # The longest may have been before.
        changed |= {"total_ns": row.total_ns - old.total_ns, "max_ns": None, "buckets": buckets}
    return replace(row, **changed)
