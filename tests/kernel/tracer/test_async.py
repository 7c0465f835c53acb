"""A tracer that is awaited, on every event loop that it knows."""

from __future__ import annotations

import math
import os
import random
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.loops import LOOPS
from helpers.numbered import delete, numbers
from helpers.support import HANG_S, assert_ledger_of, release, settle, stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    from helpers.loops import Loop

pytestmark = pytest.mark.kernel

MANY = 10_000
TURN_EVENTS = 64


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Loop:
    return LOOPS[request.param]


@pytest.mark.slow
def test_the_events_of_a_program(loop: Loop, program: Callable[[str], Path]) -> None:
    """More than fit the turns and the chunks, while they come."""
    seen: list[rawtp.Event] = []
    with stopped([program("burst"), "5000"]) as process, rawtp.Tracer(pid=process.pid) as tracer:

        async def read() -> None:
            release(process)
            async for event in tracer:
                seen.append(event)
                if len(seen) == 5000:
                    return

        loop.run(read)
        assert process.wait(timeout=HANG_S) == 0
        tracer.close()
        assert list(tracer) == []
    wanted = (process.pid, "burst", "unlinkat", "/nonexistent/rawtp-burst", -2)
    assert {(it["pid"], it["comm"], it["syscall"], it["filename"], it["ret"]) for it in seen} == {wanted}
    for cpu in {event["cpu"] for event in seen}:
        positions = [event["seq"] for event in seen if event["cpu"] == cpu]
        assert all(before < after for before, after in pairwise(positions)), cpu
    assert (tracer.stats().delivered, tracer.stats().discarded, tracer.stats().lost_ring) == (5000, 0, 0)


def test_each_way_to_await(loop: Loop, own: rawtp.Tracer) -> None:
    async def read() -> None:
        delete(0, 10)
        settle(own, 10)
        assert numbers([await own.aget()]) == [0]
        assert numbers([await own.aget(timeout=HANG_S)]) == [1]
        assert numbers(await own.aget_many(3)) == [2, 3, 4]
        assert numbers([await own.__anext__()]) == [5]
        assert numbers(await own.aget_many(timeout=0)) == [6, 7, 8, 9]
        delete(10, 12)
        assert numbers([await own.aget(timeout=math.inf)]) == [10]
        assert numbers([await own.aget(timeout=1e300)]) == [11]

    assert own.__aiter__() is own
    loop.run(read)
    assert own.stats().delivered == 12


def test_timeouts(loop: Loop, own: rawtp.Tracer) -> None:
    async def read() -> None:
        for seconds in (0.05, 0, 1):
            start = time.monotonic()
            with pytest.raises(TimeoutError, match=rf"^no event within {float(seconds)} s$".replace(".", r"\.")):
                await own.aget(seconds)
            assert await own.aget_many(timeout=seconds) == []
            assert time.monotonic() - start >= 2 * seconds - 0.01
        delete(0, 1)
        assert numbers(await own.aget_many(timeout=HANG_S)) == [0]

    loop.run(read)


def test_a_timeout_of_none_lets_others_run(loop: Loop, own: rawtp.Tracer) -> None:
    """Who polls in a loop does not stop the one that he polls for."""
    polls = 0

    async def poll() -> None:
        nonlocal polls
        while not await own.aget_many(timeout=0):
            polls += 1

    async def other() -> None:
        for _ in range(10):
            await loop.sleep(0)
        delete(0, 1)

    loop.run(lambda: loop.together(poll, other))
    assert polls >= 3


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, -math.inf])
@pytest.mark.parametrize("method", ["aget", "aget_many"])
def test_a_wrong_timeout(own: rawtp.Tracer, method: str, timeout: float) -> None:
    """Said by the call, not by the await."""
    with pytest.raises(ValueError, match=r"^timeout must be None or a number of seconds >= 0, not "):
        getattr(own, method)(timeout=timeout)


