"""A call that takes its time: its event waits for its result, and is given without one when none can come."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import HANG_S, assert_ledger, read_to_end, release, stopped, wait_for

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.kernel

NAME = "/nonexistent/rawtp-blocked"


@pytest.fixture
def blocked(program: Callable[[str], Path]) -> Iterator[tuple[subprocess.Popen[str], rawtp.Tracer]]:
    """A program inside an unlinkat whose entry has been read."""
    with stopped([program("blocked")]) as process, rawtp.Tracer(pid=process.pid) as tracer:
        release(process)
        wait_for(lambda: tracer.get_many(timeout=0) == [] and tracer.stats().pending == 1, "an open call")
        yield process, tracer


def test_it_waits_for_its_result(blocked: tuple[subprocess.Popen[str], rawtp.Tracer]) -> None:
    process, tracer = blocked
    stats = tracer.stats()
    assert (stats.pending, stats.buffered, stats.delivered) == (1, 0, 0)
    assert_ledger(stats)
    with pytest.raises(TimeoutError):
        tracer.get(timeout=0.05)
    release(process)
    event = tracer.get(timeout=10)
    # The name could not be read when the call began: the page was not there.
    assert (event["filename"], event["name_status"], event["errno"]) == (NAME, "ok", "ENOENT")
    assert (event["duration_ns"] or 0) > 50_000_000
    assert event["tid"] != event["pid"] == process.pid
    assert tracer.stats().pending == 0


def test_at_the_close_it_is_delivered_without_one(blocked: tuple[subprocess.Popen[str], rawtp.Tracer]) -> None:
    process, tracer = blocked
    tracer.close()
    assert tracer.stats().discarded == 1
    events = list(tracer)
    assert [(event["pid"], event["filename"], event["name_status"]) for event in events] == [
        (process.pid, None, "fault")
    ]
    assert [(event["ret"], event["errno"], event["duration_ns"]) for event in events] == [(None, None, None)]
    stats = tracer.stats()
    assert (stats.delivered, stats.discarded, stats.pending) == (1, 0, 0)
    assert_ledger(stats)


def test_a_process_killed_inside_it(blocked: tuple[subprocess.Popen[str], rawtp.Tracer]) -> None:
    process, tracer = blocked
    process.kill()
    events = read_to_end(tracer, process)
    assert [(event["filename"], event["name_status"], event["errno"]) for event in events] == [
        (None, "fault", "EFAULT")
    ]
    stats = tracer.stats()
    assert (stats.pending, stats.name_faults) == (0, 1)
    assert_ledger(stats)


def test_a_lost_one_that_ends_on_another_cpu(program: Callable[[str], Path]) -> None:
    """What the exit must know of the entry, it must find wherever the task went meanwhile."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        pytest.skip("one CPU")

    def waits_for_its_page(process: subprocess.Popen[str]) -> bool:
        # 5.10 has no wchan of it, and /proc/PID/stack is root's.
        tasks = Path(f"/proc/{process.pid}/task").iterdir()
        return any("userfault" in (task / name).read_text() for task in tasks for name in ("wchan", "stack"))

    def move(process: subprocess.Popen[str], cpu: int) -> None:
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {cpu})

    with (
        stopped([program("burst"), "100000"]) as flood,
        stopped([program("blocked")]) as process,
        rawtp.Tracer(pid=(flood.pid, process.pid), ring_bytes=4096, queue_bytes=1 << 16) as tracer,
    ):
        release(flood)
        assert flood.wait(timeout=HANG_S) == 0
        lost = tracer.stats().lost_ring
        assert lost > 0
        move(process, cpus[0])
        release(process)
        wait_for(lambda: waits_for_its_page(process), "an open call")
        assert tracer.stats().lost_ring > lost
        move(process, cpus[1])
        release(process)
        events = read_to_end(tracer, process)
        stats = tracer.stats()
    assert [event for event in events if event["pid"] == process.pid or event["ret"] is None] == []
    assert (stats.unpaired, stats.lost_exits, stats.pending) == (0, 0, 0)
    assert_ledger(stats)
