"""The command line as a process with pipes, and what it writes, parsed."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from helpers.support import SLOWER

PATIENCE_S = 30.0 * SLOWER
SHARES = ("filtered", "lost_ring", "lost_state", "pending", "buffered", "delivered", "discarded")
BESIDE = ("missed", "unpaired", "name_faults", "truncated", "lost_exits", "tail_lost")

Cli = subprocess.Popen[bytes]


@contextmanager
def cli(*arguments: object, **changes: str) -> Iterator[Cli]:
    """The command line, its output in pipes, with these changes to the environment. It prints the whole ledger."""
    command = [sys.executable, "-m", "rawtp", "--stats", "1d", *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env={**os.environ, **changes}) as process:
        try:
            yield process
        finally:
            process.kill()


def delete(path: Path) -> None:
    path.touch()
    path.unlink()


def until_live(process: Cli, tmp_path: Path) -> None:
    """Delete a sentinel until the command line has shown it."""
    assert process.stdout
    seen = b""
    deadline_s = time.monotonic() + PATIENCE_S
    while b"sentinel" not in seen:
        assert time.monotonic() < deadline_s, "no event was ever shown"
        assert process.poll() is None, process.communicate()
        delete(tmp_path / "sentinel")
        if select.select([process.stdout], [], [], 0.05)[0]:
            seen += os.read(process.stdout.fileno(), 65536)


def finish(process: Cli) -> tuple[int, str, str]:
    """Wait for the end; the exit code, the rest of the output, and the messages."""
    out, err = process.communicate(timeout=PATIENCE_S)
    return process.returncode, out.decode(), err.decode()


def end(process: Cli, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
    process.send_signal(number)
    return finish(process)


def events(out: str) -> list[dict[str, Any]]:
    # What was left unread of a line that the sentinel was found in is no whole line.
    lines = [json.loads(text) for text in out.splitlines() if text.startswith("{")]
    return [line for line in lines if line["type"] == "event"]


def names(out: str) -> list[str]:
    return [Path(event["filename"]).name for event in events(out) if "sentinel" not in event["filename"]]


def ledger(err: str) -> dict[str, int]:
    """The ledger as it was printed, after a check of its sum."""
    assert "Traceback" not in err
    counts = {name: int(count) for name, count in re.findall(r"\b([a-z_]+) (\d+)", err) if name in ("matched", *SHARES)}
    assert counts["matched"] == sum(counts[name] for name in SHARES)
    assert all(re.search(rf"\b{name} (\d+|unknown)\b", err) for name in BESIDE)
    return counts
