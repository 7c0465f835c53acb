"""The end of a tracer while programs are in the middle of their calls: nothing vanishes between detach and drain."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Literal

import pytest

import rawtp
from helpers.counted import assert_positions, counted
from helpers.support import assert_ledger, hook_refusal, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

MINIMAL: tuple[str, ...] = ("cpu", "via", "seq", "lost", "tid", "ret")


@pytest.mark.parametrize("hook", ["raw_tp", "tracepoint"])
@pytest.mark.parametrize("results", [True, False])
@pytest.mark.slow
def test_close_in_a_flood_of_several_threads(
    program: Callable[[str], Path], tmp_path: Path, hook: Literal["raw_tp", "tracepoint"], results: bool
) -> None:
    """What the tracer saw lies between the calls that surely fell into its life and those that may have."""
    if reason := hook_refusal(hook):
        pytest.skip(reason)
    with counted(program, tmp_path, 4) as flood:
        flood.go()
        wait_for(lambda: flood.ended > 0, "a call")
        for number in range(10):
            ended_before = flood.ended
            tracer = rawtp.Tracer(
                pid=flood.pid, hook=hook, results=results, fields=MINIMAL, ring_bytes=1 << 16, queue_bytes=1 << 16
            )
            begun_open = flood.begun
            events = tracer.get_many(timeout=10) if number % 2 else []
            ended_open = flood.ended
            tracer.close()
            begun_after = flood.begun
            closed = tracer.stats()
            assert_ledger(closed)
            assert (closed.delivered, closed.buffered, closed.pending) == (len(events), 0, 0)
            seen = closed.matched - closed.filtered
            # What a kernel makes raw tracepoints miss, it counts.
            assert ended_open - begun_open - (closed.missed or 0) <= seen <= begun_after - ended_before

            rest = list(tracer)
            assert len(rest) == closed.discarded
            events += rest
            assert len(events) == seen - closed.lost_ring
            assert assert_positions(events, closed.tail_lost) == closed.lost_ring
            last = tracer.stats()
            assert_ledger(last)
            assert (last.matched, last.lost_ring, last.discarded) == (closed.matched, closed.lost_ring, 0)
            del events, rest
            gc.collect()
