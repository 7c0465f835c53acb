"""Readers give what had happened when they were called: all of it, every time, and of no call that had not begun."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.counted import counted
from helpers.loops import LOOPS
from helpers.numbered import delete, numbers
from helpers.support import HANG_S, SLOWER, assert_ledger_of, hook_refusal, settle, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

    from helpers.loops import Loop

    Read = Callable[[rawtp.Tracer], list[rawtp.Event]]

pytestmark = pytest.mark.kernel

COUNT = 1000
TIMES = 20


def one_by_one(tracer: rawtp.Tracer) -> list[rawtp.Event]:
    events = []
    try:
        while True:
            events.append(tracer.get(timeout=0))
    except TimeoutError:
        return events


def in_portions(tracer: rawtp.Tracer) -> list[rawtp.Event]:
    events: list[rawtp.Event] = []
    while more := tracer.get_many(300, timeout=0):
        events += more
    return events


def awaited_one_by_one(tracer: rawtp.Tracer) -> list[rawtp.Event]:
    async def read() -> list[rawtp.Event]:
        events = []
        try:
            while True:
                events.append(await tracer.aget(timeout=0))
        except TimeoutError:
            return events

    return asyncio.run(read())


READS: dict[str, Read] = {
    "get_many": lambda tracer: tracer.get_many(timeout=0),
    "get_many, waiting": lambda tracer: tracer.get_many(),
    "get_many, a moment": lambda tracer: tracer.get_many(timeout=1e-5),
    "get_many, portions": in_portions,
    "get": one_by_one,
    "batch": lambda tracer: tracer.batch(timeout=0).to_dicts(),
    "batch, waiting": lambda tracer: tracer.batch().to_dicts(),
    "to_arrow": lambda tracer: tracer.to_arrow(0).to_dicts(),
    "to_arrow, a moment": lambda tracer: tracer.to_arrow(1e-3).to_dicts(),
    "aget_many": lambda tracer: asyncio.run(tracer.aget_many(timeout=0)),
    "aget_many, waiting": lambda tracer: asyncio.run(tracer.aget_many()),
    "aget": awaited_one_by_one,
}
reader = pytest.mark.parametrize("read", READS.values(), ids=READS)


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Loop:
    return LOOPS[request.param]


@reader
@pytest.mark.parametrize("results", [True, False])
@pytest.mark.parametrize("hook", ["auto", "tracepoint"])
def test_all_that_had_happened(read: Read, results: bool, hook: Literal["auto", "tracepoint"]) -> None:
    if hook == "tracepoint" and (reason := hook_refusal(hook)):
        pytest.skip(reason)
    with rawtp.Tracer(pid=os.getpid(), results=results, hook=hook) as tracer:
        for _ in range(TIMES // 4):
            delete(0, COUNT)
            assert numbers(read(tracer)) == list(range(COUNT))
    assert (tracer.stats().delivered, tracer.stats().discarded) == (TIMES // 4 * COUNT, 0)


@contextmanager
def busy() -> Iterator[None]:
    """More work than CPUs."""
    command = [sys.executable, "-c", "while True: pass"]
    loads = [subprocess.Popen(command) for _ in range(2 * len(os.sched_getaffinity(0)))]
    try:
        yield
    finally:
        for load in loads:
            load.kill()
            load.wait()


@reader
def test_on_a_machine_that_is_busy(read: Read) -> None:
    with busy(), rawtp.Tracer(pid=os.getpid()) as tracer:
        for _ in range(TIMES):
            delete(0, COUNT)
            assert numbers(read(tracer)) == list(range(COUNT))


@reader
def test_a_single_event(own: rawtp.Tracer, read: Read) -> None:
    """Also the first after a while, which nothing gathers."""
    for number in range(TIMES):
        time.sleep(0.003 * (number % 3))
        delete(number, number + 1)
        assert numbers(read(own)) == [number]


@reader
def test_more_than_the_queue_holds(read: Read) -> None:
    """The rest waits in the ring, and comes as the reader makes room."""
    with rawtp.Tracer(pid=os.getpid(), queue_bytes=64 << 10) as tracer:
        for _ in range(3):
            delete(0, 3000)
            assert numbers(read(tracer)) == list(range(3000))
        assert tracer.stats().lost_ring == 0


@reader
def test_what_filters_leave_out_is_no_end(read: Read) -> None:
    """What is queued would be enough, were it not for those that are left out only when they are read."""
    with rawtp.Tracer(pid=os.getpid(), outcome="ok") as tracer:
        for number in range(5):
            delete(0, COUNT)
            path = Path(f"/tmp/rawtp-happened-{os.getpid()}-{number}")
            path.touch()
            path.unlink()
            delete(0, COUNT)
            assert [event["path"] for event in read(tracer)] == [str(path)]
        tracer.close()
        assert tracer.stats().filtered >= 5 * 2 * COUNT
        assert (tracer.stats().delivered, tracer.stats().discarded) == (5, 0)
        assert_ledger_of(tracer)


@pytest.mark.parametrize("most", [1, 10, 999])
def test_no_more_than_is_asked_for_and_the_oldest_first(own: rawtp.Tracer, most: int) -> None:
    takes: list[Callable[[], list[rawtp.Event]]] = [
        lambda: own.get_many(most, timeout=0),
        lambda: own.batch(most, timeout=0).to_dicts(),
        lambda: own.to_arrow(0, most).to_dicts(),
        lambda: asyncio.run(own.aget_many(most, timeout=0)),
    ]
    for take in takes:
        delete(0, COUNT)
        assert numbers(take()) == list(range(most))
        assert numbers(own.get_many(timeout=0)) == list(range(most, COUNT))


@pytest.mark.parametrize("take", ["get_many", "batch", "to_arrow"])
def test_in_a_flood(program: Callable[[str], Path], tmp_path: Path, take: str) -> None:
    """It has an end, and by then all that had ended at its beginning has come."""
    fields = ("cpu", "via", "seq", "lost")
    with (
        counted(program, tmp_path, 2) as flood,
        rawtp.Tracer(pid=flood.pid, fields=fields, ring_bytes=16 << 20) as tracer,
    ):
        flood.go()
        wait_for(lambda: flood.ended > 0, "a call")
        came = 0
        for _ in range(50):
            ended = flood.ended
            if take == "get_many":
                came += len(tracer.get_many(10**7, timeout=0))
            elif take == "batch":
                came += len(tracer.batch(10**7, timeout=0))
            else:
                came += len(tracer.to_arrow(0, 10**7))
            lost = tracer.stats().lost_ring
            assert ended <= came + lost <= flood.begun


def test_several_readers_at_once(own: rawtp.Tracer) -> None:
    """Each event goes to one of them, and when all have returned there is none left."""

    def read() -> None:
        gate.wait()
        found.append(own.get_many(timeout=0))

    for _ in range(TIMES):
        found: list[list[rawtp.Event]] = []
        gate = threading.Barrier(5)
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        delete(0, COUNT)
        gate.wait()
        for thread in threads:
            thread.join(HANG_S)
        assert sorted(number for events in found for number in numbers(events)) == list(range(COUNT))
        assert own.stats().buffered == 0


def test_a_close_meanwhile(own: rawtp.Tracer) -> None:
    """Whoever asks gets it, or it is left for who comes later: nothing vanishes between the two."""
    for _ in range(TIMES):
        with rawtp.Tracer(pid=os.getpid()) as tracer:
            delete(0, COUNT)
            thread = threading.Thread(target=tracer.close)
            thread.start()
            events = tracer.get_many(timeout=0)
            thread.join(HANG_S)
            assert numbers(events) == list(range(COUNT))
            assert list(tracer) == []


def drain_thread() -> int:
    """That of the only tracer of this process."""

    def named() -> list[int]:
        names = {int(task.name): task.joinpath("comm").read_text() for task in Path("/proc/self/task").iterdir()}
        return [task for task, name in names.items() if name == "rawtp-drain\n"]

    # A thread names itself when it first runs.
    wait_for(lambda: len(named()) == 1, "the drain thread")
    return named()[0]


def wakeups(task: int) -> int:
    lines = Path(f"/proc/self/task/{task}/status").read_text().splitlines()
    [count] = [int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches:")]
    return count


@reader
def test_nobody_is_woken_for_nothing(own: rawtp.Tracer, read: Read) -> None:
    """The drain thread sleeps on when there is nothing in the ring, and when enough is in the queue."""
    delete(0, COUNT)
    settle(own, COUNT)
    before = wakeups(drain_thread())
    assert numbers(read(own)) == list(range(COUNT))
    for _ in range(TIMES):
        assert own.get_many(timeout=0) == []
        assert len(own.batch(timeout=0)) == len(own.to_arrow(0)) == 0
        assert asyncio.run(own.aget_many(timeout=0)) == []
    assert wakeups(drain_thread()) == before


HOG = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
print("ready", flush=True)
end = time.monotonic() + float(sys.argv[2])
while time.monotonic() < end:
    pass
"""
"""A real-time process, which lets nothing else run on a CPU."""

