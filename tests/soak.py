"""Random tracers, readers and producers, for as long as is asked: the ledger must hold and nothing may grow.

Among them programs that hang, flip what a filter looks at, and move what is walked: no result and no path may be wrong.

``make soak`` runs it as root (SOAK_S=600). Rounds of some seconds each end at rest, where everything is compared. A
failure names its seed and round: ``make soak ARGS="--seed 7 --round 12"`` runs that round alone. What the machine does
between the threads is not repeated with it, but what they do is.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import rawtp
from helpers.counted import assert_positions, counted
from helpers.support import HANG_S, assert_ledger, release, stopped, wait_for
from helpers.upset import ext4, flips, hangs, moves

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAMS = Path(__file__).parent / "programs"
ROUND_S = 6.0
WARM_UP = 3
"""Rounds in which caches fill."""
MALLOC = {"PYTHONMALLOC": "malloc", "MALLOC_ARENA_MAX": "1"}
"""One heap for all threads, of Python's objects too: malloc counts all that is kept, and RSS says the same. With a heap
for each thread, RSS at rest differs by tens of MB with which thread freed last."""
USED_BYTES = 512 << 10
"""What malloc's count at rest may grow after the warm-up, however long it runs. CPython's table of interned names takes
208 KB of it when it doubles; 60 s have two hundred tracers, so that 1.5 KB left by each are beyond it."""
RSS_BYTES = 6 << 20
"""The same for RSS, which has mappings too: of rings, and of a heap that is in pieces."""
MANY = 200
"""So many wait that the next one certainly comes: a call that is open is no event yet."""
POSITION = ("cpu", "via", "seq", "lost")


class Producers:
    """Programs that delete, one after the other."""

    def __init__(self, directory: Path) -> None:
        """Builds them in the directory, where they work, too."""
        self._directory = directory
        for name in ("counted", "processes", "uring", "flips", "moving", "hanging"):
            subprocess.run(["gcc", "-O2", "-pthread", "-o", directory / name, PROGRAMS / f"{name}.c"], check=True)

    def _program(self, name: str) -> Path:
        return self._directory / name

    def _run(self, *command: str | Path) -> None:
        with stopped(command) as process:
            release(process)
            # 77: no io_uring here.
            assert process.wait(timeout=HANG_S) in {0, 77}, command

    def work(self, chance: random.Random, end: float) -> None:
        """Starts one at a time until the end."""
        while time.monotonic() < end:
            match chance.randrange(7):
                case 0:
                    self._counted(chance.randint(1, 6), chance.randint(1, 30_000))
                case 1:
                    self._run(self._program("processes"), str(chance.randint(1, 500)), "3", "4")
                case 2:
                    self._run(self._program("processes"), str(chance.randint(1, 20)), "0")
                case 3:
                    with tempfile.TemporaryDirectory(dir=self._directory) as own:
                        names = ["comm", "rawtp-victim", "comm", "rawtp-other"]
                        flips(self._program, Path(own), chance.randint(2_000, 40_000), names, comm="rawtp-victim")
                case 4:
                    self._moves(chance.randint(20, 1500), chance.randint(1_000, 30_000))
                case 5:
                    with tempfile.TemporaryDirectory(dir=self._directory) as own, ext4(Path(own)) as mount:
                        if mount is not None:
                            hangs(self._program, mount, chance.randint(10, 1_000))
                case _:
                    self._run(self._program("uring"), self._directory, "flood")
            time.sleep(chance.random() / 10)

    def _moves(self, levels: int, count: int) -> None:
        own = Path(tempfile.mkdtemp(dir=self._directory))
        try:
            moves(self._program, own, levels, count)
        finally:
            # Deeper than shutil.rmtree goes before Python 3.13.
            subprocess.run(["rm", "-rf", own], check=True)

    def _counted(self, threads: int, count: int) -> None:
        with (
            tempfile.TemporaryDirectory(dir=self._directory) as own,
            counted(self._program, Path(own), threads, count) as flood,
            rawtp.Tracer(pid=flood.pid, fields=POSITION) as tracer,
        ):
            flood.go()
            flood.wait()
            tracer.close()
            events = list(tracer)
            stats = tracer.stats()
            assert flood.ended == threads * count == stats.matched - stats.filtered == len(events) + stats.lost_ring
            assert assert_positions(events, stats.tail_lost) == stats.lost_ring


def take(tracer: rawtp.Tracer, chance: random.Random, *, is_late: bool = False) -> list[rawtp.Event]:
    """One reading, in any of the ways; not by waiting for ever where what waits may be left out yet."""
    match chance.randrange(5):
        case 0:
            return tracer.get_many(chance.randint(1, 5000), timeout=chance.random() / 20)
        case 1:
            return tracer.batch(chance.randint(1, 5000), timeout=chance.random() / 20).to_dicts()
        case 2:
            try:
                return [tracer.get(timeout=chance.random() / 20)]
            except TimeoutError:
                return []
        case 3 if not is_late:
            return [next(tracer) for _ in range(chance.randint(1, 50)) if tracer.stats().buffered > MANY]
        case _:
            time.sleep(chance.random() / 5)
            return []


TRUNCATE = set(rawtp.LOSS) - set(rawtp.DELETE)

FILTERS: list[dict[str, object]] = [
    {"pid": os.getpid(), "follow": True},
    {"uid": 0},
    {"comm": ["counted", "proc*"]},
    {"exclude_self": True},
]
LATE_FILTERS: list[dict[str, object]] = [
    {"path": "/nonexistent"},
    {"path": ["/tmp/*/rawtp*", "/nonexistent/**/a*"]},
    {"outcome": "ok"},
    {"outcome": "failed"},
]
"""Those that look again when an event is read: their gaps in ``seq`` are no loss."""


def filters(chance: random.Random) -> dict[str, object]:
    """None, or one of each kind."""
    asked = chance.choice(FILTERS) if chance.random() < 0.3 else {}
    return asked | (chance.choice(LATE_FILTERS) if chance.random() < 0.3 else {})


def options(chance: random.Random) -> dict[str, object]:
    """Of a tracer; the position is among its fields."""
    others = [name for name in rawtp.ALL_FIELDS if name not in POSITION]
    names = rawtp.LOSS
    return {
        "syscalls": rawtp.DELETE if chance.random() < 0.7 else chance.sample(names, chance.randint(1, len(names))),
        "results": chance.random() < 0.7,
        "fields": (*POSITION, *chance.sample(others, chance.randint(0, len(others)))),
        "hook": chance.choice(["auto", "raw_tp", "tracepoint"]),
        "ring_bytes": 4096 << chance.randrange(9),
        "queue_bytes": 65536 << chance.randrange(5),
        **(asked := filters(chance)),
        **({"results": True} if "outcome" in asked else {}),
    }


def trace(chance: random.Random, end: float) -> int:
    """Tracers one after the other until the end, each checked to the last event. Gives how many."""
    tracers = 0
    while time.monotonic() < end:
        asked = options(chance)
        # With results, what a truncation has lost is decided when it is read.
        is_late = "path" in asked or "outcome" in asked or bool(asked["results"] and TRUNCATE & set(asked["syscalls"]))  # type: ignore[call-overload]
        stop = min(end, time.monotonic() + chance.random() * 2)
        events: list[rawtp.Event] = []
        tracer = rawtp.Tracer(**asked)  # type: ignore[arg-type]
        tracers += 1
        while time.monotonic() < stop and len(events) < 100_000:
            events += take(tracer, chance, is_late=is_late)
        if chance.random() < 0.2:
            # Dropped as it is, with whatever waits in it.
            del tracer
            continue
        close(tracer, chance)
        closed = tracer.stats()
        assert_ledger(closed)
        assert (closed.delivered, closed.pending, closed.buffered) == (len(events), 0, 0), (asked, closed)
        events += tracer
        stats = tracer.stats()
        assert_ledger(stats)
        assert (stats.delivered, stats.discarded) == (len(events), 0), (asked, stats)
        assert stats.matched == stats.filtered + stats.lost_ring + len(events), (asked, stats)
        if is_late:
            assert sum(event["lost"] for event in events) + stats.tail_lost == stats.lost_ring, (asked, stats)
        else:
            assert assert_positions(events, stats.tail_lost) == stats.lost_ring, (asked, stats)
    return tracers


def close(tracer: rawtp.Tracer, chance: random.Random) -> None:
    """From here, or from another thread."""
    if chance.random() < 0.5:
        tracer.close()
    else:
        thread = threading.Thread(target=tracer.close)
        thread.start()
        thread.join()


def run_round(producers: Producers, seed: int, number: int) -> tuple[int, rawtp.Stats]:
    """All of them at once, and one tracer beside them from beginning to end; then everything at rest."""
    end = time.monotonic() + ROUND_S
    failures: list[BaseException] = []
    tracers: list[int] = []

    def guarded(work: Callable[[random.Random], object], name: str) -> None:
        try:
            work(random.Random(f"{seed}-{number}-{name}"))  # noqa: S311 - to be repeated
        except BaseException as failure:
            failures.append(failure)

    works: list[Callable[[random.Random], object]] = [
        lambda chance: producers.work(chance, end),
        lambda chance: producers.work(chance, end),
        *[lambda chance: tracers.append(trace(chance, end))] * 3,
    ]
    with rawtp.Tracer(fields=POSITION) as watch:
        threads = [threading.Thread(target=guarded, args=(work, str(at))) for at, work in enumerate(works)]
        for thread in threads:
            thread.start()
        lost = events = 0
        chance = random.Random(f"{seed}-{number}-watch")  # noqa: S311 - to be repeated
        while any(thread.is_alive() for thread in threads):
            taken = take(watch, chance)
            events += len(taken)
            lost += sum(event["lost"] for event in taken)
        if failures:
            raise failures[0]
        wait_for(lambda: not watch.stats().pending or bool(watch.get_many(timeout=0.1)), "no open calls")
        watch.close()
        rest = list(watch)
        stats = watch.stats()
        assert_ledger(stats)
        assert stats.matched == stats.delivered + stats.lost_ring, stats
        assert events + len(rest) <= stats.delivered, stats
    return sum(tracers), stats


class Mallinfo2(ctypes.Structure):
    """struct mallinfo2 of glibc's malloc.h, since 2.33."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        )
    )


