"""A drain thread that gives up, because of a ring that no kernel leaves so: it is said, and the ledger adds up."""

from __future__ import annotations

import asyncio
import ctypes
import json
import mmap
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import HANG_S, SLOWER, assert_ledger, assert_ledger_of, settle, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

FAILURE = "the drain thread gave up: malformed record: a position beyond what the ring holds"
STREAM = "/nonexistent/rawtp-stream"
QUEUE_BYTES = 64 << 10
MANY = 5000
"""Events for which there is room in the ring, and by far not in the queue."""
RINGBUF = 27  # BPF_MAP_TYPE_RINGBUF, include/uapi/linux/bpf.h
PIDFD_GETFD = 438  # on every architecture


def delete(name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name)  # noqa: PTH108 - exactly this call


class Position:
    """How far a ring was read, in the page of it that user space may write."""

    BEYOND = 1 << 40

    def __init__(self, page: mmap.mmap) -> None:
        self._page = page

    @property
    def value(self) -> int:
        return int.from_bytes(self._page[:8], sys.byteorder)

    @value.setter
    def value(self, value: int) -> None:
        self._page[:8] = value.to_bytes(8, sys.byteorder)

    def spoil(self) -> None:
        """Moves it beyond all that was written. The next to look at the ring gives up; but nobody is woken any more."""
        self.value += self.BEYOND


@contextmanager
def position_of(pid: int) -> Iterator[Position]:
    """That of the ring of a process with one tracer."""

    def is_ring(info: Path) -> bool:
        with suppress(FileNotFoundError):
            return re.search(rf"^map_type:\t{RINGBUF}$", info.read_text(), re.MULTILINE) is not None
        return False

    [number] = [int(info.name) for info in Path(f"/proc/{pid}/fdinfo").iterdir() if is_ring(info)]
    process = os.pidfd_open(pid)
    ring = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, process, number, 0)
    os.close(process)
    assert ring >= 0, os.strerror(ctypes.get_errno())
    try:
        with mmap.mmap(ring, mmap.PAGESIZE) as page:
            yield Position(page)
    finally:
        os.close(ring)


def spoil(pid: int) -> None:
    """Spoils the ring of a process whose thread waits for room in the queue: that is what it looks at next."""
    with position_of(pid) as position:
        seen = []

        def is_still() -> bool:
            seen.append(position.value)
            time.sleep(0.1 * SLOWER)
            return seen[-1] > 0 and seen[-3:] == [seen[-1]] * 3

        wait_for(is_still, "a thread that waits")
        position.spoil()


@contextmanager
def given_up() -> Iterator[rawtp.Tracer]:
    """A tracer of this process whose thread gives up as soon as there is room in the queue."""
    with rawtp.Tracer(pid=os.getpid(), queue_bytes=QUEUE_BYTES) as tracer:
        for _ in range(MANY):
            delete(STREAM)
        spoil(os.getpid())
        yield tracer


def test_in_the_middle_of_a_stream() -> None:
    def read() -> None:
        while True:
            events.extend(tracer.get_many(100, timeout=HANG_S))

    events: list[rawtp.Event] = []
    with given_up() as tracer:
        with pytest.raises(rawtp.RawtpError, match=f"^{FAILURE}$"):
            read()
        assert tracer.closed
        # Once, and after all that it had brought.
        for call in (tracer.get, tracer.get_many, tracer.batch):
            with pytest.raises(ValueError, match=r"^the tracer is closed$"):
                call()
        assert list(tracer) == []
        left = tracer.stats().buffered
        delete("/nonexistent/rawtp-after")
    assert {event["filename"] for event in events} == {STREAM}
    stats = tracer.stats()
    assert_ledger(stats)
    # What comes to a ring that nobody reads is lost; what is in it already, discarded at the close.
    assert (stats.delivered, stats.discarded, stats.lost_ring) == (len(events), left, 1)
    assert stats.delivered + stats.discarded == MANY
    assert min(len(events), left) > 0


def test_an_iteration_ends_with_it() -> None:
    seen: list[rawtp.Event] = []
    with given_up() as tracer:
        iterator = iter(tracer)
        with pytest.raises(rawtp.RawtpError, match=f"^{FAILURE}$"):
            seen += iterator
        assert next(iterator, None) is None
    assert tracer.stats().delivered == len(seen) > 0
    assert_ledger_of(tracer)