STARVED_S = 0.7 * SLOWER


@contextmanager
def starved() -> Iterator[subprocess.Popen[str]]:
    """The drain thread cannot run for a while, and the caller is on another CPU, where there is one."""
    before = os.sched_getaffinity(0)
    cpu, task = max(before), drain_thread()
    hog = subprocess.Popen(
        [sys.executable, "-c", HOG, str(cpu), str(STARVED_S)], stdout=subprocess.PIPE, text=True, bufsize=1
    )
    try:
        os.sched_setaffinity(0, {min(before)})
        os.sched_setaffinity(task, {cpu})
        os.sched_setscheduler(task, os.SCHED_IDLE, os.sched_param(0))
        assert hog.stdout is not None
        assert hog.stdout.readline() == "ready\n"
        yield hog
    finally:
        hog.kill()
        hog.communicate()
        os.sched_setaffinity(0, before)


@reader
def test_a_drain_thread_that_cannot_run(own: rawtp.Tracer, read: Read) -> None:
    """It is waited for: less than all would be wrong."""
    with starved():
        delete(0, COUNT)
        assert numbers(read(own)) == list(range(COUNT))


# Others would share the one CPU that is left with the loop.
@pytest.mark.quiet_host
def test_an_event_loop_runs_meanwhile(own: rawtp.Tracer, loop: Loop) -> None:
    found: list[rawtp.Event] = []
    ticks: list[float] = []

    async def read() -> None:
        found.extend(await own.aget_many(timeout=0))

    async def tick() -> None:
        while not found:
            ticks.append(time.monotonic())
            await loop.sleep(0.005)

    with starved():
        delete(0, COUNT)
        loop.run(lambda: loop.together(tick, read))
    assert numbers(found) == list(range(COUNT))
    # Where there is one CPU the loop cannot run either.
    assert len(ticks) >= 10 or len(os.sched_getaffinity(0)) == 1, "the loop stood still until the drain thread ran"


