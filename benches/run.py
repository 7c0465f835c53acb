"""What tracing costs and how much it carries: ``make bench``. As root, on a machine with nothing else to do.

Each figure stands beside its baseline, measured in turns with it in the same run: trust the ratios.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

import rawtp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


class Asked(TypedDict):
    """What a tracer is asked for."""

    fields: tuple[str, ...]
    results: bool


BASIC_ENTER: Asked = {"fields": rawtp.BASIC_FIELDS, "results": False}
BASIC: Asked = {"fields": rawtp.BASIC_FIELDS, "results": True}
ALL: Asked = {"fields": rawtp.ALL_FIELDS, "results": True}
# What the kernel side does more for some keys. The keys of one group cost what one of them costs.
GROUPS = {"path": "paths", "euid": "identity, cgroup, namespaces", "exe": "exe", "argv": "argv"}


class Row(NamedTuple):
    """One line of the table: nanoseconds, and the ratio to the baseline that opened its group."""

    group: str
    name: str
    ns: float
    spread: float
    ratio: float


@contextmanager
def load(program: Path, call: str, count: int) -> Iterator[subprocess.Popen[str]]:
    """The load generator, waiting for its start."""
    command = [str(program), call, str(count)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def finish(process: subprocess.Popen[str]) -> float:
    """Lets it run to its end: nanoseconds a call."""
    out, _ = process.communicate("\n")
    return float(out)


def interleaved(group: str, rounds: int, cases: dict[str, Callable[[], float]]) -> list[Row]:
    """Runs the cases in turns: what disturbs the machine disturbs all alike. The first case is the baseline."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            found[name].append(case())
    base = next(iter(found.values()))
    rows = []
    for name, values in found.items():
        ratio = statistics.median(value / basis for value, basis in zip(values, base, strict=True))
        rows.append(Row(group, name, statistics.median(values), max(values) - min(values), ratio))
    return rows


def call_cost(program: Path, call: str, count: int, asked: Asked | None) -> float:
    """Nanoseconds of a call, with a tracer of the whole host, or with none."""
    tracer: AbstractContextManager[object] = nullcontext()
    if asked:
        tracer = rawtp.Tracer(**asked, ring_bytes=16 << 20, queue_bytes=512 << 20)
    with load(program, call, count) as process, tracer:
        return finish(process)


def cost_cases(program: Path, call: str, count: int, more: dict[str, Asked]) -> dict[str, Callable[[], float]]:
    """The call with nothing attached, and with tracers that are asked for less and for more."""
    asked: dict[str, Asked | None] = {
        "nothing attached": None,
        "rawtp, basic fields, enter only": BASIC_ENTER,
        "rawtp, basic fields": BASIC,
        **more,
        "rawtp, all fields": ALL,
    }
    return {name: partial(call_cost, program, call, count, what) for name, what in asked.items()}


def recorded(program: Path, count: int, stack: ExitStack, asked: Asked) -> rawtp.Tracer:
    """A tracer that holds ``count`` events of one process, all drained, none taken."""
    process = stack.enter_context(load(program, "unlinkat", count))
    tracer = stack.enter_context(rawtp.Tracer(**asked, pid=process.pid, ring_bytes=64 << 20, queue_bytes=512 << 20))
    finish(process)
    return tracer


def dict_cost(program: Path, count: int, take: Callable[[rawtp.Tracer, int], int], asked: Asked) -> float:
    """CPU nanoseconds of the calling thread for an event as a dict."""
    with ExitStack() as stack:
        tracer = recorded(program, count, stack, asked)
        time.sleep(0.05)
        gc.collect()
        start = time.thread_time_ns()
        taken = take(tracer, count)
        spent = time.thread_time_ns() - start
        assert taken == count, f"{taken} of {count}: {tracer.stats()}"
        return spent / taken


def iterate(tracer: rawtp.Tracer, count: int) -> int:
    """``for event in tracer``."""
    taken = 0
    for _event in tracer:
        taken += 1
        if taken == count:
            break
    return taken


def get_many(tracer: rawtp.Tracer, count: int) -> int:
    """``get_many`` in the default portions."""
    taken = 0
    while taken < count and (events := tracer.get_many(timeout=1)):
        taken += len(events)
    return taken


