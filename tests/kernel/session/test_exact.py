"""The ledger's identity after whatever can go wrong; the rest is in test_ledger.py and test_close.py."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

import rawtp
from helpers.counted import assert_positions, counted
from helpers.support import (
    HANG_S,
    assert_ledger,
    assert_ledger_of,
    hook_refusal,
    read_to_end,
    release,
    stopped,
    until_sentinel,
    wait_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

pytestmark = pytest.mark.kernel

MINIMAL = ("cpu", "via", "seq", "lost", "pid", "tid", "ppid", "filename", "ret")
NAME = "/nonexistent/rawtp-process"


def drain(tracer: rawtp.Tracer) -> list[rawtp.Event]:
    """Closes the tracer, and takes what is left."""
    tracer.close()
    rest = list(tracer)
    stats = tracer.stats()
    assert_ledger(stats)
    assert (stats.pending, stats.buffered, stats.discarded) == (0, 0, 0)
    return rest


def test_ten_thousand_short_lived_processes(program: Callable[[str], Path]) -> None:
    count = 10_000
    with (
        stopped([program("processes"), str(count), "2", "4"]) as parent,
        rawtp.Tracer(pid=parent.pid, follow=True, fields=MINIMAL, ring_bytes=32 << 20) as tracer,
    ):
        release(parent)
        events = read_to_end(tracer, parent)
        events += drain(tracer)
    stats = tracer.stats()
    assert (stats.lost_ring, stats.lost_exits, stats.unfollowed) == (0, 0, 0)
    calls = Counter(event["pid"] for event in events)
    assert sum(calls.values()) == 2 * count
    assert len(calls) == count
    assert {(event["ppid"], event["filename"], event["ret"]) for event in events} == {(parent.pid, NAME, -2)}
    assert assert_positions(events) == 0


@pytest.mark.parametrize("ring_bytes", [64 << 10, 16 << 20])
def test_processes_killed_in_the_middle_of_calls(program: Callable[[str], Path], ring_bytes: int) -> None:
    with (
        stopped([program("processes"), "300", "0"]) as parent,
        rawtp.Tracer(pid=parent.pid, follow=True, fields=MINIMAL, ring_bytes=ring_bytes) as tracer,
    ):
        release(parent)
        events = read_to_end(tracer, parent)
        # What was killed has ended its calls, too: none is left open.
        wait_for(lambda: not tracer.stats().pending, "no call is open")
        events += drain(tracer)
    stats = tracer.stats()
    assert assert_positions(events, stats.tail_lost) == stats.lost_ring
    assert stats.matched - stats.filtered == len(events) + stats.lost_ring
    assert {event["filename"] for event in events} == {NAME}
    killed = {event["pid"] for event in events}
    assert len(killed) == 300 if not stats.lost_ring else killed


def test_killed_in_a_call_that_waits(program: Callable[[str], Path]) -> None:
    """Its name is in a page that never comes: the kill ends the call, and the event says how."""
    with stopped([program("blocked")]) as process, rawtp.Tracer(pid=process.pid) as tracer:
        release(process)
        wait_for(lambda: tracer.get_many(timeout=0) == [] and tracer.stats().pending == 1, "an open call")
        assert_ledger_of(tracer)
        process.kill()
        [event] = read_to_end(tracer, process)
        stats = tracer.stats()
    assert (event["name_status"], event["ret"], event["errno"]) == ("fault", -14, "EFAULT")
    assert (stats.delivered, stats.pending, stats.unpaired) == (1, 0, 0)
    assert_ledger(stats)


def test_two_filters_at_once(program: Callable[[str], Path], tmp_path: Path) -> None:
    """Each tracer has counters and numbers of its own, and one that stalls costs the others nothing."""
    count = 20_000
    other: Literal["auto", "tracepoint"] = "auto" if hook_refusal("tracepoint") else "tracepoint"
    directories = [tmp_path / "a", tmp_path / "b"]
    for directory in directories:
        directory.mkdir()
    with (
        counted(program, directories[0], 2, count) as one,
        counted(program, directories[1], 3, count) as two,
        rawtp.Tracer(pid=one.pid, fields=MINIMAL, ring_bytes=32 << 20) as tracer_one,
        rawtp.Tracer(pid=two.pid, fields=MINIMAL, ring_bytes=32 << 20, hook=other) as tracer_two,
        rawtp.Tracer(fields=MINIMAL, ring_bytes=64 << 10, queue_bytes=64 << 10) as stalled,
    ):
        one.go()
        two.go()
        one.wait()
        two.wait()
        assert stalled.stats().lost_ring > 0
        for counter, tracer, threads in ((one, tracer_one, 2), (two, tracer_two, 3)):
            events = drain(tracer)
            stats = tracer.stats()
            assert counter.begun == counter.ended == threads * count
            assert stats.matched - stats.filtered == len(events) + stats.lost_ring == threads * count
            assert stats.filtered >= (5 - threads) * count
            assert {event["pid"] for event in events} == {counter.pid}
            assert assert_positions(events, stats.tail_lost) == stats.lost_ring
        rest = drain(stalled)
    stats = stalled.stats()
    assert assert_positions(rest, stats.tail_lost) == stats.lost_ring
    assert stats.matched == len(rest) + stats.lost_ring >= 5 * count


def test_losses_of_calls_and_of_requests_are_told_apart(program: Callable[[str], Path], tmp_path: Path) -> None:
    with (
        stopped([program("uring"), tmp_path, "flood"]) as process,
        rawtp.Tracer(pid=process.pid, fields=MINIMAL, ring_bytes=64 << 10, queue_bytes=64 << 10) as tracer,
    ):
        release(process)
        events: list[rawtp.Event] = []
        while process.poll() is None:
            # It loses, has room again, and loses again.
            lost = tracer.stats().lost_ring
            wait_for(lambda: tracer.stats().lost_ring > lost or process.poll() is not None, "losses")  # noqa: B023
            events += tracer.get_many(1000, timeout=0)
        if process.returncode == 77:
            pytest.skip("this kernel has no io_uring, or forbids it (kernel.io_uring_disabled)")
        events += drain(tracer)
    stats = tracer.stats()
    assert stats.matched - stats.filtered == 100_000 == len(events) + stats.lost_ring
    assert assert_positions(events, stats.tail_lost) == stats.lost_ring > 0
    for via in ("syscall", "io_uring"):
        assert sum(event["lost"] for event in events if event["via"] == via) > 0


class KilledError(Exception):
    """What ends a reader."""


@contextmanager
def alarmed() -> Iterator[None]:
    """SIGALRM raises :class:`KilledError` in this thread, every two milliseconds."""

    def kill(_number: int, _frame: FrameType | None) -> None:
        raise KilledError

    before = signal.signal(signal.SIGALRM, kill)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_exceptions_in_the_middle_of_reading(program: Callable[[str], Path], tmp_path: Path) -> None:
    """What a reader took and then dropped was delivered; nothing is counted twice or not at all."""
    kills = 0
    with (
        alarmed(),
        counted(program, tmp_path, 2, 100_000) as flood,
        rawtp.Tracer(pid=flood.pid, fields=MINIMAL) as tracer,
    ):
        flood.go()
        while kills < 100:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.002)
                for _event in tracer:
                    pass
            except KilledError:
                kills += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        flood.wait()
        rest = tracer.get_many(max_events=1_000_000, timeout=10) if tracer.stats().buffered else []
        rest += drain(tracer)
        stats = tracer.stats()
        assert stats.matched - stats.filtered == flood.ended == 200_000
    assert stats.delivered + stats.lost_ring == 200_000
    assert len(rest) <= stats.delivered


def test_a_thread_that_reads_is_killed(program: Callable[[str], Path], tmp_path: Path) -> None:
    """By an exception that another thread sets in it; somebody else reads on."""
    taken: list[rawtp.Event] = []

    def read(tracer: rawtp.Tracer) -> None:
        try:
            for event in tracer:
                taken.append(event)
        except KilledError:
            pass

    with (
        counted(program, tmp_path, 2, 50_000) as flood,
        rawtp.Tracer(pid=flood.pid, fields=MINIMAL, ring_bytes=32 << 20) as tracer,
    ):
        thread = threading.Thread(target=read, args=(tracer,))
        thread.start()
        flood.go()
        wait_for(lambda: len(taken) > 100, "events")
        assert thread.ident is not None
        set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
        assert set_exception(ctypes.c_ulong(thread.ident), ctypes.py_object(KilledError)) == 1
        thread.join()
        flood.wait()
        assert_ledger_of(tracer)
        rest = drain(tracer)
    stats = tracer.stats()
    assert stats.matched - stats.filtered == 100_000
    # The exception can come between the event and the list.
    assert stats.delivered - len(taken) - len(rest) in {0, 1}
    assert stats.delivered + stats.lost_ring == 100_000


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_out_of_memory_while_dicts_are_made(own: rawtp.Tracer) -> None:
    """The call gives what came before, or a MemoryError where nothing did. Each event is given once, in its order."""
    testcapi = pytest.importorskip("_testcapi", reason="this Python has no _testcapi, which makes allocations fail")
    refused = failures = 0
    for after in range(1, 200, 3):
        names = [f"{NAME}-{after}-{number}" for number in range(5)]
        for name in names:
            Path(name).unlink(missing_ok=True)
        before = own.stats()
        assert select.select([own], [], [], HANG_S)[0] == [own]
        taken: list[rawtp.Event] = []
        testcapi.set_nomemory(after, after + 1)
        try:
            taken = own.get_many(timeout=0)
        except MemoryError:
            failures += 1
        finally:
            testcapi.remove_mem_hooks()
        now = own.stats()
        assert (now.delivered - before.delivered, now.discarded) == (len(taken), 0)
        refused += len(taken) < len(names)
        assert [event["filename"] for event in taken + until_sentinel(own)] == names
        assert_ledger_of(own)
    assert refused > 5
    assert failures > 0


def test_missed_is_what_the_kernel_says(own: rawtp.Tracer) -> None:
    """The programs' descriptors are this process's: /proc shows what the kernel counted (since Linux 5.12)."""
    counts = []
    for info in Path("/proc/self/fdinfo").iterdir():
        try:
            text = info.read_text()
        except OSError:
            continue
        if "prog_type:" in text and "recursion_misses:" in text:
            counts.append(int(text.split("recursion_misses:")[1].split()[0]))
    missed = own.stats().missed
    assert missed == (sum(counts) if counts else None)
    assert own.stats().as_dict()["missed"] == missed


def test_a_cpu_goes_and_comes_back(program: Callable[[str], Path], tmp_path: Path) -> None:
    switch = Path("/sys/devices/system/cpu/cpu1/online")
    if not switch.exists() or not os.access(switch, os.W_OK):
        pytest.skip(f"a CPU cannot be taken offline here: no writable {switch}")
    with (
        counted(program, tmp_path, 4, 50_000) as flood,
        rawtp.Tracer(pid=flood.pid, fields=MINIMAL, ring_bytes=64 << 10, queue_bytes=64 << 10) as tracer,
    ):
        flood.go()
        wait_for(lambda: flood.ended > 100, "calls")
        try:
            switch.write_text("0")
        except OSError as error:
            pytest.skip(f"a CPU cannot be taken offline here: {error}")
        try:
            events = tracer.get_many(timeout=10)
        finally:
            switch.write_text("1")
        flood.wait()
        assert_ledger_of(tracer)
        events += drain(tracer)
    stats = tracer.stats()
    assert stats.matched - stats.filtered == 200_000 == len(events) + stats.lost_ring
    assert assert_positions(events, stats.tail_lost) == stats.lost_ring
