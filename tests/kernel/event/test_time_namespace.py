"""A process in a time namespace, which sees the clock that stamps events with an offset (time_namespaces(7))."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from helpers.support import HANG_S

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.kernel

WATCH = """
import json, os, sys, time
import rawtp

root = sys.argv[1]
found = []
with rawtp.Tracer(pid=os.getpid(), path=f"{root}/b", fields=[*rawtp.ALL_FIELDS, "ancestors"]) as tracer:
    for target in "ab":
        os.symlink(target, f"{root}/new")
        os.rename(f"{root}/new", f"{root}/link")
        # The kernel's cache does not tell where a link leads that is younger than a tick of the clock.
        time.sleep(0.1)
        os.unlink(f"{root}/link/x")
        found.append(tracer.get_many(timeout=0))
keys = ("real_path", "ts_ns", "ancestors")
print(json.dumps([time.time_ns(), [[{key: event[key] for key in keys} for event in events] for events in found]]))
"""


@pytest.mark.parametrize("offset_s", [1_000_000, -1])
def test_times_and_look_ups(tmp_path: Path, offset_s: int) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").touch()
    command = ["unshare", "-T", "--boottime", str(offset_s), "--fork", sys.executable, "-c", WATCH, str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=HANG_S)
    now_ns, (elsewhere, events) = json.loads(done.stdout)
    assert elsewhere == []
    (event,) = events
    assert event["real_path"] == f"{tmp_path}/b/x"
    assert abs(event["ts_ns"] - now_ns) < HANG_S * 1e9
    _, comm, argv = event["ancestors"][0]
    major, minor = map(int, platform.release().split(".")[:2])
    # Before, /proc shows when a process began without the offset, and so nobody knows that it is the same one.
    is_known = (major, minor) >= (5, 11)
    assert (comm, argv) == ("unshare", command if is_known else None)
