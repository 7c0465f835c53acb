"""What it costs the reading thread to find out the real path of a name, and whether it is a wanted one."""

from __future__ import annotations

import gc
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rawtp
from benches.build import Load, Programs
from benches.measure import Rounds, Row, differences
from benches.tracers import QUEUE_BYTES, REAL_PATHS
from benches.witness import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.scale import Scale

WITHOUT = tuple(key for key in rawtp.ALL_FIELDS if key not in REAL_PATHS)

APART_NS = 12_000_000
"""So far apart, no event takes what was looked up for the one before."""
APART = 100


def _cost(programs: Programs, calls: int, name: Path, asked: dict[str, Any], apart_ns: int = 0) -> float:
    """CPU nanoseconds of this thread for one event. The call reaches its file: a directory, which it may not remove."""
    options = ("-i", apart_ns) if apart_ns else ()
    with (
        Load(programs, "-n", calls, "-f", name, *options) as load,
        rawtp.Tracer(pid=load.pid, ring_bytes=64 << 20, queue_bytes=QUEUE_BYTES, **asked) as tracer,
    ):
        load.start()
        load.numbers()
        # What the drain thread gathers at a time is in the queue by then.
        time.sleep(0.05)
        gc.collect()
        taken, start = 0, time.thread_time_ns()
        while taken < calls and (events := tracer.get_many(timeout=1)):
            taken += len(events)
        spent = time.thread_time_ns() - start
        if taken < calls:
            raise RuntimeError(f"{taken} of {calls}: {tracer.stats()}")
        return spent / taken


def truth(programs: Programs, scale: Scale) -> Iterator[Row]:
    """Beside the same events without real paths."""
    with tempfile.TemporaryDirectory() as made:
        top = Path(made).resolve()
        (top / "real/sub").mkdir(parents=True)
        (top / "link").symlink_to("real")
        name = top / "link/sub"
        every, less = {"fields": rawtp.ALL_FIELDS}, {"fields": WITHOUT}
        wanted = {**less, "path": [top / "real", "/nonexistent"]}
        cases: dict[str, Callable[[], float]] = {
            "less": partial(_cost, programs, scale.calls, name, less),
            "hit": partial(_cost, programs, scale.calls, name, every),
            "wanted": partial(_cost, programs, scale.calls, name, wanted),
            "less_apart": partial(_cost, programs, APART, name, less, APART_NS),
            "miss": partial(_cost, programs, APART, name, every, APART_NS),
        }
        rounds = Rounds(undisturbed(cases), -(-scale.rounds // 2))
    names = {
        "hit": ("real_path by a look-up that is kept", "less"),
        "miss": ("real_path by a new look-up", "less_apart"),
        "wanted": ("path=, compared by the place that a link leads to", "less"),
    }
    for key, (shown, base) in names.items():
        yield Row(
            f"truth_{key}", "truth", f"added to a dict: {shown}", "ns CPU", differences(rounds[key], rounds[base])
        )
