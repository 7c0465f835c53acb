"""A recorder and readers without memory. Arrow and Parquet end the process when they get none. What can be seen before
is a MemoryError."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import rawtp
from helpers.recordings import HANG_S, events, key, recording
from rawtp import _core

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

HERE = Path(__file__).parent
DELETED = 20_000

READER = """
import os, resource, sys
import rawtp
history = rawtp.History(sys.argv[1])
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * os.sysconf("SC_PAGE_SIZE") + (int(sys.argv[2]) << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    if sys.argv[3] == "who":
        print("found", len(history.who("/nonexistent/rawtp-memory/777", failed=True)))
    else:
        print("found", sum(len(batch) for batch in history.scan()))
except MemoryError as error:
    print("MemoryError", error)
"""


def numbers(directory: Path) -> Counter[int]:
    names = [event["path"] for event in events(directory, columns=["path", "ts_ns"])]
    return Counter(int(name.rpartition("/")[2]) for name in names if "/rawtp-memory/" in name)


def recorded(directory: Path, mib: int) -> tuple[int, int | None, str, int]:
    """What a recorder acknowledged last, when it had deleted all, what it said of its end, and its exit code."""
    command: list[str | Path] = [sys.executable, HERE / "memory_recorder.py", directory, str(mib)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
    lines = done.stdout.splitlines()
    told = [int(line) for line in lines if line.isdecimal()]
    ends = [int(line.split()[1]) for line in lines if line.startswith("all ")]
    return max(told, default=0), ends[0] if ends else None, done.stderr, done.returncode


@pytest.mark.parametrize("mib", [2, 8, 16, 32, 64])
def test_what_was_acknowledged_stays(mib: int, tmp_path: Path) -> None:
    directory = tmp_path / "h"
    told, all_ns, said, code = recorded(directory, mib)
    print(mib, "MiB:", told, "acknowledged, exit code", code, said[:200])
    # A process without memory ends by itself, and says so; nothing hangs.
    assert code == 0 or "emory" in said, said
    with recording(directory) as recorder:
        recorder.seal(HANG_S)
        assert recorder.recovered["quarantined"] == []
        assert recorder.status()["errors"] == 0, recorder.status()
    found = numbers(directory)
    assert set(range(1, told + 1)) - found.keys() == set()
    everything = events(directory, columns=["session", "via", "cpu", "seq", "ts_ns"])
    assert max(Counter(map(key, everything)).values(), default=1) == 1
    assert rawtp.History(directory).verify() == []
    # What is not there is told: a loss, or a gap that begins before the last deletion.
    reader = _core.HistoryReader(directory)
    gap = reader.gaps()[0]
    is_told = reader.losses() != [] or (gap["reason"] == "died" if all_ns is None else gap["from_ns"] < all_ns)
    assert is_told or sum(found.values()) == DELETED


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("memory") / "h"
    told, _, said, code = recorded(directory, 4096)
    assert (told, code) == (DELETED, 0), said
    return directory


@pytest.mark.parametrize(("kind", "expected"), [("who", 1), ("scan", DELETED)])
def test_readers_tell_the_lack_of_memory_and_call_nothing_damaged(kind: str, expected: int, history: Path) -> None:
    outcomes: Counter[str] = Counter()
    for mib in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 1024):
        command: list[str | Path] = [sys.executable, "-c", READER, history, str(mib), kind]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False, env={**os.environ})
        if "memory allocation of" in done.stderr and done.returncode < 0:
            outcomes["ended"] += 1
            continue
        assert "damaged" not in done.stdout + done.stderr
        if done.returncode == 0 and done.stdout.startswith("MemoryError"):
            outcomes["MemoryError"] += 1
            continue
        if done.returncode and "MemoryError" in done.stderr:
            outcomes["Python's MemoryError"] += 1
            continue
        assert done.stdout == f"found {expected}\n", done.stderr
        outcomes["found"] += 1
    print(kind, dict(outcomes))
    assert outcomes["found"] > 0
    assert outcomes["MemoryError"] > outcomes["ended"]
