"""rawtp beside its peers: calls at full speed; how many of them arrive, and what it costs their caller."""

from __future__ import annotations

import re
import signal
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benches.build import PROGRAMS, Load, Programs
from benches.tools import TOOLS, Tool

if TYPE_CHECKING:
    from benches.scale import Scale

GIVES_UP_S = 30.0
"""A tool that has not seen an event of one every millisecond by then will not."""
SETTLES_S = 0.5
"""Output that has not grown for so long is all there is."""
MEMORY = Path("/dev/shm")  # noqa: S108 - not for secrets: for the speed


class Run(NamedTuple):
    """One run of one tool."""

    delivered: float
    caller_ns: float
    first_ms: float
    rss_mb: float


@dataclass
class Peer:
    """What was found of one tool; nothing but ``note`` when it could not run."""

    key: str
    name: str
    note: str = ""
    runs: list[Run] = field(default_factory=list)
    slowdowns: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float] | None:
        """Medians."""
        if not self.runs:
            return None
        middle = Run(*map(statistics.median, zip(*self.runs, strict=True)))
        return {**middle._asdict(), "slowdown": statistics.median(self.slowdowns)}


class RefusedError(Exception):
    """A tool's own last words."""


class Output:
    """What a tool prints goes to memory, the kindest place to it, and is looked at here."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def text(self) -> str:
        return self._path.read_text(errors="replace")

    def last_line(self) -> str:
        lines = [line.strip() for line in self.text().splitlines() if line.strip()]
        return lines[-1][:100] if lines else "no output"

    def wait_for(self, pattern: str, process: subprocess.Popen[bytes]) -> None:
        """Returns as soon as the pattern stands there."""
        deadline = time.monotonic() + GIVES_UP_S
        while not re.search(pattern, self.text()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RefusedError(self.last_line())
            time.sleep(0.001)

    def settle(self) -> None:
        """Returns when it grows no more."""
        size = -1
        while size != (size := self._path.stat().st_size):
            time.sleep(SETTLES_S)


def _load(programs: Programs, name: str, *options: object) -> Load:
    return Load(programs, "-t", f"rawtp-{name}", "-f", f"/nonexistent/{name}", *options)


def _peak_mb(pid: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc", str(pid), "status").read_text())
    # A zombie has none: strace ends with what it watched.
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def _counted(tool: Tool, output: Output) -> int:
    text = output.text()
    if tool.event:
        return sum(1 for _ in re.finditer(tool.event.format("burst"), text))
    last = output.last_line()
    if not last.isdecimal():
        raise RefusedError(last)
    return int(last)


def run(tool: Tool, programs: Programs, calls: int) -> Run:
    """Starts the tool, waits for a first event, lets the burst go, waits for the end of what comes of it."""
    with (
        tempfile.NamedTemporaryFile(dir=MEMORY if MEMORY.is_dir() else None) as file,
        _load(programs, "first", "-n", 0, "-i", 1_000_000) as first,
        _load(programs, "burst", "-n", calls) as burst,
    ):
        output = Output(Path(file.name))
        command = ["unshare", "-m", str(PROGRAMS / "namespace.sh"), *tool.command(programs, first, burst)]
        first.start()
        began = time.perf_counter()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, stderr=subprocess.STDOUT) as process:
            try:
                output.wait_for(tool.event.format("first") if tool.event else "(?m)^first$", process)
                first_ms = (time.perf_counter() - began) * 1e3
                at_first_mb = _peak_mb(process.pid)
                first.__exit__()
                caller_ns = burst.run()
                output.settle()
                peak_mb = max(at_first_mb, _peak_mb(process.pid))
                if tool.ends_with_stdin:
                    assert process.stdin
                    process.stdin.close()
                else:
                    process.send_signal(signal.SIGINT)
                process.wait(GIVES_UP_S)
            finally:
                process.kill()
        return Run(_counted(tool, output) / calls, caller_ns, first_ms, peak_mb)


def _bare(programs: Programs, calls: int) -> float:
    with _load(programs, "burst", "-n", calls) as load:
        return load.run()


def peers(programs: Programs, scale: Scale) -> list[Peer]:
    """All of them, in turns, each turn beginning with no tool at all."""
    found = [Peer(tool.key, tool.name, tool.lacks()) for tool in TOOLS]
    for at in range(scale.peer_runs):
        bare = _bare(programs, scale.peer_calls)
        for tool, peer in zip(TOOLS, found, strict=True):
            if peer.note or (tool.is_slow and at):
                continue
            try:
                ran = run(tool, programs, scale.peer_calls)
            except RefusedError as error:
                peer.note = f"does not run here: {error}"
                continue
            except subprocess.TimeoutExpired as error:
                peer.note = f"did not end within {error.timeout:g} s"
                continue
            peer.runs.append(ran)
            peer.slowdowns.append(ran.caller_ns / bare)
    return found
