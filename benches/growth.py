"""How cost grows with the work: linear, or there is something to explain."""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benches.build import LAST_CPU, Load, Programs
from benches.burst import burst
from benches.measure import Rounds, Row, straightness
from benches.reader import cost, iterate
from benches.tracers import ALL, BASIC, unread
from benches.witness import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benches.scale import Scale

DEPTHS = (1, 3, 10, 30, 100)
TRACERS = (1, 2, 3, 4)


class Curve(NamedTuple):
    """One plot: what was measured at each size."""

    key: str
    title: str
    x: str
    y: str
    points: tuple[tuple[float, float], ...]

    def row(self) -> Row:
        """How straight it is; of processes, whose cost is one event's, how much dearer than with one it gets."""
        xs, ys = zip(*self.points, strict=True)
        key, span = f"growth_{self.key}", f"{self.title} {xs[0]:,} to {xs[-1]:,}"
        points = "; ".join(f"{x:,}: {y:,.4g}" for x, y in self.points)
        if self.key == "processes":
            return Row(key, "growth", f"{span}: the dearest to the first", "×", (max(ys) / ys[0],), note=points)
        return Row(key, "growth", f"{span}: the worst to a straight line", "×", (straightness(xs, ys),), note=points)


def _events(programs: Programs, events: int) -> float:
    """Milliseconds of CPU of both threads for a burst. Short ones are repeated: one is over in a scheduler's tick."""
    times = max(1, 50_000 // events)
    total = 0.0
    for _ in range(times):
        run = burst(programs, events, 64 << 20, ALL)
        total += (run.drain_ns + run.reader_ns) * (events - run.lost)
    return total / times / 1e6


def _processes(programs: Programs, calls: int, processes: int) -> float:
    """Nanoseconds of CPU of the reading thread for an event, of so many processes in turns."""
    return cost(programs, max(calls, processes), processes, ALL, iterate)


def _depth(programs: Programs, calls: int, depth: int) -> float:
    """Nanoseconds of a call whose path has so many components, the name itself relative to the last directory."""
    with tempfile.TemporaryDirectory() as top:
        above = len(Path(top).parts) - 1
        directory = Path(top, *["d"] * (depth - 1 - above)) if depth > above else Path("/")
        directory.mkdir(parents=True, exist_ok=True)
        options = ("-n", calls, "-s", 20, "-u", LAST_CPU, "-f", "rawtp-load")
        with Load(programs, *options, cwd=directory) as load, unread(ALL):
            time.sleep(0.02)
            return load.run()


def _tracers(programs: Programs, calls: int, tracers: int) -> float:
    """Nanoseconds of a call that so many tracers record."""
    with ExitStack() as stack:
        load = stack.enter_context(Load(programs, "-n", calls, "-s", 20, "-u", LAST_CPU))
        for _ in range(tracers):
            stack.enter_context(unread(BASIC))
        time.sleep(0.02)
        return load.run()


def _curve(
    key: str, title: str, x: str, y: str, measure: Callable[[int], float], sizes: Sequence[int], rounds: int
) -> Curve:
    found = Rounds(undisturbed({str(size): partial(measure, size) for size in sizes}), rounds)
    return Curve(key, title, x, y, tuple((size, statistics.median(found[str(size)])) for size in sizes))


def curves(programs: Programs, scale: Scale) -> Iterator[Curve]:
    """One for each kind of growth."""
    rounds, calls = scale.growth_rounds, scale.calls // 3
    events, processes, depth, tracers = (
        partial(_events, programs),
        partial(_processes, programs, calls),
        partial(_depth, programs, calls),
        partial(_tracers, programs, calls),
    )
    # The most events take longest, and are many enough to need no second round.
    yield _curve("events", "events", "events of one burst", "CPU of both threads, ms", events, scale.growth_events, 1)
    yield _curve(
        "processes",
        "processes",
        "processes in turns",
        "CPU of an event's dict, ns",
        processes,
        scale.growth_processes,
        rounds,
    )
    yield _curve("depth", "path depth", "components of the path", "call, ns", depth, DEPTHS, rounds)
    yield _curve("tracers", "tracers", "tracers of the same calls", "call, ns", tracers, TRACERS, rounds)
