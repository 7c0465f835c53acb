"""Producers at full speed, one reader iterating dicts all the while: what arrives, and what it costs.

The producers are processes of their own and not pinned: with the drain thread and the reader they share the CPUs as the
scheduler sees fit.
"""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import rawtp
from benches.build import Load, Programs
from benches.measure import Rounds, Row, ratios
from benches.tracers import ALL, BASIC, Asked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.scale import Scale


class Burst(NamedTuple):
    """Of one run."""

    lost: int
    caller_ns: float
    """Of one call."""
    drain_ns: float
    """CPU of the drain thread, of one event."""
    reader_ns: float
    """CPU of the reading thread, of one event."""


def burst(programs: Programs, calls: int, ring_bytes: int, asked: Asked, producers: int = 1) -> Burst:
    """One run; ``calls`` of all producers together."""
    with ExitStack() as stack:
        loads = [stack.enter_context(Load(programs, "-n", calls // producers)) for _ in range(producers)]
        pid = loads[0].pid if producers == 1 else None
        process_ns, thread_ns = time.process_time_ns(), time.thread_time_ns()
        tracer = stack.enter_context(rawtp.Tracer(**asked, pid=pid, ring_bytes=ring_bytes))
        spent: list[float] = []

        def close_at_the_end() -> None:
            spent.extend(ns for load in loads for ns in load.numbers())
            tracer.close()

        closer = threading.Thread(target=close_at_the_end)
        closer.start()
        for load in loads:
            load.start()
        taken, began_ns = 0, time.thread_time_ns()
        for _event in tracer:
            taken += 1
        ended_ns = time.thread_time_ns()
        closer.join()
        # Of this process's threads all but this one: the drain thread; the other one only waits.
        drain_ns = time.process_time_ns() - process_ns - (time.thread_time_ns() - thread_ns)
        stats = tracer.stats()
    # The ledger, against what came here and against what the producers know to have done.
    assert taken == stats.delivered, (taken, stats)
    assert stats.matched == stats.filtered + stats.lost_ring + taken, stats
    if pid:
        assert taken + stats.lost_ring == calls, (calls, stats)
    else:
        assert taken + stats.lost_ring >= calls, (calls, stats)
    some = max(taken, 1)
    return Burst(stats.lost_ring, statistics.mean(spent), drain_ns / some, (ended_ns - began_ns) / some)


def _bare(programs: Programs, calls: int) -> Burst:
    with Load(programs, "-n", calls) as load:
        return Burst(0, load.run(), 0, 0)


def _rows(cases: dict[str, str], rounds: Rounds[Burst]) -> Iterator[Row]:
    runs = len(rounds["bare"])
    bare = [run.caller_ns for run in rounds["bare"]]
    for key, name in cases.items():
        found = rounds[key]
        whole = sum(not run.lost for run in found)
        note = f"{whole} of {runs} runs without loss"
        yield Row(
            f"burst_{key}", "burst", f"{name}: lost", "events", tuple(float(run.lost) for run in found), note=note
        )
        caller = tuple(run.caller_ns for run in found)
        yield Row(f"caller_{key}", "burst", f"{name}: caller", "ns", caller, {"bare": ratios(caller, bare)})
        yield Row(f"drain_{key}", "burst", f"{name}: drain thread", "ns CPU", tuple(run.drain_ns for run in found))
        yield Row(f"live_{key}", "burst", f"{name}: dicts", "ns CPU", tuple(run.reader_ns for run in found))


def bursts(programs: Programs, scale: Scale) -> Iterator[Row]:
    """One producer, and two."""
    one = scale.burst_calls
    cases: dict[str, Callable[[], Burst]] = {
        "bare": partial(_bare, programs, one),
        "basic": partial(burst, programs, one, 4 << 20, BASIC),
        "all": partial(burst, programs, one, 16 << 20, ALL),
    }
    named = {"basic": f"{one:,} events, basic fields, 4 MiB", "all": f"{one:,} events, all fields, 16 MiB"}
    yield from _rows(named, Rounds(cases, scale.burst_runs))
    two: dict[str, Callable[[], Burst]] = {
        "bare": partial(_bare, programs, one),
        "two": partial(burst, programs, 2 * one, 64 << 20, ALL, producers=2),
    }
    named = {"two": f"2 producers, {2 * one:,} events, all fields, 64 MiB"}
    yield from _rows(named, Rounds(two, scale.two_runs))
