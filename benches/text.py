"""Events as text: what a line costs, and what of a producer at full speed arrives in the command line's output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import rawtp
from benches.build import Load, Programs
from benches.measure import Rounds, Row, ratios
from benches.peers import MEMORY
from benches.reader import cost
from benches.tracers import ALL
from benches.witness import undisturbed
from rawtp._core import TextReader
from rawtp.formats.jsonl import JsonLines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benches.scale import Scale

_AT_ONCE = 512
"""Dicts that the command line takes at a time."""
_LIVE_S = 10.0


def by_dicts(tracer: rawtp.Tracer, calls: int) -> int:
    """JSON lines of dicts, as where something else looks at them, too."""
    lines, taken = JsonLines(rawtp.ALL_FIELDS), 0
    while taken < calls and (events := tracer.get_many(_AT_ONCE, timeout=1)):
        lines.events(events).encode()
        taken += len(events)
    return taken


def by_the_extension(fields: tuple[str, ...], tracer: rawtp.Tracer, calls: int) -> int:
    """The same bytes, without dicts."""
    reader, taken = TextReader(tracer, "jsonl", fields), 0
    while taken < calls and (events := reader.read(timeout=1)[1]):
        taken += events
    return taken


class Written(NamedTuple):
    """Of one run of the command line."""

    lost: int
    user_ns: float
    """CPU of the process in user space, its start included, of one event."""
    system_ns: float
    """The same in the kernel."""
    line_bytes: float


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """An error leaves no process behind, for which ``Popen`` would wait."""
    try:
        yield
    except BaseException:
        process.kill()
        raise


def command_line(programs: Programs, calls: int, *options: str) -> Written:
    """``rawtp > FILE``, in memory, of one producer."""
    with (
        Load(programs, "-n", calls) as load,
        tempfile.NamedTemporaryFile(dir=MEMORY if MEMORY.is_dir() else None) as file,
    ):
        command = [sys.executable, "-m", "rawtp", "-o", "jsonl", "-p", str(load.pid), *options]
        with subprocess.Popen(command, stdout=file, stderr=subprocess.DEVNULL) as process, ended(process):
            deadline_s = time.monotonic() + _LIVE_S
            # It writes the session's line when it is attached.
            while not os.fstat(file.fileno()).st_size:
                if process.poll() is not None or time.monotonic() > deadline_s:
                    raise RuntimeError("the command line wrote nothing")
                time.sleep(0.001)
            load.start()
            load.numbers()
            process.terminate()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        found, ledger = _read(Path(file.name))
        if process.returncode or found != ledger["delivered"]:
            raise RuntimeError(f"{found} lines, exit code {process.returncode}: {ledger}")
        size = os.fstat(file.fileno()).st_size
    return Written(calls - found, usage.ru_utime * 1e9 / calls, usage.ru_stime * 1e9 / calls, size / calls)


def _read(path: Path) -> tuple[int, dict[str, int]]:
    """The number of events in a file, and the ledger."""
    found, last = 0, b""
    with path.open("rb") as lines:
        for last in lines:
            found += last.startswith(b'{"type":"event"')
    return found, json.loads(last)


def texts(programs: Programs, scale: Scale) -> Iterator[Row]:
    """Lines with events in the queue; and the command line at full speed."""
    calls = scale.calls
    cases: dict[str, Callable[[], float]] = {
        "python": partial(cost, programs, calls, 1, ALL, by_dicts),
        "rust": partial(cost, programs, calls, 1, ALL, partial(by_the_extension, rawtp.ALL_FIELDS)),
        # What is read, joined and looked up is the same.
        "short": partial(cost, programs, calls, 1, ALL, partial(by_the_extension, ("seq",))),
    }
    rounds = Rounds(undisturbed(cases), -(-scale.rounds // 2))
    to_python = {"python": ratios(rounds["rust"], rounds["python"])}
    yield Row("line_python", "text", "JSON line of a dict, dict included", "ns CPU", rounds["python"])
    yield Row("line_rust", "text", "JSON line by the extension", "ns CPU", rounds["rust"], to_python)
    yield Row("line_short", "text", "JSON line by the extension, of one key", "ns CPU", rounds["short"])
    text = tuple(whole - short for whole, short in zip(rounds["rust"], rounds["short"], strict=True))
    yield Row("line_text", "text", "the text of the other keys", "ns CPU", text)

    at_full_speed: dict[str, Callable[[], Written]] = {
        # --summary looks at dicts.
        "python": partial(command_line, programs, scale.burst_calls, "--summary"),
        "rust": partial(command_line, programs, scale.burst_calls),
    }
    runs = Rounds(at_full_speed, max(scale.burst_runs // 2, 1))
    for key, name in (("python", "of dicts"), ("rust", "by the extension")):
        found = runs[key]
        whole = sum(not run.lost for run in found)
        note = f"{whole} of {len(found)} runs without loss; {found[0].line_bytes:.0f} bytes an event"
        title = f"rawtp > file, {scale.burst_calls:,} events, {name}"
        lost = tuple(float(run.lost) for run in found)
        yield Row(f"text_lost_{key}", "text", f"{title}: lost", "events", lost, note=note)
        yield Row(f"text_user_{key}", "text", f"{title}: user", "ns CPU", tuple(run.user_ns for run in found))
        yield Row(f"text_system_{key}", "text", f"{title}: system", "ns CPU", tuple(run.system_ns for run in found))
