"""A disk that is full until the recorder has ended. What was dropped is told by it, or by the recorder after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import rawtp
from helpers.recordings import HANG_S, events, recording
from helpers.support import mounted
from rawtp import _core

pytestmark = pytest.mark.kernel

HERE = Path(__file__).parent


@pytest.mark.parametrize("journal", ["room", "full"])
@pytest.mark.parametrize("end", ["close", "kill"])
def test_each_call_is_recorded_or_lost(end: str, journal: str, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=2m", "none"):
        directory = disk / "h"
        command: list[str | Path] = [sys.executable, HERE / "drop_recorder.py", directory, end, journal]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
        times, status, *closed = map(json.loads, done.stdout.splitlines())
        assert len(closed) == (end == "close"), done.stderr
        assert status["dropped"] == status["lost"] > 0
        subprocess.run(["mount", "-o", "remount,size=100m", disk], check=True)
        # The second recorder must not tell again what the first has told.
        for _ in range(2):
            with recording(directory) as recorder:
                recorder.seal(HANG_S)
        # Of a killed recorder, what waits in memory is in the gap.
        [last] = closed or [status]
        paths = [event["path"] for event in events(directory, columns=["path"])]
        recorded = {int(path.split("/")[3]) for path in paths if path.startswith("/nonexistent/rawtp-drop/")}
        history = rawtp.History(directory)
        losses = history.losses()
        assert {loss["kind"] for loss in losses} == {"memory"}
        assert sum(loss["count"] for loss in losses) == last["dropped"]
        assert len(recorded) + last["dropped"] + last["in_memory"] == len(times) - 1
        untold = set(range(len(times) - 1)) - recorded
        stretches = [(stretch["from_ns"], stretch["to_ns"]) for stretch in (*losses, *history.gaps())]
        for number, (before, after) in enumerate(pairwise(times)):
            if any(start <= after and (stop is None or before <= stop) for start, stop in stretches):
                untold.discard(number)
        assert untold == set()


def test_a_loss_is_told_without_an_event_after_it(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=1m", "none"):
        directory = disk / "h"
        with recording(directory, memory_bytes=1 << 20, sync_s=60.0) as recorder:
            before = recorder.status()["through_ns"]
            filler = disk / "filler"
            with pytest.raises(OSError, match="No space"):
                filler.write_bytes(bytes(1 << 20))
            for _ in range(6000):
                # Names that do not compress.
                (tmp_path / os.urandom(120).hex()).unlink(missing_ok=True)
            with pytest.raises(OSError, match="No space"):
                recorder.sync(HANG_S)
            dropped = recorder.status()["dropped"]
            assert dropped > 0
            # No call of the tracer's mask makes room.
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
            recorder.sync(HANG_S)
            status = recorder.status()
            assert (status["failing"], status["in_memory"]) == (False, 0)
            [loss] = _core.HistoryReader(directory).losses()
            assert (loss["kind"], loss["count"]) == ("memory", dropped)
            assert before < loss["from_ns"] <= loss["to_ns"] < status["through_ns"]
