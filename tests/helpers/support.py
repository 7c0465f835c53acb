"""Helpers of the kernel tests."""

from __future__ import annotations

import functools
import os
import subprocess
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rawtp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Literal

SLOWER = float(os.environ.get("RAWTP_SLOWER", "1"))
"""How many times longer an emulated machine may take than a real one."""

UNLINK = "unlink" if os.uname().machine == "x86_64" else "unlinkat"
"""The call that ``os.unlink`` makes: younger architectures have the second only."""

HANG_S = 60.0 * SLOWER
"""A bound that tells a hang, generous on any machine."""


COMES_BACK_LATE = """
import os, threading, time, rawtp

tracer = rawtp.Tracer(pid=os.getpid())
threading.Thread(target=tracer.get, daemon=True).start()
time.sleep(0.3)

class AtTheEnd:
    def __del__(self, unlink=os.unlink, sleep=time.sleep):
        try:
            unlink("/nonexistent/rawtp-late")
        except OSError:
            pass
        sleep(0.5)

kept = AtTheEnd()
"""
"""A program whose thread waits for an event that comes while the interpreter stops."""


def of_own_family(syscalls: Iterable[str] | None = None, **options: Any) -> rawtp.Tracer:
    """A tracer of this process and of those that it starts from now on.

    Its counters say nothing of the host's other processes, which delete while the tests run.
    """
    return rawtp.Tracer(syscalls, pid=os.getpid(), follow=True, **options)


def settle(tracer: rawtp.Tracer, count: int) -> None:
    """Until so many events wait in the queue.

    ``buffered`` counts those in the ring as well, and the drain thread empties it within milliseconds where it is let.
    """
    wait_for(lambda: tracer.stats().buffered == count, f"{count} events")
    time.sleep(0.1 * SLOWER)


def until_sentinel(tracer: rawtp.Tracer) -> list[rawtp.Event]:
    """All events up to now: deletes a name of its own, and reads until that comes by.

    The tracer must watch ``unlink`` of this process.
    """
    sentinel = f"/nonexistent/rawtp-sentinel-{uuid.uuid4()}"
    Path(sentinel).unlink(missing_ok=True)
    events: list[rawtp.Event] = []
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        events += tracer.get_many(timeout=1)
        for at, event in enumerate(events):
            if event["filename"] == sentinel:
                return events[:at]
    raise AssertionError(f"the sentinel did not come within {HANG_S} s, but {len(events)} other events")


def events_of(tracer: rawtp.Tracer, pid: int) -> list[rawtp.Event]:
    """The events of one process up to now. The tracer must watch this process too."""
    return [event for event in until_sentinel(tracer) if event["pid"] == pid]


def run(command: Sequence[str | bytes | Path], **options: object) -> int:
    """Runs a command to its end and gives its pid, whatever its exit status: many of these must fail."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    process.wait(timeout=HANG_S)
    pid = process.pid
    assert isinstance(pid, int)
    return pid


@contextmanager
def on_one_cpu() -> Iterator[None]:
    """This thread stays on a CPU: what is lost is told by the next event there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def stopped(command: Sequence[str | Path]) -> Iterator[subprocess.Popen[str]]:
    """A program that waits for a byte on its stdin, so that a tracer can be made first. Killed at the end."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe and not pipe.closed:
                pipe.close()


def release(process: subprocess.Popen[str]) -> None:
    """Lets a stopped program go."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def read_to_end(tracer: rawtp.Tracer, process: subprocess.Popen[str]) -> list[rawtp.Event]:
    """The events of a released program until it has ended and nothing more comes."""
    events: list[rawtp.Event] = []
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        more = tracer.get_many(timeout=0.2)
        events += more
        if ended and not more:
            return events
    raise AssertionError(f"the program did not end within {HANG_S} s")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Returns as soon as the condition holds."""
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {HANG_S} s: {what}"
        time.sleep(0.001)


def hook_refusal(hook: Literal["raw_tp", "tracepoint"]) -> str | None:
    """Why this kernel has no such hook for all calls; ``None`` when it has."""
    try:
        rawtp.Tracer(rawtp.LOSS, hook=hook, pid=1).close()
    except rawtp.UnsupportedKernelError as error:
        if not str(error).startswith('hook="tracepoint" needs a kernel with bpf_task_pt_regs, '):
            raise
        return str(error)
    return None


def _named_hooks(tracer: rawtp.Tracer) -> int:
    live = [name for name, part in tracer.coverage.items() if part["hook"] is not None]
    # Cgroups are told of when they are made and when they are left.
    return len(live) + live.count("cgroup_changes") + _hooks_on_removals(tracer)


def _hooks_on_removals(tracer: rawtp.Tracer) -> int:
    """How many links there are for the deletions beside those that the coverage names.

    There is one for each function, unless one takes several; and the results of kernel threads have some too.
    """
    hook = tracer.coverage["truth"]["hook"]
    if hook is None:
        return 0
    return 1 if hook.startswith("kprobe.multi/") else 4


@functools.cache
def tells_cancelled_requests() -> bool:
    """Whether this kernel has the tracepoint for them, which no coverage names."""
    before = attached_programs(os.getpid())
    with rawtp.Tracer(["unlinkat"]) as tracer:
        return attached_programs(os.getpid()) - before > _named_hooks(tracer)


def live_hooks(tracer: rawtp.Tracer) -> int:
    """How many programs a tracer has attached here."""
    has_results = tracer.coverage["io_uring_results"]["hook"] is not None
    return _named_hooks(tracer) + (has_results and tells_cancelled_requests())


def attached_programs(pid: int) -> int:
    """How many BPF links a process holds."""

    def is_link(descriptor: Path) -> bool:
        try:
            return "link_type" in descriptor.read_text()
        except OSError:
            return False

    return sum(map(is_link, Path(f"/proc/{pid}/fdinfo").glob("*")))


def assert_ledger(stats: rawtp.Stats) -> None:
    """The identity of the ledger, of a tracer that is closed."""
    assert is_balanced(stats), stats


def assert_ledger_of(tracer: rawtp.Tracer) -> None:
    """The identity of the ledger, also of a tracer that is open."""
    ledger_of(tracer)


def ledger_of(tracer: rawtp.Tracer) -> rawtp.Stats:
    """The ledger of a tracer that is open, of a moment in which nobody made a call between two of its numbers."""
    taken: list[rawtp.Stats] = []

    def is_at_rest() -> bool:
        taken.append(tracer.stats())
        return is_balanced(taken[-1])

    wait_for(is_at_rest, "the ledger is balanced")
    return taken[-1]


def is_balanced(stats: rawtp.Stats) -> bool:
    there = stats.filtered + stats.lost_ring + stats.lost_state + stats.pending + stats.buffered
    return stats.matched == there + stats.delivered + stats.discarded


@contextmanager
def mounted(target: Path, *arguments: str | Path) -> Iterator[None]:
    """With something mounted there, as mount(8) is told."""
    subprocess.run(["mount", *arguments, target], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", target], check=True)
