"""What a process runs is sent once: every event has it all the same, and never another's."""

from __future__ import annotations

import contextlib
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.counted import counted
from helpers.support import events_of, read_to_end, release, run, stopped, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel


def test_the_record_that_tells_it_is_lost(program: Callable[[str], Path]) -> None:
    """The ring is full when the process comes: what it runs comes with the first record that is not lost."""
    with (
        stopped([program("burst"), "0", "/nonexistent/rawtp-late"]) as process,
        rawtp.Tracer(pid=(os.getpid(), process.pid), ring_bytes=65536, queue_bytes=65536) as tracer,
    ):
        while tracer.stats().lost_ring == 0:
            for _ in range(1000):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink("/nonexistent/rawtp-fill")  # noqa: PTH108 - faster
        full = tracer.stats().lost_ring
        release(process)
        # Nothing is read, and so nothing of it can have found room: the record that tells more is the longer one.
        wait_for(lambda: tracer.stats().lost_ring > full + 1000, "losses")
        late: list[rawtp.Event] = []
        while len(late) < 1000:
            late += [event for event in tracer.get_many(timeout=10) if event["pid"] == process.pid]
        process.kill()
        process.wait()
        late += [event for event in tracer.get_many(timeout=0) if event["pid"] == process.pid]
    burst = str(program("burst"))
    assert {(event["exe"], event["argv"]) for event in late} == {(burst, (burst, "0", "/nonexistent/rawtp-late"))}
    assert max(event["lost"] for event in late) > 0


def test_a_chain_of_execs(tracer: rawtp.Tracer) -> None:
    """One pid, one start: each event has the arguments of its own link, though all are the same executable."""
    links = 8
    source = """
import os, sys
link = int(sys.argv[1])
for call in range(3):
    try: os.unlink(f"/nonexistent/link-{link}")
    except OSError: pass
if link: os.execv(sys.executable, [sys.executable, "-I", "-c", sys.argv[2], str(link - 1), sys.argv[2]])
"""
    # Short, so that the number is not cut off.
    pid = run([sys.executable, "-I", "-c", source, str(links), source])
    events = events_of(tracer, pid)
    seen = [(event["filename"], (event["argv"] or ())[4:5]) for event in events]
    expected = [(f"/nonexistent/link-{link}", (str(link),)) for link in range(links, -1, -1) for _ in range(3)]
    assert seen == expected
    assert len({event["exe"] for event in events}) == 1


def test_several_threads(program: Callable[[str], Path], tmp_path: Path) -> None:
    """They may all send it at once, from several CPUs."""
    with (
        counted(program, tmp_path, 8, 500) as process,
        rawtp.Tracer(pid=process.pid, ring_bytes=16 << 20) as tracer,
    ):
        process.go()
        events = read_to_end(tracer, process.process)
    assert len(events) == 8 * 500
    assert len({event["tid"] for event in events}) == 8
    exe = str(program("counted"))
    [(seen, argv)] = {(event["exe"], event["argv"]) for event in events}
    assert seen == exe
    assert argv is not None
    assert (argv[0], argv[2:]) == (exe, ("8", "500"))


def test_processes_that_share_a_place(program: Callable[[str], Path]) -> None:
    """Two thousand, each with another whose pid is 16,384 apart, all at the same time."""
    last = Path("/proc/sys/kernel/ns_last_pid")
    if not os.access(last, os.W_OK):
        pytest.skip("ns_last_pid cannot be written here (CONFIG_CHECKPOINT_RESTORE)")
    count, calls, places = 2_000, 6, 16_384
    fields = ("pid", "ppid", "filename", "argv", "exe", "lost")
    command: list[str | Path] = [program("alternating"), str(count), str(calls), "0000000"]
    with ExitStack() as stack:
        parents = []
        for before in (2_000, 2_000 + places):
            last.write_text(str(before))
            parent = stack.enter_context(stopped(command))
            assert parent.stdout is not None
            assert parent.stdout.readline() == "ready\n"
            parents.append(parent)
        tracer = stack.enter_context(rawtp.Tracer(comm="alternating", fields=fields, ring_bytes=64 << 20))
        for parent in parents:
            release(parent)
        seen = [event for parent in parents for event in read_to_end(tracer, parent)]
        events = [event for event in seen if event["ppid"] in {parent.pid for parent in parents}]
        assert tracer.stats().lost_ring == 0
    assert len(events) == 2 * count * calls
    pids = {event["pid"] for event in events}
    assert len(pids) == 2 * count
    assert len({pid % places for pid in pids}) < 1.2 * count
    wrong = [
        event
        for event in events
        if event["exe"] != str(program("alternating"))
        or event["filename"] != f"/nonexistent/{(event['argv'] or ('none',))[-1]}"
    ]
    assert wrong == []
