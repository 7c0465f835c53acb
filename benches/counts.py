"""What counting calls in the kernel costs a call that is counted."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import rawtp
from benches.calls import cost
from benches.measure import Rounds, Row, differences, ratios
from benches.witness import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from benches.build import Programs
    from benches.scale import Scale

NAMES = {
    "calls": "counted by call",
    "latency": "by call, with times",
    "process": "by process",
    "process_latency": "by process, with times",
}


def counted(programs: Programs, scale: Scale) -> Iterator[Row]:
    """getppid, counted; and what that adds to an empty pair of programs, in nanoseconds."""
    cases: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "bare": nullcontext,
        "floor_enter": partial(programs.floor, "empty_enter"),
        "floor_pair": partial(programs.floor, "empty_enter", "empty_exit"),
        "calls": rawtp.Counts,
        "latency": partial(rawtp.Counts, latency=True),
        "process": partial(rawtp.Counts, by="process"),
        "process_latency": partial(rawtp.Counts, by="process", latency=True),
    }
    measure = {name: partial(cost, programs, "getppid", scale.calls, attach) for name, attach in cases.items()}
    rounds = Rounds(undisturbed(measure), 3 * scale.rounds)
    bare, pair = rounds["bare"], rounds["floor_pair"]
    yield Row("counts_bare", "counts", "getppid, nothing attached", "ns", bare)
    enter = rounds["floor_enter"]
    yield Row(
        "counts_floor_enter", "counts", "floor: an empty raw_tp/sys_enter", "ns", enter, {"bare": ratios(enter, bare)}
    )
    yield Row("counts_floor_pair", "counts", "floor: with tp_btf/sys_exit", "ns", pair, {"bare": ratios(pair, bare)})
    for key, name in NAMES.items():
        values = rounds[key]
        yield Row(
            f"counts_{key}", "counts", name, "ns", values, {"bare": ratios(values, bare), "floor": ratios(values, pair)}
        )
        yield Row(f"counts_{key}_added", "counts", f"{name}: over the empty pair", "ns", differences(values, pair))
