"""In which order events come: docs/reference/ledger.md."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.counted import assert_positions, counted
from helpers.support import assert_ledger, read_to_end, release, stopped, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

pytestmark = pytest.mark.kernel

FIELDS = ("cpu", "via", "seq", "lost", "tid", "ts_ns", "filename", "ret")


def per_thread(events: Iterable[rawtp.Event]) -> dict[int, list[rawtp.Event]]:
    threads: dict[int, list[rawtp.Event]] = defaultdict(list)
    for event in events:
        threads[event["tid"]].append(event)
    return threads


@pytest.mark.parametrize("ring_bytes", [64 << 10, 32 << 20])
def test_calls_of_a_thread_come_in_their_order(program: Callable[[str], Path], tmp_path: Path, ring_bytes: int) -> None:
    """On whatever CPUs it ran, with losses and without."""
    with (
        counted(program, tmp_path, 6, 20_000) as process,
        rawtp.Tracer(pid=process.pid, fields=FIELDS, ring_bytes=ring_bytes, queue_bytes=1 << 20) as tracer,
    ):
        process.go()
        events = read_to_end(tracer, process.process)
        stats = tracer.stats()
    assert_ledger(stats)
    assert len(events) + stats.lost_ring == 6 * 20_000
    assert assert_positions(events, stats.tail_lost) == stats.lost_ring
    threads = per_thread(events)
    assert len(threads) == 6
    for calls in threads.values():
        times = [event["ts_ns"] for event in calls]
        assert times == sorted(times)
        for cpu in {event["cpu"] for event in calls}:
            seqs = [event["seq"] for event in calls if event["cpu"] == cpu]
            assert seqs == sorted(set(seqs))


def test_the_names_of_one_thread_as_it_made_them(own: rawtp.Tracer) -> None:
    names = [f"/nonexistent/rawtp-{number}" for number in range(5000)]
    cpus = sorted(os.sched_getaffinity(0))
    try:
        for at, name in enumerate(names):
            if at % 100 == 0:
                os.sched_setaffinity(0, {cpus[at // 100 % len(cpus)]})
            Path(name).unlink(missing_ok=True)
    finally:
        os.sched_setaffinity(0, cpus)
    events: list[rawtp.Event] = []
    while len(events) < len(names):
        events += own.get_many(timeout=10)
    assert [event["filename"] for event in events] == names
    assert {event["cpu"] for event in events} == set(cpus)


def test_without_results_seq_rises(program: Callable[[str], Path], tmp_path: Path) -> None:
    """By each CPU and way, strictly, from one event to the next: their order is that of the entries."""
    with (
        counted(program, tmp_path, 6, 20_000) as process,
        rawtp.Tracer(pid=process.pid, fields=FIELDS, results=False, ring_bytes=64 << 10, queue_bytes=1 << 20) as tracer,
    ):
        process.go()
        events = read_to_end(tracer, process.process)
        stats = tracer.stats()
    last: dict[tuple[int, str], int] = defaultdict(int)
    for event in events:
        place = event["cpu"], event["via"]
        assert event["seq"] == last[place] + 1 + event["lost"]
        last[place] = event["seq"]
    assert sum(last.values()) + stats.tail_lost == 6 * 20_000


def test_a_call_that_takes_long_holds_nobody_up(program: Callable[[str], Path]) -> None:
    """With results an event comes when its call ends: one that began earlier can come later. Its number tells."""
    cpu = min(os.sched_getaffinity(0))
    with (
        stopped(["taskset", "-c", str(cpu), program("blocked")]) as process,
        rawtp.Tracer(pid=(os.getpid(), process.pid), fields=FIELDS) as tracer,
    ):
        release(process)
        wait_for(lambda: tracer.get_many(timeout=0) == [] and tracer.stats().pending == 1, "an open call")
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cpu})
        try:
            Path("/nonexistent/rawtp-quick").unlink(missing_ok=True)
        finally:
            os.sched_setaffinity(0, before)
        mine = [f"/nonexistent/rawtp-{name}" for name in ("quick", "blocked")]
        events: list[rawtp.Event] = []
        while not any(event["filename"] == mine[0] for event in events):
            events += tracer.get_many(timeout=10)
        release(process)
        while not any(event["filename"] == mine[1] for event in events):
            events += tracer.get_many(timeout=10)
    quick, slow = (event for event in events if event["filename"] in mine)
    assert [quick["filename"], slow["filename"]] == mine
    assert quick["cpu"] == slow["cpu"] == cpu
    assert quick["seq"] > slow["seq"]
    assert quick["ts_ns"] > slow["ts_ns"]
