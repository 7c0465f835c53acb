"""What is aimed at: a limit for the figure of a row, by the row's key. Changed only together with the promise."""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    """At most ``limit``; ``of`` says what: the median, the most of all rounds, or the ratio to that base."""

    limit: float
    of: str = "median"


GETPPID_NS = 90
"""Of the machine that the targets are of: how long a getppid takes there with nothing attached."""

TARGETS = {
    "tax_enter": Target(1.03, "floor"),
    "tax_pair": Target(1.03, "floor"),
    "loss_getppid": Target(10),
    "loss_open": Target(50),
    "loss_ioctl": Target(50),
    "matched_basic_enter": Target(1.4, "bare"),
    "matched_all_pair": Target(2.2, "bare"),
    "matched_file": Target(1.15, "floor"),
    "counts_calls_added": Target(15),
    "args_tax_enter_added": Target(5),
    "args_tax_pair_added": Target(5),
    "args_openat": Target(1.1, "floor"),
    "args_connect_added": Target(700),
    "args_build": Target(1.3, "bare"),
    "args_build_lost": Target(0, "most"),
    "burst_basic": Target(0, "most"),
    "burst_all": Target(0, "most"),
    "burst_two": Target(0, "most"),
    "drain_basic": Target(80),
    "drain_all": Target(80),
    "dict_basic_1": Target(320),
    "dict_basic_many": Target(500),
    "dict_all_1": Target(600),
    "dict_all_many": Target(900),
    "dict_basic_batch": Target(50),
    "dict_all_batch": Target(50),
    "line_rust": Target(400),
    "text_lost_rust": Target(0, "most"),
    "truth_hit": Target(300),
    "latency_p50": Target(0.2),
    "latency_p99": Target(2),
    "first_event": Target(15),
    "first_line": Target(60),
    "import": Target(8),
    # The ring's 4 MiB and 6 MB.
    "record_cpu": Target(2.5),
    "record_lost": Target(0, "most"),
    "record_bytes": Target(45),
    "record_rss": Target(80),
    "record_rss_sealing": Target(300),
    "record_visible_1s": Target(1200),
    "record_visible_250ms": Target(300),
    "record_idle_1s": Target(0.5),
    "record_idle_250ms": Target(0.5),
    "ship_dead": Target(1.1, "floor"),
    "ship_dead_lost": Target(0, "most"),
    "who_warm": Target(350),
    "who_cold": Target(1000),
    "who_rss": Target(60),
    "rss": Target(((4 << 20) + 6e6) / 1e6),
    # "Linear", as a number: the worst point this near to a straight line; for processes, the rise that the dicts of
    # 1,000 are allowed above.
    "growth_events": Target(1.25),
    "growth_processes": Target(1.6),
    "growth_depth": Target(1.25),
    "growth_tracers": Target(1.25),
}
