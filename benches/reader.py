"""What an event costs the reading thread, as a dict and in a batch: CPU, with the events already in the queue."""

from __future__ import annotations

import gc
import itertools
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import rawtp
from benches.build import LAST_CPU, Load, Programs
from benches.measure import Rounds, Row, ratios
from benches.tracers import ALL, BASIC, QUEUE_BYTES, Asked
from benches.witness import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.scale import Scale

MANY = 1_000
"""Processes that delete in turns."""


def recorded(programs: Programs, calls: int, processes: int, asked: Asked, stack: ExitStack) -> rawtp.Tracer:
    """A tracer that holds so many events of so many processes, all drained, none taken."""
    options = ("-p", processes, "-u", LAST_CPU) if processes > 1 else ()
    load = stack.enter_context(Load(programs, "-n", calls, *options))
    if processes > 1:
        load.ready()
    pid = load.pid if processes == 1 else None
    tracer = stack.enter_context(rawtp.Tracer(**asked, pid=pid, ring_bytes=64 << 20, queue_bytes=QUEUE_BYTES))
    load.start()
    load.numbers()
    # What the drain thread gathers at a time is in the queue by then.
    time.sleep(0.05)
    return tracer


def iterate(tracer: rawtp.Tracer, calls: int) -> int:
    """``for event in tracer``."""
    taken = 0
    for _event in itertools.islice(tracer, calls):
        taken += 1
    return taken


def get_many(tracer: rawtp.Tracer, calls: int) -> int:
    """``get_many`` in the default portions."""
    taken = 0
    while taken < calls and (events := tracer.get_many(timeout=1)):
        taken += len(events)
    return taken


def batch(tracer: rawtp.Tracer, calls: int) -> int:
    """``batch`` in the default portions."""
    taken = 0
    while taken < calls and (rows := len(tracer.batch(timeout=1))):
        taken += rows
    return taken


def cost(
    programs: Programs, calls: int, processes: int, asked: Asked, take: Callable[[rawtp.Tracer, int], int]
) -> float:
    """CPU nanoseconds of this thread for one event."""
    with ExitStack() as stack:
        tracer = recorded(programs, calls, processes, asked, stack)
        gc.collect()
        start = time.thread_time_ns()
        taken = take(tracer, calls)
        spent = time.thread_time_ns() - start
        stats = tracer.stats()
        # The rest of the host deletes, too, and is counted where all processes are watched.
        if taken < calls or stats.lost_ring:
            raise RuntimeError(f"{taken} of {calls}: {stats}")
        return spent / taken


def display(calls: int, keys: tuple[str, ...]) -> float:
    """The floor that pure Python sets: a dict display of the same keys, from values that are there already."""
    source = "{" + ", ".join(f"{key!r}: v[{at}] + n" for at, key in enumerate(keys)) + "}"
    code = compile(f"for n in range({calls}):\n    event = {source}", "display", "exec")
    start = time.thread_time_ns()
    exec(code, {"v": list(range(len(keys)))})  # noqa: S102 - our own source, from our own keys
    return (time.thread_time_ns() - start) / calls


def dicts(programs: Programs, scale: Scale) -> Iterator[Row]:
    """Dicts of one process's events and of many processes' in turns; batches."""
    calls = scale.calls
    one = partial(cost, programs, calls, 1)
    many = partial(cost, programs, calls, MANY)
    cases: dict[str, Callable[[], float]] = {
        "floor_basic": partial(display, calls, rawtp.BASIC_FIELDS),
        "basic_1": partial(one, BASIC, iterate),
        "basic_many": partial(many, BASIC, iterate),
        "basic_get_many": partial(one, BASIC, get_many),
        "basic_batch": partial(one, BASIC, batch),
        "floor_all": partial(display, calls, rawtp.ALL_FIELDS),
        "all_1": partial(one, ALL, iterate),
        "all_many": partial(many, ALL, iterate),
        "all_get_many": partial(one, ALL, get_many),
        "all_batch": partial(one, ALL, batch),
    }
    names = {
        "floor_basic": "floor: a dict display in pure Python, basic fields",
        "basic_1": "dicts, basic fields, one process",
        "basic_many": f"dicts, basic fields, {MANY:,} processes in turns",
        "basic_get_many": "get_many, basic fields, one process",
        "basic_batch": "batch, basic fields, one process",
        "floor_all": "floor: a dict display in pure Python, all fields",
        "all_1": "dicts, all fields, one process",
        "all_many": f"dicts, all fields, {MANY:,} processes in turns",
        "all_get_many": "get_many, all fields, one process",
        "all_batch": "batch, all fields, one process",
    }
    # A reading takes longer than a call's cost, and varies less.
    rounds = Rounds(undisturbed(cases), -(-scale.rounds // 2))
    for key, name in names.items():
        floor = "floor_basic" if "basic" in key else "floor_all"
        to_floor = {} if key == floor else {"floor": ratios(rounds[key], rounds[floor])}
        yield Row(f"dict_{key}", "dicts", name, "ns CPU", rounds[key], to_floor)
