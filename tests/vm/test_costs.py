"""What the hooks on the kernel's functions cost, as ratios: an emulated machine has no nanoseconds to compare.

`make bench ARGS="--only functions"` runs it, and has rows of these ratios. `make test-vm KERNELS=newest
ARGS=tests/vm/test_costs.py` prints the table of docs/explanation/costs.md.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.support import stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

CALLS = 20_000
ROUNDS = 5
TRUTH = (*rawtp.BASIC_FIELDS, "ino", "size")
TRACERS: dict[str, dict[str, Any] | None] = {
    "nothing attached": None,
    "basic fields": {"fields": rawtp.BASIC_FIELDS},
    "basic fields, `ino`, `size`": {"fields": TRUTH},
    "basic fields, `ino`, `size`, `freed`": {"fields": (*TRUTH, "freed")},
    'basic fields, `hook="vfs"`': {"fields": rawtp.BASIC_FIELDS, "hook": "vfs"},
    "all fields": {"fields": rawtp.ALL_FIELDS},
    'all fields, `hook="vfs"`': {"fields": rawtp.ALL_FIELDS, "hook": "vfs"},
}


def one(program: Path, options: dict[str, Any] | None, path: Path, call: str) -> tuple[float, list[dict[str, Any]]]:
    """The nanoseconds of a call, and the events."""
    with contextlib.ExitStack() as stack:
        process = stack.enter_context(stopped([program, str(CALLS), path, call]))
        tracer = None
        if options is not None:
            tracer = stack.enter_context(rawtp.Tracer(pid=process.pid, ring_bytes=64 << 20, **options))
        told, _ = process.communicate("x")
        if tracer is None:
            return float(told), []
        tracer.close()
        assert tracer.stats().lost_ring == 0
        return float(told), [*tracer]


def test_costs_of_the_hooks(
    program: Callable[[str], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    record_testsuite_property: Callable[[str, Any], None],
) -> None:
    """A directory is a file that `unlinkat` reaches and does not remove: it costs the same again and again."""
    directory, file = tmp_path / "directory", tmp_path / "file"
    directory.mkdir()
    file.touch()
    columns = {
        "getppid": (file, "getppid"),
        "openat": (file, "openat"),
        "unlinkat of nothing": (tmp_path / "missing", "unlinkat"),
        "unlinkat of a file": (directory, "unlinkat"),
    }
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for row, options in TRACERS.items():
            for column, (path, call) in columns.items():
                ns, events = one(program("burst"), options, path, call)
                found.setdefault((row, column), []).append(ns)
                is_seen = (
                    options is not None
                    and column.startswith("unlinkat")
                    and not (options.get("hook") == "vfs" and path.name == "missing")
                )
                assert len(events) == (CALLS if is_seen else 0), (row, column)
                if events and "ino" in events[0]:
                    assert {event["ino"] for event in events} == {path.stat().st_ino if path == directory else None}
    times = [[row, column, ns] for (row, column), ns in found.items()]
    record_testsuite_property("costs", json.dumps([os.uname().release, times]))
    with capsys.disabled():
        print(f"\n{os.uname().release}\n\n| with | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
        for row in TRACERS:
            ratios = [min(found[row, column]) / min(found["nothing attached", column]) for column in columns]
            print(f"| {row} | {' | '.join(f'{ratio:.2f}' for ratio in ratios)} |")
