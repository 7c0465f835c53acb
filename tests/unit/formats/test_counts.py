"""Counts as text and as HTML."""

from __future__ import annotations

from typing import Any

import pytest

from rawtp._core import _NATIVE_ABI
from rawtp._counts import CountRow, CountsResult
from rawtp.formats.counts import duration

BUCKETS = 32


def row(syscall: str | None = "read", calls: int = 1, errors: int = 0, **given: object) -> CountRow:
    values: dict[str, object] = {"abi": _NATIVE_ABI, "pid": None, "comm": None, "total_ns": None, "max_ns": None}
    values |= {"buckets": None, "errnos": (), **given}
    return CountRow(syscall=syscall, calls=calls, errors=errors, **values)  # type: ignore[arg-type]


def timed(counts: dict[int, int]) -> tuple[int, ...]:
    return tuple(counts.get(at, 0) for at in range(BUCKETS))


def result(*rows: CountRow, has_times: bool = False, by_process: bool = False, **given: object) -> CountsResult:
    values: dict[str, object] = {"seconds": 2.0, "missed": 0, "unfollowed": 0, **given}
    return CountsResult(rows, has_times=has_times, by_process=by_process, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (None, ""),
        (0, "0 ns"),
        (999, "999 ns"),
        (1000, "1 us"),
        (12_345, "12.3 us"),
        (2**20, "1.05 ms"),
        (1.5e9, "1.5 s"),
        (5e12, "5000 s"),
    ],
)
def test_durations(ns: float | None, text: str) -> None:
    assert duration(ns) == text


def test_a_table_of_calls() -> None:
    shown = str(result(row(calls=30), row("openat", 9), row(None, 1, abi="i386")))
    assert shown.splitlines() == [
        "40 calls in 2 s, 20 a second",
        "% calls  calls  errors  syscall",
        "  75.00     30          read",
        "  22.50      9          openat",
        "   2.50      1          (other numbers) (i386)",
        "            40          total",
    ]


def test_a_table_of_times_by_process() -> None:
    times: dict[str, Any] = {"total_ns": 3_000, "max_ns": 2_500, "buckets": timed({0: 9, 7: 1})}
    shown = result(
        row(calls=10, pid=7, comm="a\x1b[m", **times),
        row(calls=5, total_ns=0, max_ns=0, buckets=timed({})),
        has_times=True,
        by_process=True,
        missed=3,
    )
    title, head, first, second, total, others, missed = str(shown).splitlines()
    assert title == "15 calls in 2 s, 8 a second"
    lines = [" ".join(line.split()) for line in (head, first, second, total)]
    assert lines == [
        "% time total mean p50 < p99 < longest calls errors pid comm syscall",
        "100.00 3 us 300 ns 64 ns 8.19 us 2.5 us 10 7 a\\x1b[m read",
        "0.00 0 ns 0 ns 5 (others) read",
        "15 total",
    ]
    assert others == "5 calls are of processes that there was no room for: max_rows"
    assert missed == "the kernel skipped 3 entries or exits of calls: they are not counted"


def test_errors_by_name() -> None:
    many = (("EAGAIN", 5), ("EINTR", 3), ("EPERM", 2), ("EIO", 1))
    shown = result(row(calls=30, errors=11, errnos=many), row("open", 9, 4, errnos=(("ENOENT", 1),)), row("close", 1))
    assert str(shown).splitlines() == [
        "40 calls in 2 s, 20 a second",
        "% calls  calls  errors  syscall  errnos",
        "  75.00     30      11  read     EAGAIN 5, EINTR 3, EPERM 2, ...",
        "  22.50      9       4  open     ENOENT 1",
        "   2.50      1          close",
        "            40      15  total",
        "3 errors are not told apart, because there was no room for more of them",
    ]
    assert [one.other_errors for one in shown.rows] == [0, 3, 0]
    assert "EAGAIN 5" in shown._repr_html_()


def test_the_difference_of_errors() -> None:
    before = result(row(calls=9, errors=3, errnos=(("EAGAIN", 2), ("EPERM", 1))), seconds=1.0)
    errnos = (("EAGAIN", 3), ("EINTR", 3), ("EPERM", 1))
    after = result(row(calls=19, errors=8, errnos=errnos), seconds=3.0, missed=None)
    difference = after - before
    assert difference.rows[0].errnos == (("EINTR", 3), ("EAGAIN", 1))
    assert (difference.errors, difference.missed) == (5, None)


def test_a_broker_that_ended_it() -> None:
    assert "the counting was ended: the broker was stopped" in str(result(row(), ended="the broker was stopped"))


def test_columns_have_the_errors() -> None:
    batch = result(row(errors=3, errnos=(("EAGAIN", 2), ("EPERM", 1))), row("write")).to_arrow()
    assert [one["errnos"] for one in batch.to_dicts()] == [{"EAGAIN": 2, "EPERM": 1}, {}]  # type: ignore[typeddict-item]


def test_a_histogram_and_what_is_made_of_it() -> None:
    of = row(calls=100, total_ns=10_000, max_ns=5_000, buckets=timed({1: 90, 4: 9, 31: 1}))
    assert of.histogram == [(128, 90), (1024, 9), (None, 1)]
    assert (of.timed, of.mean_ns) == (100, 100)
    assert [of.quantile_ns(share) for share in (0.0, 0.5, 0.9, 0.91, 0.99, 1.0)] == [128, 128, 128, 1024, 1024, None]
    assert (row().histogram, row().mean_ns, row().quantile_ns(0.5)) == ([], None, None)


def test_a_page_has_bars_and_no_names_that_act() -> None:
    html = result(row(calls=3, pid=1, comm="<script>"), row("write", 1), by_process=True)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "width: 7.5em" in html
    assert "width: 2.5em" in html


def test_nothing_was_counted() -> None:
    empty = result(seconds=0.0)
    assert str(empty) == "0 calls in 0 ns\n% calls  calls  errors  syscall\n             0          total"
    assert "<table>" in empty._repr_html_()
    assert (empty.calls, empty.errors, empty.others) == (0, 0, 0)
    assert empty.__sub__(1) is NotImplemented  # type: ignore[operator]
