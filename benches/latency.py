"""From a deletion to its dict, on an idle host."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING

import rawtp
from benches.build import Load, Programs
from benches.measure import Rounds, Row, percentile, ratios

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benches.scale import Scale

INTERVAL_NS = 4_000_000


def _late(load: Load, came_ns: list[int]) -> list[float]:
    """Milliseconds from just before each call to its arrival here; both clocks are CLOCK_MONOTONIC."""
    began_ns = load.numbers()
    return [(came - began) / 1e6 for came, began in zip(came_ns, began_ns, strict=True)]


def _events(programs: Programs, calls: int) -> list[float]:
    with Load(programs, "-n", calls, "-i", INTERVAL_NS) as load, rawtp.Tracer(pid=load.pid) as tracer:
        load.start()
        came_ns = []
        for _ in range(calls):
            next(tracer)
            came_ns.append(time.monotonic_ns())
        return _late(load, came_ns)


def _pipe(programs: Programs, calls: int) -> list[float]:
    reader, writer = os.pipe()
    try:
        options = ("-c", "write", "-w", writer, "-n", calls, "-i", INTERVAL_NS)
        with Load(programs, *options, fds=(writer,)) as load:
            load.start()
            came_ns = []
            for _ in range(calls):
                os.read(reader, 1)
                came_ns.append(time.monotonic_ns())
            return _late(load, came_ns)
    finally:
        os.close(reader)
        os.close(writer)


def latency(programs: Programs, scale: Scale) -> Iterator[Row]:
    """All fields, enter and exit; the floor is a Python thread that a byte in a pipe wakes."""
    cases = {
        "pipe": partial(_pipe, programs, scale.latency_calls),
        "events": partial(_events, programs, scale.latency_calls),
    }
    rounds = Rounds(cases, max(1, scale.rounds // 3))
    for percent in (50, 99):
        floor = [percentile(late, percent) for late in rounds["pipe"]]
        found = [percentile(late, percent) for late in rounds["events"]]
        name = f"p{percent}"
        yield Row(f"latency_floor_{name}", "latency", f"floor: a byte in a pipe to Python, {name}", "ms", tuple(floor))
        to_floor = {"floor": ratios(found, floor)}
        yield Row(f"latency_{name}", "latency", f"delete to dict, idle host, {name}", "ms", tuple(found), to_floor)
