"""Turns of tests that run beside others: one that needs the machine for itself waits until the others have ended."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def turn(directory: Path, *, alone: bool) -> Iterator[None]:
    """Holds a turn among all processes that take turns in the same directory; ``alone`` with nobody beside it."""
    with (directory / "queue").open("w") as queue, (directory / "turns").open("w") as turns:
        # Whoever waits holds the queue. Otherwise those that share would keep one that waits to be alone out.
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(turns, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield
