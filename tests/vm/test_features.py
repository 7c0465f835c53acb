"""Which features are live on which kernel, exactly: what one lacks degrades and says so, and nothing more than that."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.support import read_to_end, release, stopped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

PARTS = ("syscalls", "syscall_results", "io_uring", "io_uring_results", "cgroup_changes", "truth", "kernel_threads")
RAW = ("raw_tp/sys_enter", "tp_btf/sys_exit")
CLASSIC = ("tracepoint/raw_syscalls/sys_enter", "tracepoint/raw_syscalls/sys_exit")
OLD_URING = ("raw_tp/io_uring_submit_sqe", "raw_tp/io_uring_complete")
URING = ("raw_tp/io_uring_submit_req", "raw_tp/io_uring_complete")
CGROUPS = "raw_tp/cgroup_mkdir"
KPROBE_MULTI, KPROBE, FENTRY = (f"{kind}/security_path_*" for kind in ("kprobe.multi", "kprobe", "fentry"))

# The hooks of the parts but the last, which has the kind of the one before; whether hook="tracepoint" works; and the
# ABI of a 32-bit program's deletions.
EXPECTED: dict[str, tuple[tuple[str | None, ...], bool, str | None]] = {
    "5.10": ((*RAW, *OLD_URING, CGROUPS, FENTRY), False, "i386"),
    "6.1": ((*RAW, *OLD_URING, CGROUPS, KPROBE), True, "i386"),
    "6.12": ((*RAW, *URING, CGROUPS, KPROBE_MULTI), True, "i386"),
    "6.18": ((*RAW, *URING, CGROUPS, KPROBE_MULTI), True, "i386"),
    "newest": ((*CLASSIC, *URING, CGROUPS, KPROBE_MULTI), True, "i386"),
    "5.10-arm64": ((*RAW, *OLD_URING, CGROUPS, None), False, None),
    # Trampolines came to arm64 with Linux 6.4.
    "6.1-arm64": ((*RAW, *OLD_URING, CGROUPS, KPROBE), True, None),
    "6.12-arm64": ((*RAW, *URING, CGROUPS, FENTRY), True, None),
    "newest-arm64": ((*RAW, *URING, CGROUPS, KPROBE_MULTI), True, None),
}


def tracepoints_work() -> bool:
    try:
        rawtp.Tracer(hook="tracepoint").close()
    except rawtp.UnsupportedKernelError:
        return False
    return True


def abi_of_32_bit(program: Callable[[str], Path], directory: Path) -> str | None:
    """x86 only: there is no compiler for the other one's 32 bits here."""
    if os.uname().machine != "x86_64":
        return None
    with stopped([program("compat"), directory]) as process, rawtp.Tracer(pid=process.pid) as tracer:
        release(process)
        abis = {event["abi"] for event in read_to_end(tracer, process)}
    # Its last call is a native one.
    assert abis - {"i386"} <= {"x86_64"}
    return "i386" if "i386" in abis else None


def test_exactly_these_are_live(
    program: Callable[[str], Path], tmp_path: Path, record_testsuite_property: Callable[[str, Any], None]
) -> None:
    with rawtp.Tracer() as tracer:
        coverage = tracer.coverage
    hooks = tuple(coverage[part]["hook"] for part in PARTS[:-1])
    found = (hooks, tracepoints_work(), abi_of_32_bit(program, tmp_path))
    record_testsuite_property("features", json.dumps([os.uname().release, *found]))
    assert set(coverage) == set(PARTS)
    assert found == EXPECTED[os.environ["RAWTP_VM_KERNEL"]]
    truth, kernel_threads = (coverage[part]["hook"] for part in PARTS[-2:])
    assert kernel_threads == (truth and truth.replace("path", "inode"))


def test_what_is_not_live_says_so() -> None:
    with rawtp.Tracer() as tracer:
        coverage = tracer.coverage
    check = rawtp.check()
    assert check.ok
    for part in PARTS:
        live = coverage[part]["hook"] is not None
        assert live or coverage[part]["reason"], part
        assert (check[part].state == "ok") == live, check[part]
        assert live or check[part].state == "degraded", check[part]
