"""What ``test_little_memory.py`` runs in a process of its own: one cell of calls, below ``RLIMIT_AS``.

It prints how the cell ended, and raises where the ledger does not add up or an event is missing.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import rawtp

if TYPE_CHECKING:
    from collections.abc import Iterator

# Long names, so that a batch's texts are large.
NAME = b"/nonexistent/" + b"x" * 200 + b"/%d"
HARD = resource.getrlimit(resource.RLIMIT_AS)[1]


@contextlib.contextmanager
def little(kib: int) -> Iterator[None]:
    """No more address space than there is now, and so much."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (kib << 10), HARD))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (HARD, HARD))


def delete(count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(NAME % number)  # noqa: PTH108


def number_of(event: rawtp.Event) -> int:
    return int(os.fsencode(event["filename"] or "").rpartition(b"/")[2])


def check_ledger(tracer: rawtp.Tracer) -> rawtp.Stats:
    stats = tracer.stats()
    kept = stats.filtered + stats.lost_ring + stats.lost_state + stats.pending + stats.buffered
    assert stats.matched == kept + stats.delivered + stats.discarded, stats
    return stats


def iterate(tracer: rawtp.Tracer, count: int) -> list[rawtp.Event]:
    """Its dicts are kept, so that memory runs out, and are gone when it has."""
    kept: list[rawtp.Event] = []
    try:
        for event in tracer:
            kept.append(event)
            if len(kept) == count:
                break
    except MemoryError:
        kept.clear()
        raise
    return kept


def stream(tracer: rawtp.Tracer) -> None:
    batch = tracer.batch(1 << 20, timeout=0)
    made = batch.__arrow_c_stream__(), batch.__arrow_c_array__(), batch.__arrow_c_schema__()
    assert len(made) == 3
    assert repr(batch).startswith("<rawtp.Batch ")


def tell(tracer: rawtp.Tracer) -> None:
    """All that says something of a tracer and reads nothing."""
    assert tracer.stats().as_dict()["buffered"]
    assert repr(tracer.stats()).startswith("Stats(matched=")
    assert tracer.coverage["syscalls"]["hook"] is not None
    assert repr(tracer).startswith("<rawtp.Tracer open")


class Readers:
    """Threads that read while others delete, until nothing has come for a while or memory has run out."""

    def __init__(self, tracer: rawtp.Tracer) -> None:
        self.tracer = tracer
        self.begin = threading.Event()
        self.ends: list[BaseException] = []
        self.threads = [threading.Thread(target=self.read) for _ in range(3)]
        # Before memory is little: a thread takes more than any of what is tried.
        for thread in self.threads:
            thread.start()

    def read(self) -> None:
        kept = []
        self.begin.wait()
        try:
            while events := self.tracer.get_many(500, timeout=0.2):
                kept.append(events)
        except (MemoryError, OSError) as error:
            kept.clear()
            self.ends.append(error)

    def run(self, count: int) -> None:
        self.begin.set()
        try:
            delete(count // 2, count)
        finally:
            for thread in self.threads:
                thread.join()
        if self.ends:
            raise self.ends[0]


def made_and_used(cell: str, kib: int) -> None:
    # Before: what cannot be mapped of the standard library's is an ImportError.
    run, check = rawtp.run, rawtp.check
    if cell != "constructor":
        with little(kib):
            made = run(["/bin/true"]) if cell == "run" else check()
        assert made
        return
    with little(kib):
        tracer = rawtp.Tracer(["unlink"], pid=os.getpid())
    delete(3)
    assert [number_of(tracer.get(timeout=30)) for _ in range(3)] == [0, 1, 2]
    tracer.close()
    check_ledger(tracer)


def run_cell(cell: str, kib: int, count: int) -> str:
    """How the cell ended. What it has not read is still there afterwards, in the order in which it happened."""
    tracer = rawtp.Tracer(["unlink"], pid=os.getpid(), ring_bytes=1 << 16 if cell == "lost" else 1 << 22)
    if cell != "lost":
        delete(count)
        assert select.select([tracer], [], [], 30)[0]
    readers = Readers(tracer) if cell == "several" else None
    batch = tracer.batch(1 << 20, timeout=0) if cell == "to_dicts" else None
    events: list[rawtp.Event] = []
    end = "ok"
    try:
        with little(kib):
            if cell == "get_many":
                events = tracer.get_many(1 << 20, timeout=0)
            elif cell == "batch":
                batch = tracer.batch(1 << 20, timeout=0)
            elif cell == "to_arrow":
                batch = tracer.to_arrow(0)
            elif cell == "to_dicts":
                events = batch.to_dicts() if batch else []
            elif cell == "iterate":
                events = iterate(tracer, count)
            elif readers:
                readers.run(count)
            elif cell == "lost":
                delete(count)
            else:
                {"stream": stream, "tell": tell, "close": rawtp.Tracer.close}[cell](tracer)
    except (MemoryError, OSError) as error:
        end = type(error).__name__
    check_ledger(tracer)
    if cell in {"batch", "to_arrow"} and batch:
        events = batch.to_dicts()
    numbers = [number_of(event) for event in events]
    assert numbers or end != "ok" or cell not in {"get_many", "batch", "to_arrow", "to_dicts", "iterate"}
    if cell in {"get_many", "batch", "to_arrow"}:
        assert tracer.stats().delivered == len(numbers)
    tracer.close()
    # It is as usable as before, with what was not read.
    taken = tracer.stats().delivered
    rest = [number_of(event) for event in tracer]
    stats = check_ledger(tracer)
    assert (stats.pending, stats.buffered, stats.delivered) == (0, 0, taken + len(rest))
    if cell == "lost":
        assert rest == sorted(set(rest))
        assert len(rest) + stats.lost_ring == count
    elif cell == "several":
        # Threads fail at different moments: what is left is in order, and there was not more than happened.
        assert rest == sorted(set(rest))
        assert taken + len(rest) + stats.lost_ring == count + count // 2
    elif cell == "close":
        # For what was in the ring there may have been no memory.
        assert rest == list(range(len(rest)))
        assert len(rest) + stats.discarded == count
    else:
        assert rest == list(range(taken, count))
        assert numbers == list(range(len(numbers)))
    assert stats.discarded == 0 or cell == "close"
    return end


if __name__ == "__main__":
    _, cell, kib, count = sys.argv
    if cell in {"constructor", "run", "check"}:
        try:
            made_and_used(cell, int(kib))
        except (MemoryError, OSError) as error:
            print(type(error).__name__, str(error)[:200])
        else:
            print("ok")
    else:
        print(run_cell(cell, int(kib), int(count)))
