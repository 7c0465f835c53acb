"""A recorder and readers without memory. Arrow and Parquet end the process when they get none. What can be seen before
is a MemoryError."""

from __future__ import annotations

import json
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
MOST_KB = 300_000
"""Issue 17's bound of a recorder that seals."""

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


DELETER = """
import os, random, sys
sys.stdin.readline()
place = os.open(sys.argv[1], os.O_RDONLY)
for number in range(14):
    name = f"{number}".ljust(250, "x")
    os.mkdir(name, dir_fd=place)
    place = os.open(name, os.O_RDONLY, dir_fd=place)
chance = random.Random(1)
for _ in range(int(sys.argv[2])):
    name = chance.randbytes(127).hex()
    os.close(os.open(name, os.O_CREAT, dir_fd=place))
    os.unlink(name, dir_fd=place)
"""


def test_long_names_take_no_more_memory(tmp_path: Path) -> None:
    """Paths of 3.7 kB without a pattern, by a process with arguments of 128 KiB each."""
    count = 30_000
    place = tmp_path / "place"
    place.mkdir()
    command = [sys.executable, "-c", DELETER, str(place), str(count), *["a" * 131_000] * 4]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as deleter:
        recorder = subprocess.Popen(
            [sys.executable, HERE / "names_recorder.py", tmp_path / "h", str(deleter.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with recorder:
            assert recorder.stdin is not None
            assert recorder.stdout is not None
            assert recorder.stdout.readline() == "records\n"
            deleter.communicate("\n", timeout=HANG_S)
            said, _ = recorder.communicate("\n", timeout=HANG_S)
    status = json.loads(said)
    print({key: status[key] for key in ("events", "lost", "sealed", "segment_bytes", "most_kb")})
    assert (status["events"] + status["lost"], status["errors"]) == (count, 0)
    assert status["acknowledged"] == status["events"] > count // 2
    assert status["most_kb"] <= MOST_KB
    [event] = events(tmp_path / "h", columns=["path"], limit=1)
    assert len(event["path"]) > 3700
