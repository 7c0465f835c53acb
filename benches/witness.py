"""Whether this machine has its cores to itself.

A virtual CPU whose core is shared with another machine's runs at about half its speed, for milliseconds or for minutes,
and no counter of the guest tells. A loop of pure Python that is always the same does: what was measured while it was
slow is measured again. What counts losses, and what measures an idle machine, is taken as it comes.
"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

SLACK = 1.3
"""Times the best that the loop ever took: more is a disturbed core. Undisturbed ones mostly stay below 1.25."""
TRIES = 4
"""Of one measurement. The last one is kept, and counted, whatever the loop says."""
PATIENCE_S = 2.0
"""How long to wait for a quiet moment before each try."""
FIRST_LOOKS = 200


def look() -> float:
    """Nanoseconds of the loop, on the slower of the CPUs that measurements use: the first and the last one."""
    allowed = os.sched_getaffinity(0)
    try:
        return max(_loop_on(cpu) for cpu in (max(allowed), min(allowed)))
    finally:
        os.sched_setaffinity(0, allowed)


def _loop_on(cpu: int) -> float:
    os.sched_setaffinity(0, {cpu})
    # Of three, since an interrupt makes one of them slow.
    return min(_loop() for _ in range(3))


def _loop() -> float:
    start = time.perf_counter_ns()
    sum(range(30_000))
    return time.perf_counter_ns() - start


class Witness:
    """Repeats what was measured at a bad moment, and counts."""

    def __init__(self, look: Callable[[], float] = look, patience_s: float = PATIENCE_S) -> None:
        self._look = look
        self._patience_s = patience_s
        self._best: float | None = None
        self.measured = 0
        self.repeated = 0
        self.disturbed = 0
        """Kept, since all tries were disturbed."""

    def _is_quiet(self) -> bool:
        if self._best is None:
            self._best = min(self._look() for _ in range(FIRST_LOOKS))
        now = self._look()
        self._best = min(self._best, now)
        return now <= SLACK * self._best

    def _becomes_quiet(self) -> bool:
        until = time.monotonic() + self._patience_s
        while not (quiet := self._is_quiet()) and time.monotonic() < until:
            pass
        return quiet

    def take(self, case: Callable[[], T]) -> T:
        """What the case finds at a quiet moment."""
        self.measured += 1
        for _ in range(TRIES - 1):
            quiet = self._becomes_quiet()
            found = case()
            if quiet and self._is_quiet():
                return found
            self.repeated += 1
        quiet = self._becomes_quiet()
        found = case()
        self.disturbed += not (quiet and self._is_quiet())
        return found

    def __str__(self) -> str:
        return f"{self.measured} measurements, {self.repeated} repeated, {self.disturbed} kept although disturbed"


WITNESS = Witness()


def undisturbed(cases: Mapping[str, Callable[[], T]]) -> dict[str, Callable[[], T]]:
    """The same cases, each at a quiet moment."""
    return {name: partial(WITNESS.take, case) for name, case in cases.items()}