def test_a_cancelled_wait_loses_nothing(own: rawtp.Tracer, loop: Loop) -> None:
    found: list[rawtp.Event] = []

    async def read() -> None:
        found.extend(await own.aget_many(timeout=0))

    async def work() -> None:
        assert await loop.cancelled_after(0.05, read)
        assert found == []
        found.extend(await own.aget_many(timeout=0))

    with starved():
        delete(0, COUNT)
        loop.run(work)
    assert numbers(found) == list(range(COUNT))
    assert (own.stats().delivered, own.stats().discarded) == (COUNT, 0)


class _InterruptError(Exception):
    pass


@pytest.mark.parametrize("is_over", [False, True], ids=["before", "with"])
@pytest.mark.parametrize("name", ["get", "get_many", "batch", "to_arrow"])
def test_an_interrupted_wait_loses_nothing(own: rawtp.Tracer, name: str, is_over: bool) -> None:
    """Before its end, and with it."""

    def interrupt(*_: object) -> Any:
        raise _InterruptError

    def stop(hog: subprocess.Popen[str]) -> None:
        time.sleep(0.05 * SLOWER)
        os.kill(os.getpid(), signal.SIGALRM)
        if is_over:
            hog.kill()

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with starved() as hog:
            delete(0, COUNT)
            stopping = threading.Thread(target=stop, args=(hog,))
            stopping.start()
            with pytest.raises(_InterruptError):
                getattr(own, name)(**{"duration" if name == "to_arrow" else "timeout": 0})
            stopping.join()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert numbers(own.get_many(timeout=0)) == list(range(COUNT))
    assert (own.stats().delivered, own.stats().discarded) == (COUNT, 0)


@pytest.mark.parametrize("timeout", [{}, {"timeout": 0}, {"timeout": HANG_S}], ids=["None", "0", "long"])
@pytest.mark.parametrize("method", ["get", "get_many", "batch", "aget", "aget_many"])
def test_of_a_closed_tracer_it_is_what_is_left(own: rawtp.Tracer, method: str, timeout: dict[str, float]) -> None:
    """As iteration gives it; and then it is said that the tracer is closed, at once."""

    def call() -> Any:
        found = getattr(own, method)(**timeout)
        return asyncio.run(found) if method.startswith("a") else found

    delete(0, COUNT)
    own.close()
    found = [call() for _ in range(COUNT if method in {"get", "aget"} else 1)]
    events = found[0].to_dicts() if method == "batch" else found if len(found) > 1 else found[0]
    assert numbers(events) == list(range(COUNT))
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^the tracer is closed$"):
            call()
    assert list(own) == []
    assert len(own.to_arrow()) == 0
    assert (own.stats().delivered, own.stats().discarded) == (COUNT, 0)


def test_what_is_left_can_be_taken_in_all_ways(own: rawtp.Tracer) -> None:
    delete(0, 60)
    own.close()
    assert own.stats().discarded == 60
    assert numbers(own.get_many(10)) == list(range(10))
    assert numbers(own.batch(10).to_dicts()) == list(range(10, 20))
    assert numbers([own.get()]) == [20]
    assert numbers([next(own)]) == [21]
    assert numbers(own.to_arrow(max_rows=8).to_dicts()) == list(range(22, 30))
    assert numbers(asyncio.run(own.aget_many(10))) == list(range(30, 40))
    assert own.stats().discarded == 20
    assert numbers(list(own)) == list(range(40, 60))
    assert_ledger_of(own)
