"""An exit belongs to the call that it ends: decided at its entry, whatever any process does meanwhile."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

import rawtp
from helpers.support import HANG_S, UNLINK, assert_ledger, hook_refusal, read_to_end, release, stopped, wait_for
from helpers.upset import ext4, flips, hangs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.kernel

Hook = Literal["raw_tp", "tracepoint"]
HOOKS: tuple[Hook, ...] = ("raw_tp", "tracepoint")


@pytest.fixture(params=HOOKS)
def hook(request: pytest.FixtureRequest) -> Hook:
    name: Hook = request.param
    if reason := hook_refusal(name):
        pytest.skip(reason)
    return name


@pytest.fixture
def cgroups(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Two cgroups of version 2."""
    mount = tmp_path / "cgroups"
    mount.mkdir()
    subprocess.run(["mount", "-t", "cgroup2", "none", mount], check=True)
    one, other = (mount / f"rawtp-test-{os.getpid()}-{name}" for name in ("one", "other"))
    try:
        one.mkdir()
        other.mkdir()
        yield one, other
    finally:
        one.rmdir()
        other.rmdir()
        subprocess.run(["umount", mount], check=True)


def test_numbers_with_bits_above_32(program: Callable[[str], Path], tmp_path: Path, hook: Hook) -> None:
    """The kernel looks at the low 32 bits (before Linux 5.14, at all of them on x86_64: ENOSYS)."""
    with stopped([program("numbers"), tmp_path]) as process, rawtp.Tracer(pid=process.pid, hook=hook) as tracer:
        release(process)
        live = read_to_end(tracer, process)
        stats = tracer.stats()
        assert process.stdout is not None
        returned = dict(line.split() for line in process.stdout)
    expected = ["plain", "one", "all", "highest"]
    expected += ["unlink", "x32", "compat"] if os.uname().machine == "x86_64" else []
    assert list(returned) == expected
    # Without 32-bit or x32 calls in it, a kernel says so; and what it does not do is an event all the same.
    assert [(event["path"], event["ret"]) for event in live] == [
        (f"{tmp_path}/{name}", int(ret)) for name, ret in returned.items()
    ]
    abis = {"x32": "x32", "compat": "i386"}
    native = "x86_64" if os.uname().machine == "x86_64" else "aarch64"
    assert [event["abi"] for event in live] == [abis.get(name, native) for name in returned]
    assert returned["plain"] == "0"
    assert (stats.pending, stats.unpaired, stats.lost_exits) == (0, 0, 0)
    assert_ledger(stats)


def test_the_comm_changes_inside_a_call(program: Callable[[str], Path], tmp_path: Path, hook: Hook) -> None:
    names = ["comm", "rawtp-victim", "comm", "rawtp-other"]
    flips(program, tmp_path, 40_000, names, comm="rawtp-victim", hook=hook)


def test_the_cgroup_changes_inside_a_call(
    program: Callable[[str], Path], tmp_path: Path, cgroups: tuple[Path, Path]
) -> None:
    one, other = (path / "cgroup.procs" for path in cgroups)
    flips(program, tmp_path, 40_000, [one, "0", other, "0"], cgroup=cgroups[0])


def test_calls_that_hang_keep_their_results(program: Callable[[str], Path], tmp_path: Path) -> None:
    with ext4(tmp_path) as mount:
        if mount is None:
            pytest.skip("no ext4 can be made and mounted here")
        hangs(program, mount, 5_000)


def test_a_call_that_began_before_the_tracer(program: Callable[[str], Path], hook: Hook) -> None:
    with stopped([program("blocked")]) as process:
        with rawtp.Tracer(pid=process.pid) as first:
            release(process)
            wait_for(lambda: first.get_many(timeout=0) == [] and first.stats().pending == 1, "an open call")
        with rawtp.Tracer(pid=process.pid, hook=hook) as second:
            release(process)
            [event] = read_to_end(second, process)
            stats = second.stats()
    assert (event["syscall"], event["path"], event["errno"]) == ("unlinkat", "/nonexistent/rawtp-blocked", "ENOENT")
    assert (event["duration_ns"], event["name_status"], event["comm"], event["pid"]) == (
        None,
        "ok",
        "blocked",
        process.pid,
    )
    assert event["exe"] == str(program("blocked"))
    assert (event["argv"], event["lost"]) == ((str(program("blocked")),), 0)
    assert (stats.delivered, stats.unpaired, stats.pending) == (1, 0, 0)
    assert_ledger(stats)


@pytest.mark.parametrize("path", ["/nonexistent", "/elsewhere"])
def test_a_call_that_began_before_is_filtered_like_any(program: Callable[[str], Path], path: str) -> None:
    with stopped([program("blocked")]) as process:
        with rawtp.Tracer(pid=process.pid) as first:
            release(process)
            wait_for(lambda: first.get_many(timeout=0) == [] and first.stats().pending == 1, "an open call")
        with rawtp.Tracer(pid=process.pid, path=path) as second, rawtp.Tracer(pid=os.getpid(), path=path) as third:
            release(process)
            events = read_to_end(second, process)
            assert third.get_many(timeout=0) == []
    assert [event["path"] for event in events] == ["/nonexistent/rawtp-blocked"] * (path == "/nonexistent")
    stats = second.stats()
    assert (stats.delivered, stats.unpaired) == (len(events), 0)
    assert_ledger(stats)


