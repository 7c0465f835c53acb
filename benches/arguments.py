"""What the arguments of calls cost: a call that is not asked about, one that is, and a whole build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import rawtp
from benches.calls import cost
from benches.measure import Rounds, Row, differences, ratios
from benches.tracers import Asked, unread
from benches.witness import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from benches.build import Programs
    from benches.scale import Scale

# What the floor's program sends as well.
FIELDS = ("ts_ns", "pid", "tid", "comm", "syscall", "args")
BUILD_FIELDS = ("ts_ns", "pid", "tid", "comm", "syscall", "ret", "errno", "args")

SOURCE = """\
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int work_{number}(int n) {{ char line[64]; return snprintf(line, sizeof(line), "%d", n * {number}); }}
"""
MAKEFILE = """\
OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c))
all: all.a
all.a: $(OBJECTS)
	ar rcs $@ $^
%.o: %.c
	$(CC) -O1 -c -o $@ $<
"""


def arguments(programs: Programs, scale: Scale) -> Iterator[Row]:
    """Calls beside empty and hard-coded programs, and a build beside other tools that show all of its calls."""
    yield from _tax(programs, scale)
    yield from _matched(programs, scale)
    yield from _builds(scale)


def _asked(calls: tuple[str, ...], *, results: bool) -> Asked:
    return {"syscalls": calls, "fields": FIELDS, "results": results}


def _tax(programs: Programs, scale: Scale) -> Iterator[Row]:
    """A call that is not asked about, while arguments of others are."""
    calls = ("openat", "connect", "execve")
    cases: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "floor_enter": partial(programs.floor, "empty_enter"),
        "enter": partial(unread, _asked(calls, results=False)),
        "floor_pair": partial(programs.floor, "empty_enter", "empty_exit"),
        "pair": partial(unread, _asked(calls, results=True)),
    }
    measure = {name: partial(cost, programs, "getppid", scale.calls, attach) for name, attach in cases.items()}
    rounds = Rounds(undisturbed(measure), 3 * scale.rounds)
    for key, name in (("enter", "enter only, over an empty program"), ("pair", "enter and exit, over an empty pair")):
        added = differences(rounds[key], rounds[f"floor_{key}"])
        yield Row(f"args_tax_{key}_added", "args", f"getppid, not watched; args of others: {name}", "ns", added)


def _matched(programs: Programs, scale: Scale) -> Iterator[Row]:
    """Calls with their arguments."""
    cases: dict[str, tuple[str, Callable[[], AbstractContextManager[object]]]] = {
        "open_bare": ("open", nullcontext),
        "open_floor": ("open", partial(programs.floor, "openat")),
        "openat": ("open", partial(unread, _asked(("openat",), results=False))),
        "openat_exit": ("open", partial(unread, _asked(("openat",), results=True))),
        "connect_bare": ("connect", nullcontext),
        "connect": ("connect", partial(unread, _asked(("connect",), results=True))),
    }
    measure = {name: partial(cost, programs, call, scale.calls, attach) for name, (call, attach) in cases.items()}
    rounds = Rounds(undisturbed(measure), 2 * scale.rounds)
    bare, floor = rounds["open_bare"], rounds["open_floor"]
    yield Row("args_open_bare", "args", "openat (ENOENT), nothing attached", "ns", bare)
    name = "floor: a program written for openat, to a C consumer"
    yield Row("args_open_floor", "args", name, "ns", floor, {"bare": ratios(floor, bare)})
    for key, name in (("openat", "openat with args, enter only"), ("openat_exit", "openat with args and its result")):
        values = rounds[key]
        to = {"bare": ratios(values, bare), "floor": ratios(values, floor)}
        yield Row(f"args_{key}", "args", name, "ns", values, to)
    bare, values = rounds["connect_bare"], rounds["connect"]
    yield Row("args_connect_bare", "args", "connect (EBADF), nothing attached", "ns", bare)
    name = "connect with args and its result"
    yield Row("args_connect", "args", name, "ns", values, {"bare": ratios(values, bare)})
    yield Row("args_connect_added", "args", f"{name}: added", "ns", differences(values, bare))


class Watcher(NamedTuple):
    """A tool that shows the calls of a command."""

    key: str
    name: str
    command: tuple[str, ...]
    """What comes before the command; it writes to no disk."""


def _watchers() -> list[Watcher]:
    """All that could be there."""
    # Its own calls would make it write more.
    bpftrace = 'tracepoint:raw_syscalls:sys_enter /comm != "bpftrace"/ { printf("%d %s %d\\n", pid, comm, args->id); }'
    return [
        Watcher("strace", "strace -f", ("strace", "-f", "-o", os.devnull)),
        Watcher(
            "strace_seccomp",
            "strace -f --seccomp-bpf, calls with files alone",
            ("strace", "-f", "--seccomp-bpf", "-e", "trace=%file", "-o", os.devnull),
        ),
        Watcher("perf", "perf trace", ("perf", "trace", "-o", os.devnull)),
        Watcher("bpftrace", "bpftrace, the numbers of all calls of the host", ("bpftrace", "-q", "-e", bpftrace, "-c")),
    ]


def _run_by(watcher: Watcher, command: list[str]) -> subprocess.CompletedProcess[str]:
    words = [" ".join(command)] if watcher.command[-1] == "-c" else command
    whole = [*watcher.command, *words]
    return subprocess.run(whole, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)


def _lacks(watcher: Watcher) -> str:
    """Why a tool cannot watch here; empty when it can."""
    if not shutil.which(watcher.command[0]):
        return "not installed"
    done = _run_by(watcher, ["/bin/true"])
    last = done.stderr.strip().splitlines()[-1:] or [f"it ends with {done.returncode}"]
    return f"does not run here: {last[0][:100]}" if done.returncode else ""


def _timed(directory: Path, run: Callable[[list[str]], object]) -> float:
    """Milliseconds of a build from nothing."""
    for made in (*directory.glob("*.o"), *directory.glob("*.a")):
        made.unlink()
    start = time.perf_counter()
    run([str(shutil.which("make")), "-s", "-C", str(directory)])
    took = (time.perf_counter() - start) * 1e3
    if not (directory / "all.a").exists():
        raise RuntimeError("the build failed")
    return took


def _builds(scale: Scale) -> Iterator[Row]:
    """The same build with nobody watching, and with each tool that shows all of its calls."""
    if not (shutil.which("make") and shutil.which("cc")):
        yield Row("args_build", "args", "a build, all of its calls", "ms", note="there is no make, or no cc")
        return
    calls: list[float] = []
    lost: list[float] = []

    def by_run(command: list[str]) -> None:
        result = rawtp.run(command, syscalls="all", fields=BUILD_FIELDS)
        calls.append(float(len(result.events)))
        lost.append(float(result.stats.lost_ring))

    strace = (sys.executable, "-m", "rawtp", "-s", "all", "-o", "strace", "--")
    lacking = {watcher: _lacks(watcher) for watcher in _watchers()}
    here = [watcher for watcher, lacks in lacking.items() if not lacks]
    watchers = [Watcher("cli", "python -m rawtp -s all -o strace", strace), *here]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as root:
        directory = Path(root)
        (directory / "Makefile").write_text(MAKEFILE)
        for number in range(scale.build_files):
            (directory / f"file-{number}.c").write_text(SOURCE.format(number=number))
        cases: dict[str, Callable[[], float]] = {
            "bare": partial(_timed, directory, partial(subprocess.run, check=True)),
            "run": partial(_timed, directory, by_run),
            **{watcher.key: partial(_timed, directory, partial(_run_by, watcher)) for watcher in watchers},
        }
        # As it comes: seconds on both cores even out, and a try under strace takes half a minute.
        rounds = Rounds(cases, scale.build_runs)
    bare = rounds["bare"]
    yield Row("args_build_bare", "args", f"make of {scale.build_files} C files, nothing attached", "ms", bare)
    to_bare = {"bare": ratios(rounds["run"], bare)}
    yield Row("args_build", "args", 'rawtp.run(make, syscalls="all") with args', "ms", rounds["run"], to_bare)
    yield Row("args_build_calls", "args", "calls of it", "events", tuple(calls))
    yield Row("args_build_lost", "args", "of these, lost", "events", tuple(lost))
    for watcher in watchers:
        values = rounds[watcher.key]
        yield Row(
            f"args_build_{watcher.key}",
            "args",
            f"make under {watcher.name}",
            "ms",
            values,
            {"bare": ratios(values, bare)},
        )
    for watcher, lacks in lacking.items():
        if lacks:
            yield Row(f"args_build_{watcher.key}", "args", f"make under {watcher.name}", "ms", note=lacks)
