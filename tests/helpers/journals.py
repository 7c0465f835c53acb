"""A systemd-journald of the test's own, in a mount namespace of its own, with a /run of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from helpers import receivers
from helpers.support import HANG_S, wait_for

PROGRAM = Path("/lib/systemd/systemd-journald")
_CONFIG = """\
[Journal]
Storage=volatile
RateLimitIntervalSec=0
ReadKMsg=no
Audit=no
ForwardToSyslog=no
ForwardToKMsg=no
ForwardToConsole=no
ForwardToWall=no
"""

# It holds the socket, as systemd does, so that what was sent outlives the journal's process.
_HOLDER = """
import os, signal, socket, subprocess, sys

run, program = sys.argv[1:]
subprocess.run(["mount", "--bind", run, "/run"], check=True)
os.makedirs("/run/systemd/journal", exist_ok=True)
os.makedirs("/run/log/journal", exist_ok=True)
held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
held.bind("/run/systemd/journal/socket")
print(os.getpid(), flush=True)
pid = 0
for line in sys.stdin:
    if line == "start\\n":
        pid = os.fork()
        if pid == 0:
            os.dup2(held.fileno(), 3)
            os.execve(program, [program], {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())})
    else:
        os.kill(pid, int(line))
        os.waitpid(pid, 0)
    print(pid, flush=True)
"""


def missing() -> str | None:
    """Why there can be none here."""
    if not PROGRAM.exists():
        return "no systemd-journald"
    if shutil.which("journalctl") is None:
        return "no journalctl"
    return None if os.geteuid() == 0 else "not root"


class Journald(receivers.Receiver):
    """The journal. ``kill`` leaves the socket, which is the service manager's."""

    def __init__(self, place: Path) -> None:
        super().__init__(place)
        self._run = place / "run"
        (self._run / "systemd" / "journald.conf.d").mkdir(parents=True)
        (self._run / "systemd" / "journald.conf.d" / "test.conf").write_text(_CONFIG)
        command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", _HOLDER]
        self._holder = subprocess.Popen(
            [*command, str(self._run), str(PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._pid = self._answer()

    def _answer(self) -> int:
        assert self._holder.stdout
        return int(self._holder.stdout.readline())

    def _ask(self, text: str) -> None:
        assert self._holder.stdin
        self._holder.stdin.write(f"{text}\n")
        self._holder.stdin.flush()
        self._answer()

    @property
    def options(self) -> list[str]:
        return ["--journald", f"unix:///proc/{self._pid}/root/run/systemd/journal/socket"]

    def start(self) -> None:
        self._ask("start")
        wait_for(lambda: any((self._run / "log" / "journal").glob("*/*.journal")), "the journal is there")

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self._ask(str(int(number)))

    def close(self) -> None:
        """End all of it."""
        assert self._holder.stdin
        self._holder.stdin.close()
        self._holder.wait(HANG_S)

    def entries(self) -> list[dict[str, Any]]:
        """What journalctl says that is in it, of rawtp."""
        command = [
            "journalctl",
            "-D",
            str(self._run / "log" / "journal"),
            "-a",
            "-o",
            "json",
            "SYSLOG_IDENTIFIER=rawtp",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def received(self) -> list[dict[str, Any]]:
        return [
            {"key": one["RAWTP_KEY"], "type": one["RAWTP_TYPE"], "path": one.get("RAWTP_PATH")}
            for one in self.entries()
        ]
