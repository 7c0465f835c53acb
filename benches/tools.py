"""The peers: what else tells who deletes what. How each is run, and what it prints for an event."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from benches.build import PROGRAMS, Load, Programs

if TYPE_CHECKING:
    from collections.abc import Callable

DEBIAN_PYTHON = "/usr/bin/python3"


class Tool(NamedTuple):
    """One of them."""

    key: str
    name: str
    command: Callable[[Programs, Load, Load], list[str]]
    """Given the load whose first event is waited for, and the load whose burst is counted."""
    lacks: Callable[[], str]
    """Why it cannot run here; empty when it can."""
    event: str = ""
    """What it prints for an event of a load, ``{}`` for the load's name, as a regular expression. Without one it counts
    for itself: it prints ``first``, and at its end the number."""
    ends_with_stdin: bool = False
    """Rather than by Ctrl-C."""
    is_slow: bool = False
    """One run is enough to see it, and all that there is time for."""


def _nothing() -> str:
    return ""


def _program(name: str) -> Callable[[], str]:
    return lambda: "" if shutil.which(name) else "not installed"


def _bcc() -> str:
    done = subprocess.run([DEBIAN_PYTHON, "-c", "import bcc"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "not installed"


def _rawtp(fields: str) -> Callable[[Programs, Load, Load], list[str]]:
    return lambda *_: [sys.executable, str(PROGRAMS / "rawtp_peer.py"), fields]


def _bcc_peer(buffer: str) -> Callable[[Programs, Load, Load], list[str]]:
    return lambda *_: [DEBIAN_PYTHON, str(PROGRAMS / "bcc_peer.py"), buffer]


BPFTRACE = 'tracepoint:syscalls:sys_enter_unlinkat { printf("%d %s %s\\n", pid, comm, str(args->pathname)); }'

TOOLS = (
    Tool("rawtp_all", "rawtp, iterating dicts", _rawtp("all"), _nothing),
    Tool("rawtp_basic", "rawtp, basic fields, enter only", _rawtp("basic"), _nothing),
    Tool(
        "rawtp_jsonl",
        "python -m rawtp, JSON lines",
        lambda *_: [sys.executable, "-m", "rawtp", "-o", "jsonl"],
        _nothing,
        event=r'"comm": ?"rawtp-{}"',
    ),
    Tool(
        "floor",
        "floor: a C consumer that only counts",
        lambda programs, *_: programs.floor_command("count"),
        _nothing,
        ends_with_stdin=True,
    ),
    Tool(
        "printk",
        "the guide's bpf_printk and trace_pipe",
        lambda programs, *_: programs.floor_command("printk"),
        _nothing,
        event="comm: rawtp-{} ",
        ends_with_stdin=True,
    ),
    Tool("bpftrace", "bpftrace", lambda *_: ["bpftrace", "-e", BPFTRACE], _program("bpftrace"), event=" rawtp-{} "),
    Tool("bcc_ring", "bcc's Python, ring buffer of 16 MiB", _bcc_peer("ring"), _bcc),
    Tool("bcc_perf", "bcc's Python, perf buffer", _bcc_peer("perf"), _bcc),
    Tool(
        "perf",
        "perf trace -a (no path)",
        lambda *_: ["perf", "trace", "-a", "-e", "unlinkat", "-o", "/dev/stdout"],
        _program("perf"),
        event=r"rawtp-{}/\d+ unlinkat\(",
        is_slow=True,
    ),
    Tool(
        "strace",
        "strace -f (these processes only)",
        lambda _, first, burst: [
            "strace",
            "-f",
            "-e",
            "trace=unlinkat",
            "-p",
            str(first.pid),
            "-p",
            str(burst.pid),
            "-o",
            "/dev/stdout",
        ],
        _program("strace"),
        event=r'unlinkat\(AT_FDCWD, "/nonexistent/{}"',
        is_slow=True,
    ),
)
