"""Ends the watching on a signal, when the reader leaves, or when the command is over."""

from __future__ import annotations

import atexit
import os
import select
import signal
import stat
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rawtp.sinks.writer import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol, TextIO

    from rawtp.cli.command import Command

    class Closes(Protocol):
        """Ends the watching by its close: a tracer, for one."""

        def close(self) -> None: ...


class Stop:
    """Closes the tracer, and so ends the wait for events.

    It raises nothing while events are shown: an exception at a signal's moment could fall between taking events and
    showing them.
    """

    def __init__(self) -> None:
        self.asked = self.signalled = self.reader_gone = False
        self.in_haste = False
        """True where a second signal left events unread that had come."""
        self.patience = Patience()
        self.command: Command | None = None
        self._raises = False
        self._tracer: Closes | None = None

    def take_signals(self) -> None:
        """Handle SIGINT and SIGTERM from now on, to the end of the process."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
            # The interpreter removes its handlers at its exit, where a last Ctrl-C would then kill it.
            atexit.register(signal.signal, number, signal.SIG_IGN)

    @contextmanager
    def raising(self, raises: bool) -> Iterator[None]:
        """Have a signal raise KeyboardInterrupt in the ``with``, if it ``raises``."""
        if raises and self.asked:
            raise KeyboardInterrupt
        self._raises = raises
        try:
            yield
        finally:
            self._raises = False

    def attend(self, tracer: Closes, out: TextIO | None) -> None:
        """Close this tracer when the end is asked for. ``out``: end when nobody reads that any more."""
        self._tracer = tracer
        # While nothing is deleted nothing is written, and a reader's end would go unnoticed.
        if out is not None and _is_pipe(out):
            threading.Thread(target=self._await_reader, args=(out.fileno(),), daemon=True).start()
        if self.command is not None:
            threading.Thread(target=self._await_command, args=(self.command.pidfd,), daemon=True).start()

    def _on_signal(self, number: int, _: object) -> None:
        self.signalled = True
        if self._raises:
            self._raises = False
            raise KeyboardInterrupt
        if self.command is None:
            self.patience.ask()
            self._end()
            return
        if number == signal.SIGTERM:  # the terminal sends SIGINT to the command itself
            self.command.send_signal(number)
        if self.asked:
            self.patience.ask()

    def _await_reader(self, fd: int) -> None:
        hangup = select.poll()
        hangup.register(fd, 0)
        hangup.poll()
        self.reader_gone = True
        self._end()

    def _await_command(self, pidfd: int) -> None:
        end = select.poll()
        end.register(pidfd, select.POLLIN)
        end.poll()
        self._end()
        if self.signalled:
            self.patience.ask()

    def _end(self) -> None:
        if not self.asked:
            self.asked = True
            if self._tracer is not None:
                self._tracer.close()


def _is_pipe(stream: TextIO) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except OSError:  # in a test or a notebook, standard output may be no file
        return False
