"""Records its own deletions into ``argv[1]`` with ``argv[2]`` MiB more address space than it has at the start, and
prints up to which number they are acknowledged."""

from __future__ import annotations

import os
import resource
import sys
import time
from contextlib import suppress
from pathlib import Path

import rawtp


def main() -> None:
    fields = (*rawtp.ALL_FIELDS, "ancestors")
    with (
        rawtp.Tracer(rawtp.LOSS, pid=os.getpid(), fields=fields) as tracer,
        rawtp.Recorder(tracer, sys.argv[1], sync_s=0.05, segment_bytes=2 << 20) as recorder,
    ):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + (int(sys.argv[2]) << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for number in range(1, 20_001):
            with suppress(FileNotFoundError):
                os.unlink(f"/nonexistent/rawtp-memory/{number}")  # noqa: PTH108
            if number % 1000 == 0:
                # Without memory events wait, and the next attempt may have more.
                with suppress(OSError):
                    recorder.sync(2)
                    print(number, flush=True)
        print("all", time.time_ns(), flush=True)
        # A log that cannot be sealed stays.
        with suppress(OSError):
            recorder.seal(10)


main()
