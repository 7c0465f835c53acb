"""Requests of io_uring's, made for real in each of its modes."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import HANG_S, assert_ledger, read_to_end, release, stopped, tells_cancelled_requests
from rawtp.syscalls import flag_names

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

AT_FDCWD = -100
LINUX = tuple(map(int, re.findall(r"\d+", os.uname().release)[:2]))


def seen(
    tracer: rawtp.Tracer, process: subprocess.Popen[str], requests: int | None = None
) -> tuple[list[rawtp.Event], list[int]]:
    """The events of the program, and the results that it printed."""
    release(process)
    events = read_to_end(tracer, process)
    if process.returncode == 77:
        pytest.skip("this kernel has no io_uring, or forbids it (kernel.io_uring_disabled)")
    assert process.returncode == 0
    stats = tracer.stats()
    assert (stats.unpaired, stats.pending, stats.lost_exits) == (0, 0, 0)
    assert_ledger(stats)
    assert process.stdout is not None
    results = [int(line) for line in process.stdout.read().split()]
    assert requests is None or len(events) == requests
    return events, results


@pytest.mark.parametrize("mode", ["inline", "async", "sqpoll"])
def test_each_request(program: Callable[[str], Path], tmp_path: Path, mode: str) -> None:
    with stopped([program("uring"), tmp_path, mode]) as process, rawtp.Tracer(rawtp.LOSS, pid=process.pid) as tracer:
        assert tracer.coverage["io_uring"]["reason"] is None
        assert tracer.coverage["io_uring_results"] == {"hook": "raw_tp/io_uring_complete", "reason": None}
        events, results = seen(tracer, process)
    assert [result for result in results if result < 0][-3:] == [-2, -9, -2]
    shown = [
        (
            event["syscall"],
            event["action"],
            event["dfd"],
            flag_names(str(event["syscall"]), event["flags"]),
            event["filename"],
            event["new_filename"],
            event["path"],
            event["path_kind"],
        )
        for event in events
    ]
    here = str(tmp_path)
    # O_LARGEFILE is what io_uring adds.
    truncates = ["O_WRONLY", "O_TRUNC", "O_LARGEFILE"]
    punches = ["FALLOC_FL_KEEP_SIZE", "FALLOC_FL_PUNCH_HOLE"]
    fd = results[1]
    expected: list[tuple[object, ...]] = [
        ("openat", "truncate", AT_FDCWD, truncates, "a", None, f"{here}/a", "partial"),
        ("openat2", "truncate", AT_FDCWD, truncates, "a", None, f"{here}/a", "partial"),
        ("ftruncate", "truncate", fd, [], None, None, f"{here}/a", "partial"),
        ("fallocate", "punch", fd, punches, None, None, f"{here}/a", "partial"),
        ("renameat2", "rename", AT_FDCWD, ["RENAME_NOREPLACE"], "a", "c", f"{here}/a", "partial"),
        ("renameat2", "rename", AT_FDCWD, [], "a", "c", f"{here}/a", "partial"),
        ("unlinkat", "rmdir", AT_FDCWD, ["AT_REMOVEDIR"], "d", None, f"{here}/d", "partial"),
        ("unlinkat", "delete", 3, [], "none", None, f"{tmp_path.parent}/none", "partial"),
        ("unlinkat", "delete", 99, [], "none", None, None, None),
        ("unlinkat", "delete", AT_FDCWD, [], "/nonexistent/absolute", None, "/nonexistent/absolute", "absolute"),
        ("unlinkat", "delete", AT_FDCWD, [], "c", None, f"{here}/c", "partial"),
    ]
    # The opens without O_TRUNC, or that cannot truncate, and the fallocate that removes nothing are none of ours.
    returned = [result for at, result in enumerate(results) if at not in {0, 2, 6, 7, 8}]
    if LINUX < (5, 19):  # which keeps the request's file only
        expected[3] = ("fallocate", "punch", None, *expected[3][3:])
    if returned[2] == -22:  # FTRUNCATE came with 6.9; a kernel that does not know it makes no request of it.
        del expected[2], returned[2]
    assert shown == expected
    assert [event["ret"] for event in events] == returned
    for event in events:
        assert (event["via"], event["pid"], event["comm"]) == ("io_uring", process.pid, "uring")
        assert (event["tid"] == process.pid) == (mode != "sqpoll")
        assert event["abi"] == {"x86_64": "x86_64", "aarch64": "aarch64"}[os.uname().machine]
        assert event["exe"] == str(program("uring"))
        assert (event["uid"], event["ppid"]) == (os.getuid(), os.getpid())
        assert (event["duration_ns"] or 0) > 0
        assert event["new_path"] == (f"{here}/c" if event["action"] == "rename" else None)
        is_range = event["syscall"] == "fallocate"
        assert (event["range_start"], event["range_length"]) == ((4096, 8192) if is_range else (None, None))
    seqs = [(event["cpu"], event["seq"]) for event in events]
    assert len(set(seqs)) == len(seqs)


def test_without_a_completion(program: Callable[[str], Path], tmp_path: Path) -> None:
    """IOSQE_CQE_SKIP_SUCCESS: the event comes at once, and nobody waits for its end."""
    with stopped([program("uring"), tmp_path, "skip"]) as process, rawtp.Tracer(pid=process.pid) as tracer:
        [event], _ = seen(tracer, process)
    assert (event["via"], event["path"]) == ("io_uring", f"{tmp_path}/a")
    assert (event["ret"], event["errno"], event["duration_ns"]) == (None, None, None)


CANCELLED: list[tuple[int | None, str | None]] = [(-125, "ECANCELED"), (None, None)]
"""The result of a request that is cancelled without a completion, where the kernel tells of it and where it does not"""


def test_linked_to_one_that_fails(program: Callable[[str], Path], tmp_path: Path) -> None:
    """It is cancelled, and its completion skipped. What then has its address must not lend it a result."""
    with stopped([program("uring"), tmp_path, "linked"]) as process, rawtp.Tracer(pid=process.pid) as tracer:
        tells = tells_cancelled_requests()
        events, _ = seen(tracer, process, requests=50)
    assert (tmp_path / "kept").exists()
    assert {(event["filename"], event["via"], event["ret"], event["errno"]) for event in events} == {
        ("kept", "io_uring", *CANCELLED[not tells])
    }


def test_a_chain_that_fails_leaves_nothing(program: Callable[[str], Path], tmp_path: Path) -> None:
    """Its requests are over at once; those that fail before they begin, at the same addresses, lend them no result."""
    if not tells_cancelled_requests():
        pytest.skip("this kernel has no io_uring_fail_link with the requests' addresses: Linux 5.19 or later")
    with stopped([program("uring"), tmp_path, "stale"]) as process, rawtp.Tracer(pid=process.pid) as tracer:
        release(process)
        process.wait(timeout=HANG_S)
        if process.returncode == 77:
            pytest.skip("this kernel has no IOSQE_CQE_SKIP_SUCCESS")
        events = tracer.get_many(timeout=0)
        assert [(event["filename"], event["ret"], event["errno"]) for event in events] == [
            ("none", -125, "ECANCELED")
        ] * 3
        assert (tracer.stats().pending, tracer.stats().lost_exits) == (0, 0)


def test_a_name_that_is_resolved_later(program: Callable[[str], Path], tmp_path: Path) -> None:
    """The working directory is another one by then: a filter by path lets the request through, whatever it asks for,
    unless a hook on the kernel's functions tells where it went."""
    for path in (tmp_path / "secret", tmp_path, "/elsewhere"):
        command: list[str | Path] = [program("uring"), tmp_path, "late"]
        with stopped(command) as process, rawtp.Tracer(pid=process.pid, path=path) as tracer:
            events, _ = seen(tracer, process)
            has_hook = tracer.coverage["truth"]["hook"] is not None
        assert process.returncode == 0
        assert not (tmp_path / "secret/x").exists()
        assert {(event["filename"], event["ret"], event["path_kind"]) for event in events} <= {("x", 0, "partial")}
        assert len(events) == 1 or (has_hook and path == "/elsewhere" and not events)


