"""Records the calls of process ``argv[2]`` into ``argv[1]``, and prints what is acknowledged, until it is killed.

``argv[3]`` is a file in which that process notes the number that it has last deleted.
"""

from __future__ import annotations

import mmap
import struct
import sys
from pathlib import Path

import rawtp
from rawtp import _core


def main() -> None:
    """Has the log flushed again and again, and says up to which number."""
    directory, pid, progress = sys.argv[1:]
    with Path(progress).open("rb") as file:
        counter = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    tracer = rawtp.Tracer(rawtp.LOSS, pid=int(pid))
    first = struct.unpack("<q", counter[:8])[0] + 1
    recorder = _core.Recorder(tracer, directory, sync_s=0.02, segment_bytes=65_536, segment_s=0.1)
    while True:
        number = struct.unpack("<q", counter[:8])[0]
        recorder.sync(60)
        print(first, number, flush=True)


main()
