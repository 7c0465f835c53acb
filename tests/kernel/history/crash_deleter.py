"""Deletes numbered names until its standard input ends. ``argv[1]``: where it notes the last number, ``argv[2]``: where
it writes the times, in ns, before and after each call."""

from __future__ import annotations

import itertools
import mmap
import os
import select
import struct
import sys
import time
from array import array
from contextlib import suppress
from pathlib import Path


def main() -> None:
    """Deletes some names, and pauses: the recorder shall find both full and empty moments."""
    progress, times = map(Path, sys.argv[1:])
    with progress.open("r+b") as file:
        counter = mmap.mmap(file.fileno(), 8)
    log = array("q")
    numbers = itertools.count(1)
    while not select.select([sys.stdin], [], [], 0.003)[0]:
        for number in itertools.islice(numbers, 20):
            before = time.time_ns()
            # Not pathlib's, which is slower.
            with suppress(FileNotFoundError):
                os.unlink(f"/nonexistent/rawtp-crash/{number}")  # noqa: PTH108
            log.extend((before, time.time_ns()))
            counter[:8] = struct.pack("<q", number)
    times.write_bytes(log.tobytes())


main()