def test_batches_end_with_it() -> None:
    def read() -> None:
        while True:
            rows.append(len(tracer.batch(100)))

    rows: list[int] = []
    with given_up() as tracer:
        with pytest.raises(rawtp.RawtpError, match=f"^{FAILURE}$"):
            read()
        with pytest.raises(ValueError, match=r"^the tracer is closed$"):
            tracer.batch()
    assert tracer.stats().delivered == sum(rows) > 0
    assert_ledger_of(tracer)


def test_columns_of_a_while_end_with_it() -> None:
    """They have what had come, and the next ones say it."""
    with given_up() as tracer:
        had_come = len(tracer.to_arrow())
        with pytest.raises(rawtp.RawtpError, match=f"^{FAILURE}$"):
            tracer.to_arrow()
    assert tracer.stats().delivered == had_come > 0
    assert_ledger_of(tracer)


def test_a_task_ends_with_it() -> None:
    async def read() -> None:
        async for event in tracer:
            seen.append(event)

    seen: list[rawtp.Event] = []
    with given_up() as tracer, pytest.raises(rawtp.RawtpError, match=f"^{FAILURE}$"):
        asyncio.run(read())
    assert tracer.stats().delivered == len(seen) > 0


def test_at_the_close() -> None:
    with rawtp.Tracer(pid=os.getpid()) as tracer:
        for number in range(3):
            delete(f"/nonexistent/rawtp-{number}")
        settle(tracer, 3)
        with position_of(os.getpid()) as position:
            position.spoil()
            delete("/nonexistent/rawtp-lost")
    seen: list[rawtp.Event] = []
    with pytest.raises(rawtp.RawtpError, match=f"^{FAILURE}$"):
        seen += tracer
    assert [event["filename"] for event in seen] == [f"/nonexistent/rawtp-{number}" for number in range(3)]
    stats = tracer.stats()
    assert_ledger(stats)
    assert (stats.lost_ring, stats.delivered, stats.discarded) == (1, 3, 0)


def test_on_the_command_line_in_the_middle_of_a_stream() -> None:
    """It ends by itself, after all that was brought."""
    command = [sys.executable, "-m", "rawtp", "-o", "jsonl", "--queue-bytes", str(QUEUE_BYTES), "-p", str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "session"
        # Nobody reads, and so it stops at a full pipe.
        for _ in range(MANY):
            delete(STREAM)
        spoil(process.pid)
        lines = [json.loads(line) for line in process.stdout]
        assert process.stderr is not None
        error = process.stderr.read()
    assert error.count(f"rawtp: {FAILURE}\n") == 1
    events = [line for line in lines if line["type"] == "event"]
    assert {event["filename"] for event in events} == {STREAM}
    last = lines[-1]
    assert (last["type"], last["delivered"]) == ("ledger", len(events))
    assert (last["delivered"] + last["discarded"], last["lost_ring"]) == (MANY, 0)
    assert process.returncode == 1


def test_on_the_command_line_at_the_close() -> None:
    command = [sys.executable, "-m", "rawtp", "-o", "jsonl", "-p", str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["type"] == "session"
        for number in range(3):
            delete(f"/nonexistent/rawtp-{number}")
        lines = [json.loads(process.stdout.readline()) for _ in range(3)]
        with position_of(process.pid) as position:
            position.spoil()
            delete("/nonexistent/rawtp-lost")
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=HANG_S)
    assert [line["filename"] for line in lines] == [f"/nonexistent/rawtp-{number}" for number in range(3)]
    lost, said, delivered, identity, _ = error.splitlines()
    assert (lost, said) == ("rawtp: lost 1 event at the end", f"rawtp: {FAILURE}")
    assert delivered == "rawtp: 3 events delivered, 1 lost"
    assert re.search(r" lost_ring 1 \+ .* delivered 3 \+ discarded 0$", identity)
    last = json.loads(out.splitlines()[-1])
    assert (last["type"], last["lost_ring"], last["delivered"]) == ("ledger", 1, 3)
    assert process.returncode == 1
