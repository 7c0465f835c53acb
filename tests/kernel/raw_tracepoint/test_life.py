"""From the start of a raw tracepoint to its close: readers, tasks, forks, signals, and the ledger's sum."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.frames import module
from helpers.support import HANG_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

CALLS = """
import os, sys, threading
print("ready", flush=True)
def call():
    while True:
        os.getppid()
threading.Thread(target=call, daemon=True).start()
sys.stdin.read()
"""


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[str]]:
    """A process that makes system calls without end."""
    command = [sys.executable, "-c", CALLS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def assert_adds_up(stats: rawtp.Stats) -> None:
    """Everything that was matched is accounted for."""
    parts = stats.filtered + stats.lost_ring + stats.pending + stats.buffered + stats.delivered + stats.discarded
    assert stats.matched == parts, stats


def own_calls(count: int) -> None:
    """Makes system calls of this process."""
    for _ in range(count):
        os.getppid()


def test_the_ledger_is_exact_when_events_are_lost(busy: subprocess.Popen[str]) -> None:
    """Nobody reads: the queue fills, then the ring, and every loss is told by the event behind it or as the tail."""
    with rawtp.RawTracepoint("sys_enter", pid=busy.pid, ring_bytes=4096, queue_bytes=65536) as calls:
        wait_for(lambda: calls.stats().lost_ring > 1000, "losses")
        events = calls.get_many(500, timeout=HANG_S)
        time.sleep(0.05)
        calls.close()
        events += calls
    stats = calls.stats()
    assert_adds_up(stats)
    assert (stats.delivered, stats.buffered, stats.pending, stats.discarded) == (len(events), 0, 0, 0)
    assert stats.lost_ring == sum(event["lost"] for event in events) + stats.tail_lost
    assert {event["pid"] for event in events} == {busy.pid}
    positions = defaultdict(list)
    for event in events:
        positions[event["cpu"]].append(event["seq"])
    for of_cpu in positions.values():
        assert all(after == before + 1 for before, after in pairwise(of_cpu))


def test_detached_under_load(busy: subprocess.Popen[str]) -> None:
    """After the close no counter moves any more, however often it is done."""
    for fields in (None, ["id", "regs.sp"]) * 5:
        with rawtp.RawTracepoint("sys_enter", fields, pid=busy.pid) as calls:
            first = calls.get(timeout=HANG_S)
            taken = calls.batch(timeout=0)
        assert first["pid"] == busy.pid
        stats = calls.stats()
        assert_adds_up(stats)
        assert stats.delivered == 1 + len(taken)
        time.sleep(0.02)
        assert calls.stats() == stats
        rest = len(list(calls))
        after = calls.stats()
        assert (after.delivered, after.discarded) == (1 + len(taken) + rest, 0)
        assert_adds_up(after)


def test_a_closed_one() -> None:
    execs = rawtp.RawTracepoint("sched_process_exec")
    assert repr(execs) == '<rawtp.RawTracepoint "sched_process_exec" open>'
    subprocess.run(["/bin/true"], check=True)
    assert execs.fileno() >= 0
    execs.close()
    execs.close()
    assert execs.closed
    assert repr(execs) == '<rawtp.RawTracepoint "sched_process_exec" closed>'
    assert execs.get()["comm"]
    list(execs)
    for read in (execs.get, execs.get_many, execs.batch, execs.fileno, execs.__enter__):
        with pytest.raises(ValueError, match="the tracer is closed"):
            read()
    assert len(execs.to_arrow()) == 0


def test_coverage_says_the_hook() -> None:
    with rawtp.RawTracepoint("sched_switch") as switches:
        found = switches.coverage
    assert found.keys() == {"raw_tracepoint"}
    assert found["raw_tracepoint"]["hook"] == "raw_tp/sched_switch"


def test_without_an_event_it_waits_for_no_longer_than_the_timeout() -> None:
    with rawtp.RawTracepoint("sys_enter", pid=1 << 22) as calls:
        assert calls.get_many(timeout=0) == []
        assert len(calls.batch(timeout=0.01)) == 0
        with pytest.raises(TimeoutError, match=r"no event within 0\.01 s"):
            calls.get(timeout=0.01)


def test_a_signal_ends_a_wait() -> None:
    class Rung(Exception):  # noqa: N818
        pass

    def ring(*_: object) -> None:
        raise Rung

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with rawtp.RawTracepoint("sys_enter", pid=1 << 22) as calls:
            for read in (calls.get, calls.batch, lambda: next(calls), calls.to_arrow):
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                with pytest.raises(Rung):
                    read()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_close_wakes_who_waits() -> None:
    with rawtp.RawTracepoint("sys_enter", pid=1 << 22) as calls:
        ended: list[object] = []
        thread = threading.Thread(target=lambda: ended.extend([*calls, "end"]))
        thread.start()
        calls.close()
        thread.join(HANG_S)
    assert ended == ["end"]


def test_a_forked_child_has_the_object_alone() -> None:
    with rawtp.RawTracepoint("sys_enter", pid=os.getpid()) as calls:
        pid = os.fork()
        if not pid:
            code = 1
            try:
                assert "of another process" in repr(calls)
                for use in (calls.stats, calls.close, lambda: next(calls), lambda: calls.get(timeout=0), calls.batch):
                    try:
                        use()
                    except RuntimeError:
                        continue
                    break
                else:
                    code = 0
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        own_calls(1)
        assert calls.get(timeout=HANG_S)["pid"] == os.getpid()


def test_on_asyncio() -> None:
    async def read() -> list[dict[str, Any]]:
        own_calls(200)
        found = [await calls.aget(timeout=HANG_S)]
        found += await calls.aget_many(timeout=HANG_S)
        async for event in calls:
            found.append(event)
            if len(found) > 150:
                break
            own_calls(1)
        return found

    with rawtp.RawTracepoint("sys_enter", pid=os.getpid()) as calls:
        events = asyncio.run(asyncio.wait_for(read(), HANG_S))
    assert {event["pid"] for event in events} == {os.getpid()}
    assert len(events) > 150


def test_several_threads_share_the_events() -> None:
    count, found = 2000, defaultdict(list)
    with rawtp.RawTracepoint("sys_enter", pid=os.getpid()) as calls:

        def read(at: int) -> None:
            for event in calls:
                found[at].append(event["cpu"] << 48 | event["seq"])

        threads = [threading.Thread(target=read, args=(at,)) for at in range(3)]
        for thread in threads:
            thread.start()
        own_calls(count)
        calls.close()
        for thread in threads:
            thread.join(HANG_S)
    every = [position for positions in found.values() for position in positions]
    assert len(every) == len(set(every)) == calls.stats().delivered >= count


def test_a_batch_has_the_same_as_the_dicts() -> None:
    name = "p.mm.exe_file.f_path.dentry.d_name.name"
    fields = ["bprm.filename", "p.cred.uid", "p.cpus_mask.bits", "p.in_execve", name]
    with (
        rawtp.RawTracepoint("sched_process_exec", fields) as dicts,
        rawtp.RawTracepoint("sched_process_exec", fields) as columns,
    ):
        subprocess.run(["/bin/true"], check=True)
        wanted = {event["tid"]: event for event in dicts.get_many(timeout=HANG_S)}
        batch = columns.batch(timeout=HANG_S)
        taken: list[Any] = [*batch.to_dicts()]
        rows = {event["tid"]: event for event in taken}
    both = wanted.keys() & rows.keys()
    assert both
    for tid in both:
        for key in fields:
            assert rows[tid][key] == wanted[tid][key], key
        assert list(rows[tid]) == list(wanted[tid])
    assert repr(batch) == f"<rawtp.Batch {len(batch)} rows of {7 + len(fields)} fields>"


def test_the_columns_have_types() -> None:
    fields = ["p.pid", "p.start_time", "p.cred.uid", "p.cpus_mask.bits", "p.comm", "p.in_execve"]
    with rawtp.RawTracepoint("sched_process_exec", fields) as execs:
        subprocess.run(["/bin/true"], check=True)
        table = module("pyarrow").table(execs.batch(timeout=HANG_S))
    found = {name: str(table.schema.field(name).type) for name in table.schema.names}
    assert {name: found[name] for name in fields} == {
        "p.pid": "int32",
        "p.start_time": "uint64",
        "p.cred.uid": "uint32",
        "p.cpus_mask.bits": "list<item: uint64 not null>",
        "p.comm": "string",
        "p.in_execve": "uint32",
    }
    assert (found["p.comm_bytes"], found["ts_ns"]) == ("binary", "timestamp[ns, tz=UTC]")
    assert "true" in table.column("p.comm").to_pylist()


def test_tracers_and_raw_tracepoints_beside_each_other() -> None:
    with (
        rawtp.Tracer("delete", pid=os.getpid()) as tracer,
        rawtp.RawTracepoint("sys_enter", ["id"], pid=os.getpid()) as calls,
    ):
        with pytest.raises(FileNotFoundError):
            os.unlink("/nonexistent/rawtp-beside")  # noqa: PTH108
        event = tracer.get(timeout=HANG_S)
        number = rawtp.syscalls.number(str(event["syscall"]))
        assert number in {call["id"] for call in calls.get_many(timeout=HANG_S)}
