"""How many instructions the kernel's verifier goes through for each program, by its own count."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from helpers.support import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

MOST = 50_000
"""The most for a program, also on Linux 5.10, whose verifier goes through the most. The kernel's limit is a million."""

ENTER, EXIT = ("handle_sys_ente", "trace_sys_enter"), ("handle_sys_exit", "trace_sys_exit")
"""The kernel keeps 15 characters of a name."""

LOADS: dict[str, tuple[str, list[tuple[str, ...]]]] = {
    "default": ("rawtp.Tracer()", [ENTER, EXIT]),
    "every field": ('rawtp.Tracer(rawtp.LOSS, fields=(*rawtp.ALL_FIELDS, "args", "ancestors"))', [ENTER, EXIT]),
    "every call": ('rawtp.Tracer("all", pid=1, fields=["args"], buffers=4096)', [ENTER, EXIT]),
    "every filter": (
        'rawtp.Tracer("all", pid=1, follow=True, uid=7, comm="c", path="/x/**", fields=(*rawtp.ALL_FIELDS, "args"))',
        [ENTER, EXIT],
    ),
    "counts": (
        'rawtp.Counts(by="process", latency=True)',
        [("count_enter", "trace_enter"), ("count_exit", "trace_exit")],
    ),
    "raw tracepoint": ('rawtp.RawTracepoint("sched_process_exec", ["p.real_parent.comm", "bprm.filename"])', [("",)]),
}


@pytest.mark.parametrize("name", LOADS)
def test_the_verifier_is_soon_done(
    name: str,
    program: Callable[[str], Path],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    code, expected = LOADS[name]
    report = tmp_path / "report"
    command = [str(program("verified")), str(report), sys.executable, "-c", f"import rawtp; {code}.close()"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=HANG_S)
    assert (done.stderr, done.returncode) == ("", 0)
    lines = [line.partition(" ") for line in report.read_text().splitlines()]
    # libbpf and rawtp try what the kernel can with programs of a few instructions.
    found = [(name, int(count)) for count, _, name in lines if int(count) > 50]
    record_property("verified", found)
    for names in expected:
        assert any(program.startswith(names) for program, _ in found), lines
    assert all(count <= MOST for _, count in found), found
