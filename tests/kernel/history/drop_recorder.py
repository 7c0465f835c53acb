"""Records its own deletions into ``argv[1]``, on a disk that is too small for the second batch of them, and ends as
``argv[2]`` says: by a close, or by SIGKILL. With ``argv[3]`` "full" the journal has no room either.

Prints the time before each call and after the last, and the recorder's status before the end and after it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import rawtp
from rawtp import _core

BATCHES, CALLS = 6, 3000
PAGE = os.sysconf("SC_PAGE_SIZE")


def recorder(directory: str, padding: int) -> _core.Recorder:
    tracer = rawtp.Tracer(rawtp.LOSS, pid=os.getpid(), fields=rawtp.ALL_FIELDS)
    session = json.dumps({"padding": "x" * padding})
    return _core.Recorder(tracer, directory, memory_bytes=1 << 20, sync_s=60.0, session=session)


def padding() -> int:
    """How much the journal's first line needs to end its page, but for less than a line."""
    directory = sys.argv[1] + "-other"
    other = recorder(directory, 0)
    size = (Path(directory) / "journal.jsonl").stat().st_size
    other.close()
    return (PAGE - 50 - size) % PAGE


def fill() -> None:
    """Takes the rest of the disk. An exclusive open is no event."""
    file = os.open(sys.argv[1] + "-filler", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    with suppress(OSError):
        while True:
            os.write(file, bytes(PAGE))
    os.close(file)


def main() -> None:
    """Has each batch read at once: its message is larger than what may wait in memory."""
    is_full = sys.argv[3] == "full"
    recording = recorder(sys.argv[1], padding() if is_full else 0)
    times: list[int] = []
    for batch in range(BATCHES):
        if batch == 1 and is_full:
            fill()
        for _ in range(CALLS):
            # A name that does not compress.
            name = f"/nonexistent/rawtp-drop/{len(times)}/{os.urandom(100).hex()}"
            times.append(time.time_ns())
            with suppress(FileNotFoundError):
                os.unlink(name)  # noqa: PTH108
        times_end = time.time_ns()
        # The disk is full.
        with suppress(OSError):
            recording.sync(60)
    print(json.dumps([*times, times_end]))
    print(json.dumps(recording.status()), flush=True)
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    with suppress(OSError):
        recording.close()
    print(json.dumps(recording.status()))


main()
