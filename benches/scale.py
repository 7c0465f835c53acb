"""How much is measured."""

from __future__ import annotations

from typing import NamedTuple


class Scale(NamedTuple):
    """Counts, chosen so that all themes together take a known time on two cores."""

    rounds: int
    calls: int
    """Of a case in a round."""
    burst_calls: int
    burst_runs: int
    two_runs: int
    latency_calls: int
    starts: int
    growth_events: tuple[int, ...]
    growth_processes: tuple[int, ...]
    growth_rounds: int
    peer_calls: int
    peer_runs: int
    record_runs: int
    record_s: float
    record_visible: int
    who_events: int
    """In the recorder's directory that is asked."""
    who_times: int
    build_runs: int
    build_files: int
    """That the build compiles which is watched."""


FULL = Scale(
    rounds=15,
    calls=300_000,
    burst_calls=1_000_000,
    burst_runs=20,
    two_runs=10,
    latency_calls=800,
    starts=25,
    growth_events=(1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    growth_processes=(1, 10, 100, 1_000, 10_000),
    growth_rounds=3,
    peer_calls=1_000_000,
    peer_runs=3,
    record_runs=5,
    record_s=10.0,
    record_visible=20,
    who_events=10_000_000,
    who_times=9,
    build_runs=5,
    build_files=40,
)
QUICK = Scale(
    rounds=3,
    calls=100_000,
    burst_calls=500_000,
    burst_runs=2,
    two_runs=1,
    latency_calls=100,
    starts=3,
    growth_events=(1_000, 10_000, 100_000),
    growth_processes=(1, 10, 100),
    growth_rounds=1,
    peer_calls=100_000,
    peer_runs=1,
    record_runs=1,
    record_s=2.0,
    record_visible=3,
    who_events=1_000_000,
    who_times=3,
    build_runs=1,
    build_files=4,
)