def test_what_seccomp_refuses_is_an_event(program: Callable[[str], Path], hook: Hook) -> None:
    """It comes before the tracepoint of entries. A thread that it kills has an exit since Linux 6.1, but no result."""
    with stopped([program("refused")]) as process, rawtp.Tracer(pid=process.pid, hook=hook) as tracer:
        release(process)
        events = read_to_end(tracer, process)
        stats = tracer.stats()
    assert process.returncode == 0
    seen = [(event["filename"], event["errno"], event["duration_ns"] is None, event["action"]) for event in events]
    assert seen[:3] == [
        ("refused", "EXDEV", True, "delete"),
        ("allowed", "EINVAL", False, "delete"),
        ("refused too", "EXDEV", True, "delete"),
    ]
    assert seen[3:] in ([], [("killed", None, True, "rmdir")])
    assert [event["ret"] for event in events[3:]] == [None] * len(events[3:])
    seqs = {event["cpu"]: [other["seq"] for other in events if other["cpu"] == event["cpu"]] for event in events}
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in seqs.values()), seqs
    assert (stats.delivered, stats.unpaired, stats.pending, stats.lost_exits) == (len(events), 0, 0, 0)
    assert_ledger(stats)


def untouched_how(tmp_path: Path, flags: int) -> Path:
    """A file whose first bytes are a struct open_how."""
    file = tmp_path / "how"
    file.write_bytes(flags.to_bytes(8, "little") + bytes(4096 - 8))
    return file


@pytest.mark.parametrize("flags", [os.O_WRONLY | os.O_TRUNC, os.O_WRONLY])
@pytest.mark.parametrize("results", [True, False])
@pytest.mark.quiet_host
def test_openat2_whose_flags_are_not_in_memory(
    program: Callable[[str], Path], tmp_path: Path, hook: Hook, flags: int, results: bool
) -> None:
    target = tmp_path / "target"
    target.write_text("content")
    command = [program("untouched_how"), untouched_how(tmp_path, flags), target]
    with (
        stopped(command) as process,
        rawtp.Tracer(["openat2"], pid=process.pid, hook=hook, results=results, path=tmp_path) as tracer,
    ):
        release(process)
        events = read_to_end(tracer, process)
        stats = tracer.stats()
    assert target.stat().st_size == (0 if flags & os.O_TRUNC else 7)
    # Of what is nowhere, nobody can tell the flags: not the kernel either.
    nowhere = (None, "EFAULT" if results else None, None)
    seen = [(event["flags"], event["errno"], event["duration_ns"]) for event in events]
    if results:
        assert seen == [(flags, None, None), nowhere][not flags & os.O_TRUNC :]
        assert all((event["ret"] or 0) > 0 for event in events[:-1])
    else:
        # The exit would tell; the entry can only say that it does not know.
        assert seen == [(None, None, None), nowhere]
    assert [event["path"] for event in events] == [str(target)] * len(events)
    assert (stats.matched, stats.filtered) == (len(events), 0)
    assert_ledger(stats)


@contextmanager
def threads_left_inside(program: Callable[[str], Path], count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """So many processes, each with a thread inside an unlinkat."""
    processes = []
    for _ in range(count):
        process = subprocess.Popen([program("blocked")], stdin=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()
            if process.stdin:
                process.stdin.close()


def test_a_thread_that_is_killed_inside_its_call(program: Callable[[str], Path]) -> None:
    """Its id is soon another's, whose calls have results of their own."""
    missing = "/nonexistent/rawtp-next"
    with rawtp.Tracer(comm=["blocked", "rm"], path="/nonexistent") as tracer:
        with threads_left_inside(program, 20) as processes:
            pids = {process.pid for process in processes}
            wait_for(lambda: tracer.get_many(timeout=0) == [] and tracer.stats().pending >= 20, "open calls")
        later = [subprocess.run(["rm", missing], check=False, capture_output=True, timeout=HANG_S) for _ in range(50)]
        tracer.close()
        events = list(tracer)
    assert {run.returncode for run in later} == {1}
    of_rm = [event for event in events if event["filename"] == missing]
    assert [(event["errno"], event["comm"]) for event in of_rm] == [("ENOENT", "rm")] * 50
    killed = [event for event in events if event["pid"] in pids]
    # The name was in a page that never came, and so the kernel found none.
    assert {(event["errno"], event["filename"]) for event in killed} <= {("EFAULT", None)}


def test_an_exec_by_another_thread(tmp_path: Path) -> None:
    """The thread that calls exec takes the id of the first. Its calls are not joined to what that one was in."""
    script = f"""
import os, threading, time
def run():
    os.execv("/bin/rm", ["rm", "-f", {str(tmp_path / "there")!r}, {str(tmp_path / "gone")!r}])
threading.Timer(0.1, run).start()
while True:
    try: os.unlink("/nonexistent/rawtp-leader")
    except OSError: pass
"""
    (tmp_path / "there").touch()
    result = rawtp.run(["python3", "-c", script], ring_bytes=32 << 20, comm=["python3", "rm"])
    of_rm = [event for event in result.events if event["comm"] == "rm"]
    assert [(event["path"], event["ret"], event["tid"] == event["pid"]) for event in of_rm][:1] == [
        (str(tmp_path / "there"), 0, True)
    ]
    others = [event for event in result.events if event["comm"] != "rm"]
    assert {(event["filename"], event["errno"], event["syscall"]) for event in others} == {
        ("/nonexistent/rawtp-leader", "ENOENT", UNLINK)
    }
    assert result.stats.lost_ring == 0
