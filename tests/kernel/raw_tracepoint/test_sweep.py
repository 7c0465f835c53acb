"""Every raw tracepoint of this kernel, attached once."""

from __future__ import annotations

import os
import random

import pytest

import rawtp

pytestmark = pytest.mark.kernel


def attach(name: str, **options: object) -> None:
    """Attaches to the tracepoint, lets something happen, and closes."""
    with rawtp.RawTracepoint(name, ring_bytes=1 << 16, queue_bytes=1 << 16, **options) as found:  # type: ignore[arg-type]
        os.getppid()
        found.get_many(timeout=0)
    found.get_many() if found.stats().buffered else None
    list(found)
    stats = found.stats()
    assert stats.matched == stats.filtered + stats.lost_ring + stats.delivered + stats.discarded, name


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_every_tracepoint_of_the_kernel() -> None:
    names = [one.name for one in rawtp.tracepoints()]
    assert len(names) > 300
    for name in names:
        attach(name, pointers=True)


def test_some_tracepoints_of_the_kernel() -> None:
    names = [one.name for one in rawtp.tracepoints()]
    for name in random.Random(1).sample(names, 20):  # noqa: S311
        attach(name)


def test_the_list() -> None:
    every = rawtp.tracepoints()
    names = [one.name for one in every if one.module is None]
    assert names == sorted(names)
    assert {"sched_switch", "sys_enter", "sched_process_exec"} <= {*names}
    some = rawtp.tracepoints("sched_process_*")
    assert [one for one in every if one.name.startswith("sched_process_")] == some
    [switch] = rawtp.tracepoints("sched_switch")
    assert switch.arguments["prev"] == switch.arguments["next"] == "struct task_struct *"
    assert rawtp.tracepoints("no_such_thing_*") == []
