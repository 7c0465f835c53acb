"""How long it takes to begin, and how much memory it holds. Each measurement has a Python of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

from benches.build import Load, Programs
from benches.measure import Rounds, Row
from benches.witness import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.scale import Scale

# From before Tracer() to the dict of a deletion made right after it; then a second time.
FIRST_EVENT = """
import os, time, rawtp
def once():
    start = time.perf_counter_ns()
    with rawtp.Tracer(pid=os.getpid()) as tracer:
        try:
            os.unlink("/nonexistent/rawtp-start")
        except FileNotFoundError:
            pass
        next(tracer)
        print((time.perf_counter_ns() - start) / 1e6)
once()
once()
"""
RSS = """
def kib(what):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(what))
"""
# Through the ring of 4 MiB more than once, a reader at its heels.
RSS_RAWTP = (
    RSS
    + """
import os, rawtp
with rawtp.Tracer(pid=os.getpid()) as tracer:
    for _ in range(100):
        for _ in range(500):
            try:
                os.unlink("/nonexistent/rawtp-rss")
            except FileNotFoundError:
                pass
        taken = 0
        while taken < 500:
            taken += len(tracer.get_many(timeout=1))
    print(kib("VmRSS") * 1024 / 1e6)
"""
)
RSS_BARE = RSS + "\nimport os\nprint(kib('VmRSS') * 1024 / 1e6)\n"


def _printed(source: str) -> list[float]:
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    return [float(line) for line in done.stdout.split()]


def _first(source: str) -> float:
    return _printed(source)[0]


def _wall(source: str) -> float:
    start = time.perf_counter_ns()
    subprocess.run([sys.executable, "-c", source], check=True)
    return (time.perf_counter_ns() - start) / 1e6


def first_line(*command: str) -> float:
    """Milliseconds from the start of a program to its first byte on a pipe."""
    start = time.perf_counter_ns()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        assert os.read(process.stdout.fileno(), 1)
        took = (time.perf_counter_ns() - start) / 1e6
        process.kill()
    return took


def starts(programs: Programs, scale: Scale) -> Iterator[Row]:
    """What comes on top of a bare Python is the figure; the bare Python is shown with it."""
    # A deletion every millisecond: the first line hardly waits for one, and the rest is hardly disturbed.
    with Load(programs, "-n", 0, "-i", 1_000_000) as load:
        load.start()
        line = partial(first_line, sys.executable)
        cases: dict[str, Callable[[], list[float]]] = {
            "first_event": partial(_printed, FIRST_EVENT),
            "bare_line": lambda: [line("-c", "print(0, flush=True)")],
            "first_line": lambda: [line("-m", "rawtp", "-p", str(load.pid))],
            "bare": lambda: [_wall("pass")],
            "import": lambda: [_wall("import rawtp")],
            "bare_rss": lambda: [_first(RSS_BARE)],
            "rss": lambda: [_first(RSS_RAWTP)],
        }
        rounds = Rounds(undisturbed(cases), scale.starts)

    def row(key: str, name: str, unit: str, bare: str | None = None, at: int = 0) -> Row:
        values = [found[at] for found in rounds[key]]
        if bare is None:
            return Row(key if at == 0 else f"{key}_again", "start", name, unit, tuple(values))
        base = [found[0] for found in rounds[bare]]
        return Row(key, "start", name, unit, tuple(value - basis for value, basis in zip(values, base, strict=True)))

    yield row("first_event", "Tracer() to the first dict, the first of an interpreter", "ms")
    yield row("first_event", "Tracer() to the first dict, the second", "ms", at=1)
    yield row("bare_line", "floor: a bare python to its first line", "ms")
    yield row("first_line", "python -m rawtp to its first line, over that", "ms", "bare_line")
    yield row("bare", "floor: python -c pass", "ms")
    yield row("import", "import rawtp, over that", "ms", "bare")
    yield row("bare_rss", "floor: memory of a bare python", "MB")
    yield row("rss", "memory with a ring of 4 MiB and all fields, over that", "MB", "bare_rss")
