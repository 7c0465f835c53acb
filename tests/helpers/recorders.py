"""``rawtp record`` as a process, and the subcommands that read what it recorded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.support import HANG_S, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

CLI = (sys.executable, "-m", "rawtp")


class Recording:
    """A recorder that runs."""

    def __init__(self, process: subprocess.Popen[str], directory: Path, messages: Path) -> None:
        self.process = process
        self.directory = directory
        self._messages = messages

    @property
    def messages(self) -> str:
        return self._messages.read_text()

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(HANG_S)


@contextmanager
def recording(directory: Path, *options: object, **changes: str) -> Iterator[Recording]:
    """A recorder of this process's and its children's calls, from its first moment on. Ended at the end."""
    messages = directory.with_name(f"{directory.name}.messages")
    command = [*CLI, "record", "--directory", str(directory), "--sync", "50ms", *map(str, options)]
    with (
        messages.open("a") as err,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
            text=True,
            env={**os.environ, **changes},
        ) as process,
    ):
        found = Recording(process, directory, messages)
        before = found.messages.count("recording into")
        try:
            wait_for(
                lambda: found.messages.count("recording into") > before or process.poll() is not None, "it records"
            )
            yield found
        finally:
            process.terminate()
            try:
                process.wait(HANG_S)
            finally:
                process.kill()


def asked(*arguments: object, **changes: str) -> tuple[int, str, str]:
    """Runs a subcommand to its end; the exit code, the output and the messages."""
    command = [*CLI, *map(str, arguments)]
    env = {**os.environ, "TZ": "UTC", **changes}
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False, env=env)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def who(directory: Path, path: object, *options: object) -> tuple[int, list[dict[str, Any]]]:
    """The exit code, and the JSON lines."""
    code, out, err = asked("who", "--json", "--directory", directory, *options, path)
    assert err == ""
    return code, [json.loads(line) for line in out.splitlines()]


def events(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line for line in lines if line["type"] == "event"]


def until_found(directory: Path, path: object, count: int = 1, *options: object) -> list[dict[str, Any]]:
    """The events of a path, once there are so many."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        found[:] = events(who(directory, path, *options)[1])
        return len(found) >= count

    wait_for(is_there, f"{count} events of {path}")
    return found
