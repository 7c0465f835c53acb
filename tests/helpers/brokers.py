"""A broker, and its clients as nobody without capabilities."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.support import HANG_S, wait_for
from helpers.unprivileged import NOBODY, as_user, python, told, watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OTHER = 1234
"""Another user than nobody."""

WATCH = watch("broker=sys.argv[1], ")
"""A client that deletes a thousand names, and tells what it saw."""


def env(package: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}


class Running:
    """A broker, and what it holds."""

    def __init__(self, process: subprocess.Popen[str], path: str, log: Path) -> None:
        self.process, self.path, self._log = process, path, log

    def log(self) -> list[str]:
        return [line.removeprefix("rawtp: ") for line in self._log.read_text().splitlines()]

    def has_logged(self, text: str) -> bool:
        return any(text in line for line in self.log())

    def descriptors(self) -> list[str]:
        found = []
        for descriptor in Path(f"/proc/{self.process.pid}/fd").iterdir():
            try:
                found.append(str(descriptor.readlink()).partition(":[")[0])
            except FileNotFoundError:
                continue
        return sorted(found)


@contextmanager
def broker(
    package: Path,
    top: Path,
    *options: str,
    prefix: Sequence[str] = (),
    main: Sequence[str] = ("-m", "rawtp", "broker"),
) -> Iterator[Running]:
    """A broker; at the end it holds what it held at its beginning, and stops when it is told to."""
    path, log = str(top / "socket"), top / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*prefix, python(), "-X", "dev", *main, "--socket", path, "--group", "nogroup", *options],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"},
            stderr=errors,
            text=True,
            cwd="/",
        )
    running = Running(process, path, log)
    try:
        wait_for(lambda: process.poll() is not None or running.has_logged("broker: listens"), "a broker that listens")
        assert process.poll() is None, running.log()
        before = running.descriptors()
        yield running
        if process.poll() is None:
            wait_for(lambda: running.descriptors() == before, "a broker that holds nothing of its clients any more")
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=HANG_S) == 0, running.log()
            assert running.log()[-1] == "broker: stopped"
            assert not os.path.lexists(path)
    finally:
        process.kill()
        process.wait()


def client(package: Path, running: Running, program: str, *, uid: int = NOBODY, group: int = NOBODY) -> Any:
    prefix = [part.replace(f"--regid={uid}", f"--regid={group}") for part in as_user(uid)]
    return told(package, program, *prefix, arguments=[running.path])
