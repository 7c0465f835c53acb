"""A recorder that is killed at random moments, again and again: ``make test-crash`` does so 200 times."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from array import array
from collections import Counter
from pathlib import Path
from typing import IO

import pytest

import rawtp
from helpers.recordings import HANG_S, events, key
from helpers.support import wait_for
from rawtp import _core

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

HERE = Path(__file__).parent
ROUNDS = int(os.environ.get("RAWTP_CRASHES", "10"))


def acknowledged(output: bytes) -> set[int]:
    """The numbers that a recorder said were on the disk. The last line may be torn."""
    lines = output.split(b"\n")[:-1]
    numbers: set[int] = set()
    for line in lines[-1:]:
        first, last = map(int, line.split())
        numbers |= set(range(first, last + 1))
    return numbers


def killed(directory: Path, deleter: int, progress: Path, output: IO[bytes], moment: random.Random) -> None:
    """Lets a recorder run for a while, and kills it."""
    command: list[str | Path] = [sys.executable, HERE / "crash_recorder.py", directory, str(deleter), progress]
    with subprocess.Popen(command, stdout=output) as recorder:
        wait_for(lambda: os.fstat(output.fileno()).st_size > 0 or recorder.poll() is not None, "the first line")
        assert recorder.poll() is None
        time.sleep(moment.uniform(0.0, 0.4))
        recorder.kill()


@pytest.mark.timeout(60 + 10 * ROUNDS)
def test_nothing_that_was_acknowledged_is_lost(tmp_path: Path) -> None:
    seed = int(os.environ.get("RAWTP_CRASH_SEED", str(time.time_ns())))
    print("RAWTP_CRASH_SEED =", seed)
    moment = random.Random(seed)  # noqa: S311
    directory, progress, times = tmp_path / "h", tmp_path / "progress", tmp_path / "times"
    progress.write_bytes(bytes(8))
    told: set[int] = set()
    command: list[str | Path] = [sys.executable, HERE / "crash_deleter.py", progress, times]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as deleter:
        for number in range(ROUNDS):
            with (tmp_path / f"out-{number}").open("w+b") as output:
                killed(directory, deleter.pid, progress, output, moment)
                output.seek(0)
                told |= acknowledged(output.read())
        deleter.communicate(timeout=HANG_S)
    # The last one seals what is left. A tracer of a process that has ended sees nothing more.
    with rawtp.Tracer(rawtp.LOSS, pid=os.getpid()) as tracer, _core.Recorder(tracer, directory) as recorder:
        recovered = recorder.recovered
        recorder.seal(HANG_S)
        assert recorder.status()["errors"] == 0, recorder.status()
    assert not recovered["first"]
    assert recovered["quarantined"] == []
    assert list((directory / "wal").iterdir()) == []

    recorded = [event for event in events(directory) if event["path"].startswith("/nonexistent/rawtp-crash/")]
    found = Counter(int(event["path"].rpartition("/")[2]) for event in recorded)
    assert max(Counter(map(key, recorded)).values()) == 1, "an event was recorded twice"
    assert max(found.values()) == 1, "a deletion was recorded twice"
    assert told, "nothing was acknowledged, so nothing is shown"
    assert told - found.keys() == set(), "what was acknowledged is lost"

    reader = _core.HistoryReader(directory)
    assert reader.losses() == []
    assert reader.verify() == []
    first = min(session["start_ns"] for session in reader.sessions())
    blind = [(0, first)] + [(gap["from_ns"], gap["to_ns"] or time.time_ns()) for gap in reader.gaps()]
    gaps = sorted(to - start for start, to in blind[1:-1])
    log = array("q", times.read_bytes())
    missing = [number for number in range(1, len(log) // 2 + 1) if number not in found]

    def is_explained(number: int) -> bool:
        before, after = log[2 * number - 2 : 2 * number]
        return any(start <= after and before <= end for start, end in blind)

    unexplained = [number for number in missing if not is_explained(number)]
    assert unexplained == []
    print(
        f"{ROUNDS} kills, {len(log) // 2} deletions, {len(told)} told as acknowledged, {len(found)} recorded, "
        f"{len(missing)} in gaps; gap p50 {gaps[len(gaps) // 2] / 1e9:.2f} s, "
        f"p95 {gaps[len(gaps) * 95 // 100] / 1e9:.2f} s"
    )
