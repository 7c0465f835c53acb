"""Deletes numbered names until its standard input ends. ``argv[1]``: where it notes the last number, ``argv[2]``: where
it writes the times, in ns, before and after each call."""

from __future__ import annotations

import mmap
import os
import select
import struct
import sys
import time
from array import array
from pathlib import Path


def main() -> None:
    """Deletes some names, and pauses: the recorder shall find both full and empty moments."""
    progress, times = map(Path, sys.argv[1:])
    with progress.open("r+b") as file:
        counter = mmap.mmap(file.fileno(), 8)
    log = array("q")
    number = 0
    while not select.select([sys.stdin], [], [], 0.003)[0]:
        for number in range(number + 1, number + 21):
            before = time.time_ns()
            try:
                os.unlink(f"/nonexistent/rawtp-crash/{number}")
            except FileNotFoundError:
                pass
            log.extend((before, time.time_ns()))
            counter[:8] = struct.pack("<q", number)
    times.write_bytes(log.tobytes())


main()