class Rest(NamedTuple):
    """What this process has when all is closed."""

    used: int
    """Bytes that malloc has given and not got back."""
    rss: int
    """Bytes."""
    descriptors: int
    threads: int


def at_rest() -> Rest:
    """After a collection, with the names that types' cache keeps let go, and malloc's free pages given back."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Mallinfo2
    gc.collect()
    sys._clear_type_cache()
    libc.malloc_trim(0)
    info = libc.mallinfo2()
    rss = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
    descriptors, threads = (len(os.listdir(f"/proc/self/{what}")) for what in ("fd", "task"))  # noqa: PTH208
    return Rest(info.uordblks + info.hblkhd, rss, descriptors, threads)


def main() -> int:
    """Rounds until the time is over."""
    parser = argparse.ArgumentParser(prog="make soak", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=600, help="how long (600)")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="of all that is random")
    parser.add_argument("--round", type=int, help="this one alone")
    asked = parser.parse_args()
    if not MALLOC.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | MALLOC)
    print(f"seed {asked.seed}", flush=True)
    start = time.monotonic()
    rests: list[Rest] = []
    number = asked.round or 0
    with tempfile.TemporaryDirectory() as directory:
        producers = Producers(Path(directory))
        while True:
            try:
                tracers, stats = run_round(producers, asked.seed, number)
            except BaseException:
                print(f"failed: seed {asked.seed}, round {number}", file=sys.stderr)
                raise
            rest = at_rest()
            rests.append(rest)
            print(
                f"round {number}: {tracers} tracers, {stats.matched:,} calls, {stats.lost_ring:,} lost, "
                f"{rest.used:,} bytes in use, {rest.rss / 1e6:.1f} MB RSS, {rest.descriptors} descriptors, "
                f"{rest.threads} threads",
                flush=True,
            )
            assert rest[2:] == rests[0][2:], f"descriptors and threads: {rests[0][2:]}, then {rest[2:]}"
            number += 1
            if asked.round is not None or time.monotonic() - start > asked.seconds:
                break
    if len(rests) > WARM_UP:
        warm = rests[:WARM_UP]
        used = rest.used - max(each.used for each in warm)
        rss = rest.rss - max(each.rss for each in warm)
        print(f"since the warm-up: {used:+,} bytes in use, {rss / 1e6:+.1f} MB RSS")
        assert used < USED_BYTES, f"{used:,} bytes more are in use than after the warm-up"
        assert rss < RSS_BYTES, f"RSS has grown by {rss:,} bytes since the warm-up"
    return 0


if __name__ == "__main__":
    sys.exit(main())
