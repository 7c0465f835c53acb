"""Programs that count their own calls, and what must be true of the events of them."""

from __future__ import annotations

import mmap
import struct
import subprocess
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING

from helpers.support import HANG_S, release, stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import rawtp

TALLY = 64
"""Bytes that a thread of ``tests/programs/counted.c`` has in its file."""


class Counted:
    """A running ``counted``: how many calls its threads have begun, and how many of them have ended."""

    def __init__(self, process: subprocess.Popen[str], tallies: mmap.mmap) -> None:
        """Of what :func:`counted` started."""
        self.process = process
        self.pid = process.pid
        self._tallies = tallies

    def _sum(self, offset: int) -> int:
        tallies = range(offset, len(self._tallies), TALLY)
        return sum(struct.unpack_from("Q", self._tallies, at)[0] for at in tallies)

    @property
    def begun(self) -> int:
        """Calls that were begun."""
        return self._sum(0)

    @property
    def ended(self) -> int:
        """Of them, those that have ended."""
        return self._sum(8)

    def go(self) -> None:
        """Lets it begin."""
        release(self.process)

    def wait(self) -> None:
        """Until it has made all of its calls."""
        assert self.process.wait(timeout=HANG_S) == 0


@contextmanager
def counted(program: Callable[[str], Path], directory: Path, threads: int, count: int = 0) -> Iterator[Counted]:
    """Starts ``counted``, which waits for :meth:`Counted.go`. Killed at the end."""
    path = directory / f"tallies-{threads}-{count}"
    path.write_bytes(bytes(64 * TALLY))
    with (
        path.open("r+b") as file,
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as tallies,
        stopped([program("counted"), path, str(threads), str(count)]) as process,
    ):
        yield Counted(process, tallies)


def assert_positions(events: Iterable[rawtp.Event], tail_lost: int = 0) -> int:
    """Of all events of a tracer: on each CPU and by each way there is every number from 1 on, once, but for those that
    ``lost`` tells just before. Gives how many were lost in all, with those after the last."""
    places: dict[tuple[int, str], list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        places[event["cpu"], event["via"]].append((event["seq"], event["lost"]))
    lost = tail_lost
    for place, positions in places.items():
        last = 0
        for seq, before in sorted(positions):
            assert seq == last + 1 + before, (place, seq, before, last)
            last = seq
            lost += before
    return lost
