"""Records the deletions of process ``argv[2]`` into ``argv[1]``, seals them once a line is given, and prints its status
and the most memory that it had."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import rawtp


def main() -> None:
    fields = (*rawtp.ALL_FIELDS, "ancestors")
    with (
        rawtp.Tracer(rawtp.LOSS, pid=int(sys.argv[2]), fields=fields) as tracer,
        rawtp.Recorder(tracer, sys.argv[1]) as recorder,
    ):
        print("records", flush=True)
        sys.stdin.readline()
        recorder.seal(300)
        [most] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
        print(json.dumps({**recorder.status(), "most_kb": int(most.split()[1])}, default=str), flush=True)


main()
