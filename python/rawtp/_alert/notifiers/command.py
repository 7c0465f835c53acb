"""Runs a command for an alert: without a shell, in a bounded time, a bounded number at once."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rawtp._alert.notifiers.base import Notifier, NotifyError, Table

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from rawtp._alert.alert import Alert

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME", "TMPDIR")
_SAID = 512  # bytes of standard error that an error message may have
_STOP_S = 2.0  # the time that is left to a command when the watch ends


class Command(Notifier):
    """Runs ``argv`` with variables ``RAWTP_*``, and the alert as JSON on its standard input.

    The command has a session of its own. When its time is over, all of that is killed.
    """

    KEYS = ("argv", "timeout", "parallel", "directory")

    def __init__(self, name: str, argv: Sequence[str], timeout_s: float, parallel: int, directory: str) -> None:
        super().__init__(name, parallel=parallel)
        self._argv = list(argv)
        self._timeout_s = timeout_s
        self._directory = directory

    @property
    def program(self) -> str:
        """The program's path."""
        return self._argv[0]

    @classmethod
    def from_table(cls, name: str, table: Mapping[str, Any], environment: Mapping[str, str], at: list[str]) -> Command:
        """Make one as the table says."""
        values = Table(table, at)
        argv = values.texts("argv")
        if not argv[0].startswith("/"):
            raise ValueError(f"argv: {argv[0]!r} is not absolute: which program is run must not depend on PATH")
        if not os.access(argv[0], os.X_OK) or os.path.isdir(argv[0]):  # noqa: PTH112
            raise ValueError(f"argv: {argv[0]!r} is no program that can be run")
        directory = values.get("directory", str, "/")
        if not os.path.isdir(directory):  # noqa: PTH112
            raise ValueError(f"directory: {directory!r} is none")
        return cls(name, argv, values.seconds("timeout", 10.0), values.count("parallel", 1, 16), directory)

    def send(self, alert: Alert, host: str, stop: threading.Event) -> None:
        """Run the command to its end."""
        environment = {key: os.environ[key] for key in _KEPT if key in os.environ} | alert.environment(host)
        stdin = os.memfd_create("rawtp-alert", os.MFD_CLOEXEC)
        try:
            # In a file, so that a command need not read it, however long it is.
            with os.fdopen(os.dup(stdin), "wb") as file:
                file.write(alert.json(host).encode("ascii") + b"\n")
            os.lseek(stdin, 0, os.SEEK_SET)
            try:
                with _signals_let_through():
                    process = subprocess.Popen(  # noqa: S603 - no shell; the program is the rules' author's
                        self._argv,
                        stdin=stdin,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                        env=environment,
                        cwd=self._directory,
                        start_new_session=True,
                    )
            except OSError as error:
                raise NotifyError(f"{self._argv[0]}: {error.strerror}") from None
        finally:
            os.close(stdin)
        with process:
            said = self._wait(process, stop)
        if process.returncode:
            code = process.returncode
            end = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise NotifyError(f"{self._argv[0]}: {end}{': ' if said else ''}{said}")

    def _wait(self, process: subprocess.Popen[bytes], stop: threading.Event) -> str:
        """Wait for its end, and give the beginning of what it said on standard error."""
        assert process.stderr is not None  # noqa: S101 - for the type checker
        fd = process.stderr.fileno()
        os.set_blocking(fd, False)
        said = b""
        end_s = time.monotonic() + self._timeout_s
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        is_open = True
        while process.poll() is None:
            now_s = time.monotonic()
            if stop.is_set():
                end_s = min(end_s, now_s + _STOP_S)
            if now_s >= end_s:
                self._kill(process)
                raise NotifyError(f"{self._argv[0]}: it took more than {self._timeout_s:g} s, and was killed")
            # What it forked may hold the pipe longer than it lives.
            if is_open and poller.poll(50):
                said, is_open = _read(fd, said)
            elif not is_open:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(0.05)
        if is_open:
            said, _ = _read(fd, said)
        return " ".join(said.decode(errors="replace").split())

    @staticmethod
    def _kill(process: subprocess.Popen[bytes]) -> None:
        # Its session has its number for as long as it is not waited for.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _signals_let_through() -> Iterator[None]:
    """Unblock all signals in the ``with``: the thread has them blocked, and a child would have them so for ever."""
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _read(fd: int, said: bytes) -> tuple[bytes, bool]:
    """What was said with what is there now, and whether more may come."""
    try:
        data = os.read(fd, 65536)
    except BlockingIOError:
        return said, True
    return (said + data)[:_SAID], bool(data)
