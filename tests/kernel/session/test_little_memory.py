"""Little memory: at any limit a call ends with a result, MemoryError or OSError, and no event is lost uncounted."""

from __future__ import annotations

import collections
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.kernel

CHILD = Path(__file__).with_name("little_memory_child.py")

# What a process may take more than it has, in KiB: at the low end even a chunk of 64 KiB is too much.
LIMITS = [
    0,
    32,
    64,
    128,
    192,
    256,
    384,
    512,
    768,
    1024,
    1536,
    2048,
    3072,
    4096,
    6144,
    8192,
    12288,
    16384,
    49152,
    204800,
]

# Those that take most, with so many events, and whether some of the limits are too little for them.
CELLS = {
    "constructor": (0, True),
    "get_many": (4000, False),
    "batch": (4000, False),
    "to_arrow": (4000, False),
    "to_dicts": (4000, True),
    "iterate": (4000, True),
    "several": (2000, False),
    "stream": (2000, False),
    "tell": (500, False),
    "close": (2000, False),
    "lost": (4000, False),
    "check": (0, True),
    "run": (0, True),
}


def run(cell: str, kib: int, count: int) -> str:
    command = [sys.executable, str(CHILD), cell, str(kib), str(count)]
    # The bound tells a hang.
    child = subprocess.run(command, capture_output=True, text=True, timeout=120)
    # A panic, or Rust's word before an abort, would be on standard error.
    assert (child.returncode, child.stderr) == (0, ""), (cell, kib, child.stdout)
    return child.stdout


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.slow
def test_each_limit_ends_in_a_result_or_an_error_of_memory(cell: str) -> None:
    count, is_refused = CELLS[cell]
    ends = [run(cell, kib, count) for kib in LIMITS]
    kinds = collections.Counter(end.split()[0] for end in ends)
    assert set(kinds) <= {"ok", "MemoryError", "OSError", "BlockingIOError"}, ends
    # With room enough it works, so that the others were refused for want of it.
    assert ends[-1] == "ok\n", ends
    assert not is_refused or kinds["MemoryError"] > 0, ends


def test_the_error_says_that_it_was_memory() -> None:
    assert run("constructor", 0, 0) == "MemoryError out of memory: cannot load the BPF programs\n"
