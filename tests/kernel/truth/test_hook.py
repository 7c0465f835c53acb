"""The hook itself: which, whether it lives, and what becomes of its records."""

from __future__ import annotations

import contextlib
import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.files import EVERYTHING, facts, told
from helpers.support import assert_ledger, of_own_family, on_one_cpu, read_to_end, release, stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.kernel

DELETERS = 4
COUNT = 2000


def test_its_start_is_no_event() -> None:
    """Whether the hook lives is tried by a call of our own, which this tracer neither delivers nor counts."""
    for syscalls in (rawtp.DELETE, rawtp.RENAME, rawtp.TRUNCATE, EVERYTHING):
        with rawtp.Tracer(syscalls, pid=os.getpid()) as tracer:
            assert (tracer.coverage["truth"]["hook"] or "").endswith("/security_path_*")
            stats = tracer.stats()
            assert (stats.matched, stats.filtered, stats.lost_truths, stats.unpaired) == (0, 0, 0, 0)
            assert tracer.get_many(timeout=0) == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"fields": ["pid", "path", "ret"]}, "fields names no key of the file itself, and there is no filter by path"),
        ({"results": False}, "results=False"),
    ],
)
def test_only_when_asked_for(options: dict[str, object], reason: str) -> None:
    with rawtp.Tracer(pid=os.getpid(), **options) as tracer:  # type: ignore[arg-type]
        assert tracer.coverage["truth"] == {"hook": None, "reason": reason}


@contextmanager
def switched_off(switch: Path) -> Iterator[None]:
    before = switch.read_text()
    switch.write_text("0")
    try:
        yield
    finally:
        switch.write_text(before)


def test_a_silent_hook_is_none(tmp_path: Path) -> None:
    """``kernel.ftrace_enabled=0`` silences hooks without an error. The event comes all the same."""
    (tmp_path / "file").write_bytes(b"x")
    try:
        with switched_off(Path("/proc/sys/kernel/ftrace_enabled")), of_own_family() as tracer:
            part = tracer.coverage["truth"]
            (tmp_path / "file").unlink()
            [event] = tracer.get_many(timeout=10)
    except OSError as error:
        pytest.skip(f"kernel.ftrace_enabled cannot be written here: {error}")
    if part["hook"] is None:
        # Silent, or refused with an error where the kind knows of the switch.
        assert "attached, but silent" in (part["reason"] or "") or "fentry: EBUSY" in (part["reason"] or "")
        assert event["real_path_by"] != "kernel"
    else:
        # A hook that needs no ftrace, or that the kernel has switched on all the same.
        assert (event["real_path_by"], event["size"]) == ("kernel", 1)
    with rawtp.Tracer(pid=os.getpid()) as tracer:
        assert tracer.coverage["truth"]["hook"] is not None