@pytest.mark.parametrize(
    ("max_events", "error", "message"),
    [
        (0, ValueError, "max_events must be at least 1, not 0"),
        (True, TypeError, "max_events must be an int, not bool"),
        ("7", TypeError, "max_events must be an int, not str"),
    ],
)
def test_a_wrong_max_events(own: rawtp.Tracer, max_events: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        own.aget_many(max_events).close()


def test_a_close_in_another_thread_ends_the_iteration(loop: Loop, own: rawtp.Tracer) -> None:
    seen: list[rawtp.Event] = []

    def work() -> None:
        time.sleep(0.1)
        delete(0, 500)
        own.close()

    async def read() -> None:
        thread.start()
        async for event in own:
            seen.append(event)
        async for event in own:
            raise AssertionError(event)

    thread = threading.Thread(target=work)
    loop.run(read)
    thread.join(HANG_S)
    assert numbers(seen) == list(range(500))
    assert own.stats().discarded == 0


@pytest.mark.parametrize("method", ["aget", "aget_many"])
@pytest.mark.parametrize("in_thread", [True, False])
def test_a_close_ends_a_wait(loop: Loop, own: rawtp.Tracer, method: str, in_thread: bool) -> None:
    async def read() -> None:
        with pytest.raises(ValueError, match=r"^the tracer is closed$"):
            await getattr(own, method)()
        with pytest.raises(ValueError, match=r"^the tracer is closed$"):
            await getattr(own, method)(timeout=0)

    async def close() -> None:
        await loop.sleep(0.05)
        if in_thread:
            threading.Thread(target=own.close).start()
        else:
            own.close()

    loop.run(lambda: loop.together(read, close))


def test_of_a_closed_tracer_it_iterates_the_rest(loop: Loop, own: rawtp.Tracer) -> None:
    async def read() -> None:
        delete(0, 200)
        own.close()
        seen = [event async for event in own]
        assert numbers(seen) == list(range(200))
        with pytest.raises(StopAsyncIteration):
            await own.__anext__()

    loop.run(read)
    assert_ledger_of(own)
    assert (own.stats().delivered, own.stats().discarded) == (200, 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_event_is_lost_by_cancellation(loop: Loop, own: rawtp.Tracer, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    seen: list[rawtp.Event] = []
    cancelled = timed_out = 0

    def work() -> None:
        pace = random.Random(seed)  # noqa: S311
        for number in range(MANY):
            delete(number, number + 1)
            if pace.random() < 0.02:
                time.sleep(pace.random() * 5e-3)

    async def iterate() -> None:
        async for event in own:
            seen.append(event)

    async def many() -> None:
        while True:
            seen.extend(await own.aget_many(chance.randint(1, 200), timeout=chance.random() * 2e-3))

    async def read() -> None:
        nonlocal cancelled, timed_out
        thread.start()
        # Not until all are seen: were one lost, that would be never.
        while thread.is_alive() or own.stats().buffered or own.stats().pending:
            seconds = chance.random() * 2e-3
            if chance.random() < 0.5:
                event = await loop.in_time(seconds / 10, own.aget())
                timed_out += event is None
                seen.extend([event] if event else [])
            else:
                cancelled += await loop.cancelled_after(seconds, chance.choice([iterate, many]))
        # Anything twice would come now, or would have come before.
        assert await own.aget_many(timeout=0.05) == []

    thread = threading.Thread(target=work)
    loop.run(read)
    thread.join(HANG_S)
    assert sorted({*range(MANY)} - {*numbers(seen)}) == []
    assert numbers(seen) == list(range(MANY))
    assert min(cancelled, timed_out) >= 20, (cancelled, timed_out)
    own.close()
    assert_ledger_of(own)
    assert (own.stats().delivered, own.stats().discarded, own.stats().lost_ring) == (MANY, 0, 0)


def test_a_second_task_is_refused(loop: Loop, own: rawtp.Tracer) -> None:
    """Whether it iterates or asks, and also when there are events; the first goes on."""
    seen: list[rawtp.Event] = []

    async def first() -> None:
        seen.append(await own.aget())

    async def second() -> None:
        await loop.sleep(0.05)
        delete(0, 2)
        settle(own, 2)
        for call in (own.aget, own.aget_many, own.__anext__):
            with pytest.raises(RuntimeError, match=r"^another task is reading from this tracer: let one read, "):
                await call()

    async def both() -> None:
        await loop.together(first, second)
        seen.append(await own.aget(timeout=HANG_S))

    loop.run(both)
    assert numbers(seen) == [0, 1]


def test_two_tracers_in_one_loop(loop: Loop, own: rawtp.Tracer) -> None:
    with rawtp.Tracer(pid=os.getpid()) as other:
        seen: dict[rawtp.Tracer, list[rawtp.Event]] = {own: [], other: []}

        async def read(tracer: rawtp.Tracer) -> None:
            async for event in tracer:
                seen[tracer].append(event)

        async def work() -> None:
            for number in range(100):
                delete(number, number + 1)
                await loop.sleep(0.001)
            own.close()
            other.close()

        loop.run(lambda: loop.together(lambda: read(own), lambda: read(other), work))
        assert numbers(seen[own]) == numbers(seen[other]) == list(range(100))


def test_a_task_and_threads_share_the_events(loop: Loop, own: rawtp.Tracer) -> None:
    seen: list[list[rawtp.Event]] = [[], [], []]

    async def read() -> None:
        for thread in threads:
            thread.start()
        async for event in own:
            seen[2].append(event)

    def work() -> None:
        delete(0, 3000)
        own.close()

    threads = [threading.Thread(target=into.extend, args=(own,)) for into in seen[:2]]
    threads.append(threading.Thread(target=work))
    loop.run(read)
    for thread in threads:
        thread.join(HANG_S)
    assert sorted(number for events in seen for number in numbers(events)) == list(range(3000))


def test_a_reader_that_falls_behind_lets_others_run(loop: Loop, own: rawtp.Tracer) -> None:
    read = 0
    turns = [0]

    async def reader() -> None:
        nonlocal read
        async for _ in own:
            read += 1
            if read == 1000:
                return

    async def other() -> None:
        while read < 1000:
            turns.append(read)
            await loop.sleep(0)

    delete(0, 1000)
    settle(own, 1000)
    loop.run(lambda: loop.together(reader, other))
    # trio runs the tasks of a round in any order: one may be the last of this round and the first of the next.
    gaps = {after - before for before, after in pairwise(turns)}
    assert gaps <= {0, TURN_EVENTS, 2 * TURN_EVENTS}
    assert turns[-1] > 1000 - 3 * TURN_EVENTS


def test_after_many_at_once_others_run(loop: Loop, own: rawtp.Tracer) -> None:
    log: list[int] = []

    async def reader() -> None:
        while sum(log) < 1000:
            log.append(len(await own.aget_many(100)))

    async def other() -> None:
        while sum(log) < 1000:
            log.append(0)
            await loop.sleep(0)

    delete(0, 1000)
    settle(own, 1000)
    loop.run(lambda: loop.together(reader, other))
    assert sum(log) == 1000
    # As above, two of a row; but never three.
    assert all(0 in three for three in zip(log, log[1:], log[2:], strict=False)), log


def test_a_loop_that_is_blocked_gets_all_of_it_afterwards(loop: Loop, program: Callable[[str], Path]) -> None:
    # A ring for all of them: what is lost would be waited for.
    with (
        stopped([program("burst"), "20000"]) as process,
        rawtp.Tracer(pid=process.pid, ring_bytes=16 << 20) as tracer,
    ):
        seen = 0

        async def read() -> None:
            nonlocal seen
            while seen < 20_000:
                events = await tracer.aget_many()
                if not seen:
                    assert process.wait(timeout=HANG_S) == 0
                    time.sleep(0.2)
                seen += len(events)

        release(process)
        loop.run(read)
        tracer.close()
        assert (seen, tracer.stats().delivered, tracer.stats().lost_ring) == (20_000, 20_000, 0)
