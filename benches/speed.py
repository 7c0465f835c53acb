"""How fast this machine is: a target in nanoseconds is of one machine, and a slower one misses it for that alone."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from benches.calls import cost
from benches.measure import verdict
from benches.report import number
from benches.targets import GETPPID_NS, TARGETS
from benches.witness import undisturbed

if TYPE_CHECKING:
    from benches.build import Programs
    from benches.measure import Row

UNITS = ("ns", "ns CPU", "µs CPU")
"""Of what takes longer on a slower machine, and nothing else."""


def slowness(programs: Programs, calls: int) -> float:
    """How many times the getppid of the targets' machine one takes here."""
    case = partial(cost, programs, "getppid", calls, nullcontext)
    return min(undisturbed({"bare": case})["bare"]() for _ in range(3)) / GETPPID_NS


def at_the_targets_speed(row: Row, slowness: float) -> Row:
    """The row, with a note of what the figure would be there where its target is missed here."""
    target = TARGETS.get(row.key)
    if target is None or target.of != "median" or row.unit not in UNITS or verdict(row, target) != "missed":
        return row
    there = row.median / slowness
    word = "met" if there <= target.limit else "missed"
    note = f"{number(there)} at the speed of the targets' machine: {word}"
    return replace(row, note="; ".join(part for part in (note, row.note) if part))