@contextmanager
def busy(cpu: int) -> Iterator[None]:
    loops = [subprocess.Popen(["taskset", "-c", str(cpu), "sh", "-c", "while :; do :; done"]) for _ in range(2)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def test_deleters_that_preempt_each_other(program: Callable[[str], Path], tmp_path: Path) -> None:
    """In directories of their own, so that no lock keeps them apart, and on one CPU: each deletion has its own file."""
    cpu = min(os.sched_getaffinity(0))
    with contextlib.ExitStack() as stack:
        processes = []
        for at in range(DELETERS):
            (tmp_path / str(at)).mkdir()
            command: list[str | Path] = ["taskset", "-c", str(cpu), program("removals"), tmp_path / str(at), str(COUNT)]
            processes.append(stack.enter_context(stopped(command)))
        pids = [process.pid for process in processes]
        tracer = stack.enter_context(rawtp.Tracer(pid=pids, ring_bytes=32 << 20))
        hook = tracer.coverage["truth"]
        with busy(cpu):
            for process in processes:
                release(process)
            events = [event for process in processes for event in read_to_end(tracer, process)]
        assert [process.returncode for process in processes] == [0] * DELETERS
        stats = tracer.stats()
    assert len(events) == DELETERS * COUNT
    expected = {f"{tmp_path}/{at}/{turn}": (pids[at], turn) for at in range(DELETERS) for turn in range(COUNT)}
    found = {event["real_path"]: (event["pid"], event["size"]) for event in events if event["real_path_by"] == "kernel"}
    assert found.items() <= expected.items()
    assert len(found) == len(expected) if hook["reason"] is None else len(found) >= len(expected) // 4
    assert (stats.lost_ring, stats.lost_exits) == (0, 0)
    if hook["reason"] is None:
        assert (stats.missed or 0, stats.lost_truths) == (0, 0)


def test_a_full_ring_counts_lost_truths(tmp_path: Path) -> None:
    """Entries may take most of the ring, and truths the rest of that. An event whose truth is lost is delivered."""
    deep = tmp_path.joinpath(*["level" * 40] * 10)
    deep.mkdir(parents=True)
    # Whether a truth meets a full ring is a matter of when the ring is drained.
    assert any(lost_truths_of_a_full_ring(deep, 4000) for _ in range(10))


def lost_truths_of_a_full_ring(deep: Path, count: int) -> int:
    for at in range(count):
        (deep / str(at)).touch()
    fields = ["pid", "seq", "lost", "filename", "ret", "ino", "real_path", "real_path_by"]
    inodes = {str(at): (deep / str(at)).stat().st_ino for at in range(count)}
    with of_own_family(fields=fields, ring_bytes=65536, queue_bytes=65536) as tracer, on_one_cpu():
        os.chdir(deep)
        for at in range(count):
            os.unlink(str(at))  # noqa: PTH108 - a relative name
        os.chdir("/")
    events = list(tracer)
    stats = tracer.stats()
    assert_ledger(stats)
    assert stats.matched == count
    assert sum(event["lost"] for event in events) + stats.tail_lost == stats.lost_ring
    # Their real paths are known without the hook, because the name is one in the working directory.
    with_truth = [event for event in events if event["ino"] is not None]
    for event in with_truth:
        name = str(event["filename"])
        assert (event["real_path"], event["ino"]) == (f"{deep}/{name}", inodes[name])
    assert {event["ret"] for event in events} <= {0, None}
    # Each event has its truth, or that was lost.
    assert len(events) - len(with_truth) == stats.lost_truths
    return stats.lost_truths


@pytest.mark.parametrize("mode", ["inline", "async", "sqpoll"])
def test_requests(program: Callable[[str], Path], tmp_path: Path, mode: str) -> None:
    """A thread of the kernel's does what io_uring was asked for. The inode goes through the renames to the deletion."""
    with stopped([program("uring"), tmp_path, mode]) as process, rawtp.Tracer(EVERYTHING, pid=process.pid) as tracer:
        release(process)
        events = read_to_end(tracer, process)
        if process.returncode == 77:
            pytest.skip("this kernel has no io_uring, or forbids it (kernel.io_uring_disabled)")
        stats = tracer.stats()
    assert (stats.unpaired, stats.lost_truths) == (0, 0)
    assert_ledger(stats)
    events = [event for event in events if event["via"] == "io_uring"]
    done = [event for event in events if event["ret"] is not None and event["ret"] >= 0]
    if all(event["real_path_by"] is None for event in done) and os.uname().release.startswith("5."):
        pytest.skip("a thread of this kernel's io_uring does not tell its request")
    files = [event for event in done if event["action"] != "rmdir"]
    here = os.path.realpath(tmp_path)
    real_paths = {
        "truncate": (f"{here}/a", None),
        "rename": (f"{here}/a", f"{here}/c"),
        "delete": (f"{here}/c", None),
        "rmdir": (f"{here}/d", None),
    }
    assert {event["action"] for event in done} == set(real_paths)
    for event in done:
        assert event["real_path_by"] == "kernel", event
        assert (event["real_path"], event["new_real_path"]) == real_paths[event["action"] or ""]
        assert event["file_type"] == ("directory" if event["action"] == "rmdir" else "file")
    [ino] = {event["ino"] for event in files}
    assert ino is not None
    failed = [event for event in events if event["errno"] == "ENOENT"]
    assert [event["ino"] for event in failed] == [None] * len(failed)


def test_a_silent_neighbour_costs_a_look_up_only(tmp_path: Path) -> None:
    """What a tracer filters has no truth record, though the hook runs for every process."""
    (tmp_path / "file").write_bytes(b"mine")
    before = facts(tmp_path / "file")
    with rawtp.Tracer(pid=1) as other, of_own_family() as tracer:
        (tmp_path / "file").unlink()
        [event] = tracer.get_many(timeout=10)
        stats = other.stats()
    assert told(event) == before
    assert (stats.delivered, stats.lost_truths, stats.unpaired) == (0, 0, 0)