def test_completions_that_nobody_waits_for(program: Callable[[str], Path], tmp_path: Path) -> None:
    """The program exits at once: each request still has its event, with whatever became of it."""
    with stopped([program("uring"), tmp_path, "abandon"]) as process, rawtp.Tracer(pid=process.pid) as tracer:
        events, _ = seen(tracer, process, 8)
    assert {event["path"] for event in events} == {f"{tmp_path}/none"}
    assert {event["errno"] for event in events} <= {"ENOENT", "ECANCELED"}


def test_without_results(program: Callable[[str], Path], tmp_path: Path) -> None:
    with (
        stopped([program("uring"), tmp_path, "inline"]) as process,
        rawtp.Tracer(results=False, pid=process.pid) as tracer,
    ):
        assert tracer.coverage["io_uring_results"] == {"hook": None, "reason": "results=False"}
        assert tracer.coverage["syscall_results"] == {"hook": None, "reason": "results=False"}
        events, _ = seen(tracer, process, 5)
    assert {event["ret"] for event in events} == {None}


def test_others_are_filtered(program: Callable[[str], Path], tmp_path: Path) -> None:
    with stopped([program("uring"), tmp_path, "inline"]) as process, rawtp.Tracer(pid=os.getpid()) as tracer:
        before = tracer.stats().filtered
        release(process)
        assert process.wait(60) in {0, 77}
        if process.returncode == 0:
            assert tracer.stats().filtered >= before + 5
        assert all(event["pid"] == os.getpid() for event in tracer.get_many(timeout=0))


def test_a_full_ring_counts_what_is_lost(program: Callable[[str], Path], tmp_path: Path) -> None:
    """The ring is full before the first request: the requests are lost, and so are their completions' entries."""
    with (
        stopped([program("uring"), tmp_path, "inline"]) as process,
        rawtp.Tracer(pid=(os.getpid(), process.pid), ring_bytes=65536, queue_bytes=65536) as tracer,
    ):
        while tracer.stats().lost_ring == 0:
            for _ in range(1000):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink("/nonexistent/rawtp-fill")  # noqa: PTH108 - faster
        release(process)
        assert process.wait(60) in {0, 77}
        lost = tracer.stats().lost_ring
    events = list(tracer)
    stats = tracer.stats()
    assert stats.lost_ring >= lost
    assert sum(event["lost"] for event in events) + stats.tail_lost == stats.lost_ring
    assert_ledger(stats)


def test_no_request_does_what_is_watched() -> None:
    with rawtp.Tracer(["unlink" if os.uname().machine == "x86_64" else "renameat"]) as tracer:
        reason = "io_uring has no request that does what the chosen syscalls do"
        for part in ("io_uring", "io_uring_results"):
            assert tracer.coverage[part] == {"hook": None, "reason": reason}
        parts = ["syscalls", "io_uring", "syscall_results", "io_uring_results"]
        assert list(tracer.coverage) == [*parts, "cgroup_changes", "truth", "kernel_threads"]
