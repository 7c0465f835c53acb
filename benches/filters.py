"""What a filter costs whom it lets through, whom it leaves out, and whose calls are not watched."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import rawtp
from benches.build import pinned_load
from benches.measure import Rounds, Row, ratios
from benches.tracers import BASIC, QUEUE_BYTES, RING_BYTES
from benches.witness import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.build import Programs
    from benches.scale import Scale

NOBODY = 54_321
"""No process and no user here."""


class Filter(NamedTuple):
    """Values that let the load through, and that do not."""

    name: str
    passes: dict[str, Any]
    left_out: dict[str, Any]


@contextmanager
def empty_cgroup() -> Iterator[Path | None]:
    """A cgroup that nobody is in; ``None`` where none can be made."""
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    unified = [mount[4] for mount in mounts if mount[mount.index("-") + 1] == "cgroup2"]
    made = Path(unified[0], f"rawtp-bench-{os.getpid()}") if unified else None
    try:
        if made:
            made.mkdir()
    except OSError:
        made = None
    try:
        yield made
    finally:
        if made:
            made.rmdir()


def filters(pid: int, nobodys: Path | None) -> dict[str, Filter]:
    """Each, for the load of this pid."""
    cgroup = {"cgroup": Filter("cgroup", {"cgroup": nobodys.parent}, {"cgroup": nobodys})} if nobodys else {}
    every = {"follow": True, "uid": 0, "comm": "load", "path": "/nonexistent", "outcome": "failed"}
    return {
        "pid": Filter("pid", {"pid": pid}, {"pid": NOBODY}),
        "follow": Filter("pid, follow", {"pid": pid, "follow": True}, {"pid": NOBODY, "follow": True}),
        "uid": Filter("uid", {"uid": 0}, {"uid": NOBODY}),
        "comm": Filter("comm", {"comm": "load"}, {"comm": "nobody*"}),
        **cgroup,
        "path": Filter("path", {"path": "/nonexistent"}, {"path": "/var/lib/nobody"}),
        "outcome": Filter("outcome", {"outcome": "failed"}, {"outcome": "ok"}),
        "all": Filter("all of these", {"pid": pid, **every}, {"pid": NOBODY, **every}),
    }


def _cost(programs: Programs, call: str, calls: int, asked: Callable[[int], dict[str, Any]]) -> float:
    """Nanoseconds of a call. Nobody reads: what is looked at when it is read costs the caller nothing."""
    with pinned_load(programs, call, calls) as load:
        options = asked(load.pid)
        with rawtp.Tracer(**BASIC, **options, ring_bytes=RING_BYTES, queue_bytes=QUEUE_BYTES):
            time.sleep(0.02)
            return load.run()


def filtered(programs: Programs, scale: Scale) -> Iterator[Row]:
    """Beside a tracer without a filter."""
    with empty_cgroup() as nobodys:
        yield from _filtered(programs, scale, partial(filters, nobodys=nobodys))


def _filtered(programs: Programs, scale: Scale, filters: Callable[[int], dict[str, Filter]]) -> Iterator[Row]:
    names = {key: one.name for key, one in filters(1).items()}
    cases: dict[str, Callable[[], float]] = {
        "none": partial(_cost, programs, "unlinkat", scale.calls, lambda _: {}),
        "tax_none": partial(_cost, programs, "getppid", scale.calls, lambda _: {}),
        "tax_all": partial(_cost, programs, "getppid", scale.calls, lambda pid: filters(pid)["all"].passes),
    }
    for key in names:
        passes = partial(lambda key, pid: filters(pid)[key].passes, key)
        left_out = partial(lambda key, pid: filters(pid)[key].left_out, key)
        cases[f"{key}_passes"] = partial(_cost, programs, "unlinkat", scale.calls, passes)
        cases[f"{key}_left_out"] = partial(_cost, programs, "unlinkat", scale.calls, left_out)
    rounds = Rounds(undisturbed(cases), scale.rounds)

    def row(key: str, name: str, base: str | None) -> Row:
        to_base = {"floor": ratios(rounds[key], rounds[base])} if base else {}
        return Row(f"filter_{key}", "filters", name, "ns", rounds[key], to_base)

    yield row("none", "floor: rawtp, basic fields, no filter", None)
    for key, name in names.items():
        yield row(f"{key}_passes", f"{name}: passes", "none")
        yield row(f"{key}_left_out", f"{name}: left out", "none")
    yield row("tax_none", "floor: a call that does not match, no filter", None)
    yield row("tax_all", "the same, all filters", "tax_none")