def literal(count: int) -> float:
    """The floor that pure Python sets: a dict display of the same keys, from values that are there already."""
    values = list(range(len(rawtp.Event.__annotations__)))
    source = "{" + ", ".join(f"{key!r}: v[{at}] + n" for at, key in enumerate(rawtp.Event.__annotations__)) + "}"
    code = compile(f"for n in range({count}):\n    event = {source}", "literal", "exec")
    start = time.thread_time_ns()
    exec(code, {"v": values})  # noqa: S102 - our own source, from our own keys
    return (time.thread_time_ns() - start) / count


def thread_cpu_ns(name: str) -> int:
    """CPU time of this process's thread of that name (schedstat, Documentation/scheduler/sched-stats.rst)."""
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int((task / "schedstat").read_text().split()[0])
    raise LookupError(name)


def burst(program: Path, count: int, ring_bytes: int, name: str, asked: Asked) -> str:
    """One producer at full speed, one reader taking dicts all the while: what arrives."""
    with (
        load(program, "unlinkat", count) as process,
        rawtp.Tracer(**asked, pid=process.pid, ring_bytes=ring_bytes) as tracer,
    ):
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        taken = 0
        start = time.thread_time_ns()
        while True:
            ended = process.poll() is not None
            events = tracer.get_many(timeout=0.2)
            taken += len(events)
            if ended and not events:
                break
        reader_ns = (time.thread_time_ns() - start) / max(taken, 1)
        drain_ns = thread_cpu_ns("rawtp-drain") / max(taken, 1)
        lost = tracer.stats().lost_ring
        assert taken + lost == count, tracer.stats()
        out, _ = process.communicate()
    return (
        f"  {name:24} {ring_bytes >> 20:3} MiB ring {taken:9} delivered {lost:8} lost"
        f"   caller {float(out):6.0f} ns/call   drain {drain_ns:4.0f}   dicts {reader_ns:4.0f} ns/event"
    )


def show(rows: list[Row]) -> None:
    """Prints the table."""
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            print(f"\n{group}\n  {'':38}{'median ns':>10}{'spread':>9}{'ratio':>8}")
        print(f"  {row.name:38}{row.ns:10.0f}{row.spread:9.0f}{row.ratio:8.2f}")


def main() -> None:
    """Builds the load, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="how often each case runs (default: %(default)s)")
    parser.add_argument("--events", type=int, default=1_000_000, help="of a burst (default: %(default)s)")
    options = parser.parse_args()
    calls, rounds = 300_000, options.rounds
    with tempfile.TemporaryDirectory() as directory:
        program = Path(directory, "load")
        subprocess.run(["gcc", "-O2", "-o", program, Path(__file__).with_name("load.c")], check=True)
        machine = f"Linux {os.uname().release}, {os.cpu_count()} CPUs, Python {sys.version.split()[0]}"
        print(f"rawtp {rawtp.__version__}, {machine}")
        show(interleaved("A call that does not match (getppid)", rounds, cost_cases(program, "getppid", calls, {})))
        groups: dict[str, Asked] = {
            f"rawtp, basic fields + {name}": {"fields": (*rawtp.BASIC_FIELDS, key), "results": True}
            for key, name in GROUPS.items()
        }
        title = "A call that matches (unlinkat, ENOENT), nobody reading"
        show(interleaved(title, rounds, cost_cases(program, "unlinkat", calls, groups)))
        cases: dict[str, Callable[[], float]] = {
            "a dict display in pure Python": lambda: literal(calls),
            "get_many, basic fields": lambda: dict_cost(program, calls, get_many, BASIC),
            "for event in tracer, basic fields": lambda: dict_cost(program, calls, iterate, BASIC),
            "get_many, all fields": lambda: dict_cost(program, calls, get_many, ALL),
        }
        show(interleaved("An event as a dict, CPU of the reading thread", rounds, cases))
        print("\nA burst at full speed, read while it lasts")
        for name, asked, ring_bytes in (
            ("basic fields, enter only", BASIC_ENTER, 4 << 20),
            ("basic fields", BASIC, 4 << 20),
            ("all fields", ALL, 4 << 20),
            ("all fields", ALL, 16 << 20),
        ):
            print(burst(program, options.events, ring_bytes, name, asked))


if __name__ == "__main__":
    main()
