"""The benchmark runs, and refuses to when it would measure others. Never a figure: those are for a quiet machine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import rawtp
from helpers.support import HANG_S

pytestmark = [pytest.mark.kernel, pytest.mark.quiet_host]

ROOT = Path(__file__).parents[3]


def bench(output: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benches", "--output", str(output), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=HANG_S)


def test_a_theme(tmp_path: Path) -> None:
    done = bench(tmp_path, "--quick", "--only", "tax", "--rounds", "1", "--calls", "2000", "--force")
    assert done.returncode == 0, done.stderr
    [written] = tmp_path.glob("*.json")
    found = json.loads(written.read_text())
    assert set(found) == {"machine", "rows", "peers", "growth"}
    assert (found["machine"]["rawtp"], found["peers"], found["growth"]) == (rawtp.__version__, [], [])
    keys = ["tax_bare", "tax_floor_enter", "tax_enter", "tax_floor_pair", "tax_pair"]
    assert [row["key"] for row in found["rows"]] == keys
    assert [set(row["ratios"]) for row in found["rows"]] == [
        set(),
        {"bare"},
        {"bare", "floor"},
        {"bare"},
        {"bare", "floor"},
    ]
    # Three times the rounds that were asked for, as the theme says.
    assert all(len(row["values"]) == 3 and min(row["values"]) > 0 for row in found["rows"])
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["figure", "median", "spread", "unit", "÷", "bare", "÷", "floor", "target"]
    assert [line.startswith(row["name"]) for line, row in zip(lines, found["rows"], strict=False)] == [True] * 5
    assert [line.rsplit("  ")[-1] in ("met", "missed") for line in lines[:5]] == [False, False, True, False, True]


def test_a_burst_agrees_with_the_ledger(tmp_path: Path) -> None:
    # It asserts for itself that what was delivered and lost is what the producers made.
    from benches.build import Programs
    from benches.burst import burst
    from benches.tracers import BASIC

    found = burst(Programs(tmp_path), 3_000, 4 << 20, BASIC)
    assert (found.lost, found.caller_ns > 0, found.reader_ns > 0) == (0, True, True)


@pytest.mark.parametrize("options", [(), ("--summary",)])
def test_what_the_command_line_writes_agrees_with_its_ledger(options: tuple[str, ...], tmp_path: Path) -> None:
    from benches.build import Programs
    from benches.text import command_line

    written = command_line(Programs(tmp_path), 3_000, *options)
    assert (written.lost, written.user_ns > 0, written.line_bytes > 100) == (0, True, True)


def test_it_names_who_else_hooks_system_calls(tmp_path: Path) -> None:
    with rawtp.Tracer():
        done = bench(tmp_path, "--quick", "--only", "tax", "--rounds", "1", "--calls", "2000")
    assert done.returncode == 1
    first, *others = done.stderr.splitlines()
    assert first == "others hook system calls here; stop them, or measure anyway with --force:"
    # The kernel keeps 15 characters of a program's name.
    for tracepoint, program in (("sys_enter", "handle_sys_ente"), ("sys_exit", "handle_sys_exit")):
        start = f"the raw tracepoint {tracepoint}, by the BPF program {program!r} (id "
        assert any(other.startswith(start) for other in others), others
    assert list(tmp_path.iterdir()) == []
