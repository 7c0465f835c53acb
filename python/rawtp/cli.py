"""The command line: ``python -m rawtp``, or ``rawtp``."""

from __future__ import annotations

import atexit
import codecs
import math
import os
import select
import shlex
import signal
import stat
import sys
import threading
import time
from itertools import islice

from rawtp import options
from rawtp.formats import columns, jsonl, ledger
from rawtp.formats.text import escape_unencodable

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from typing import Any, TextIO

    import rawtp
    from rawtp.command import Command
    from rawtp.event import Event

_OK, _CANNOT_RUN, _LOST = 0, 1, 3  # 2, wrong usage, is argparse's own
_MAX_BATCH = 4096
_MAX_WAIT_S = 3600.0  # waiting for 1e300 seconds is a fair wish, but no clock can count it
_VERIFIER_LINES = 12  # the verifier gives its reason last, after a log of up to megabytes


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with ``argv``, or with the process's own arguments, and return the exit code.

    0: it ran, and was ended by Ctrl-C, SIGTERM, ``-d``, ``-c`` or a closed pipe. 1: it cannot run. 2: wrong usage.
    3: something was lost, and ``--fail-on-loss`` was given. With a command, its own code comes before 0 and 3; 126 and
    127: it cannot be run. SIGINT and SIGTERM stay taken over when it returns, so that
    a second Ctrl-C finds no moment at which it is an exception.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        code = _command(arguments)
    except SystemExit as end:  # how argparse answers --help and refuses an argument
        code = end.code if isinstance(end.code, int) else _OK
    except BrokenPipeError:
        code = _OK
    except OSError as error:
        code = _cannot_run(_one_line(error))
    for stream in (sys.stdout, sys.stderr):
        _settle(stream)
    return code


def _command(arguments: list[str]) -> int:
    if arguments[:1] == ["cost"]:
        from rawtp import cost_command

        return cost_command.run(arguments)
    parser = options.parser()
    at = arguments.index("--") if "--" in arguments else len(arguments)
    chosen = parser.parse_args(arguments[:at])
    words = arguments[at + 1 :]
    if at < len(arguments) and not any(words[:1]):
        parser.error("no command after --")
    wanted = options.filters(parser, chosen, is_run=bool(words))
    if sys.stdout is None:
        return _cannot_run("standard output is closed")
    import rawtp  # only now: --help and a wrong argument need no extension

    if chosen.version:
        sys.stdout.write(f"rawtp {rawtp.__version__}\n")
        return _OK
    stop = _Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop.on_signal)
        # The interpreter takes its handlers down on its way out, and a last Ctrl-C would then kill it.
        atexit.register(signal.signal, number, signal.SIG_IGN)

    def trace(command: Command | None = None) -> int:
        return _trace(parser, chosen, wanted, stop, arguments, command)

    if not words:
        return trace()
    from rawtp.command import run

    return run(words, trace, as_root=chosen.as_root)


def _trace(
    parser: argparse.ArgumentParser,
    chosen: argparse.Namespace,
    wanted: dict[str, Any],
    stop: _Stop,
    arguments: list[str],
    command: Command | None,
) -> int:
    """Watch; the command, if there is one, from its first call to its end."""
    import rawtp

    stop.command = command
    if command is not None:
        wanted |= {"pid": command.pid, "follow": True}
    try:
        tracer = rawtp.Tracer(
            syscalls=_calls(chosen.syscalls),
            ring_bytes=chosen.ring_bytes,
            queue_bytes=chosen.queue_bytes,
            **wanted,
        )
    except (rawtp.RawtpError, OSError) as error:
        return _refused(error, arguments)
    except ValueError as error:
        parser.error(_one_line(error))
    with tracer:
        stop.attend(tracer)
        for pid in chosen.pid or ():
            if not _is_running(pid):
                _say(f"no process has pid {pid} now; waiting for one")
        show = _Printer(sys.stdout, chosen.output)
        if command is not None and stop.asked:
            return _OK
        if command is not None and (code := command.start()) is not None:
            return code
        try:
            _watch(tracer, stop, show, chosen)
        except BrokenPipeError:
            # Ctrl-C reaches a whole pipeline at once: that its reader is gone too does not make the end a silent one.
            if not stop.signalled:
                if command is None:
                    raise
                tracer.close()
                return command.wait()
    code = _OK if command is None else command.finish()
    if stop.signalled and sys.stderr is not None and sys.stderr.isatty():
        _write_error("")  # the terminal has echoed ^C
    account = _account(tracer.stats().as_dict(), fail_on_loss=chosen.fail_on_loss)
    return code or account


def _refused(error: Exception, arguments: Sequence[str]) -> int:
    """Say why no tracer can be made, and what to do; the exit code."""
    import rawtp

    if isinstance(error, PermissionError):
        # The library can only advise to run the interpreter as root; here the whole command is known.
        reason = _one_line(error).partition(". Run it with:")[0]
        command = shlex.join(["sudo", sys.executable, "-m", "rawtp", *arguments])
        # Where root is not permitted either, the reason says what stands in the way, and sudo is no help.
        return _cannot_run(f"{reason}. Run it with: {command}" if os.geteuid() else reason)
    log = error.verifier_log.splitlines() if isinstance(error, rawtp.LoadError) else []
    return _cannot_run(_one_line(error), *log[-_VERIFIER_LINES:])


def _calls(names: list[str]) -> list[str]:
    """The names, with a group's in its place. A name that is none is for the tracer to refuse."""
    import rawtp

    groups = {"delete": rawtp.DELETE, "rename": rawtp.RENAME, "truncate": rawtp.TRUNCATE}
    return [call for name in names for call in groups.get(name, (name,))]


def _watch(tracer: rawtp.Tracer, stop: _Stop, show: Callable[[list[Event]], None], chosen: argparse.Namespace) -> None:
    """Show events until the end is asked for, and then those from before that moment."""
    left = chosen.count or sys.maxsize
    end_s = time.monotonic() + (chosen.duration or math.inf)
    while left and not stop.asked and (rest_s := end_s - time.monotonic()) > 0:
        try:
            events = tracer.get_many(min(left, _MAX_BATCH), min(rest_s, _MAX_WAIT_S))
        except ValueError:
            if stop.asked:
                break
            raise
        show(events)
        left -= len(events)
    tracer.close()
    while left and (events := list(islice(tracer, min(left, _MAX_BATCH)))):
        show(events)
        left -= len(events)
    if stop.reader_gone:
        raise BrokenPipeError


class _Stop:
    """The wish to end: closes the tracer, and so ends the wait for events.

    It raises nothing: an exception at a signal's moment could fall between taking events and showing them.
    """

    def __init__(self) -> None:
        self.asked = self.signalled = self.reader_gone = False
        self.command: Command | None = None
        self._tracer: rawtp.Tracer | None = None

    def attend(self, tracer: rawtp.Tracer) -> None:
        self._tracer = tracer
        # While nothing is deleted nothing is written, and a reader's end would go unnoticed.
        if _is_pipe(sys.stdout):
            threading.Thread(target=self._await_reader, args=(sys.stdout.fileno(),), daemon=True).start()
        if self.command is not None:
            threading.Thread(target=self._await_command, args=(self.command.pidfd,), daemon=True).start()

    def on_signal(self, number: int, _: object) -> None:
        self.signalled = True
        if self.command is None:
            self._end()
        elif number == signal.SIGTERM:  # SIGINT the terminal has sent it, too
            self.command.send_signal(number)

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

    def _end(self) -> None:
        if not self.asked:
            self.asked = True
            if self._tracer is not None:
                self._tracer.close()


class _Printer:
    def __init__(self, out: TextIO, output: str | None) -> None:
        table = output == "columns" or (output is None and out.isatty())
        self._out = out
        try:
            self._fd: int | None = out.fileno()
        except OSError:  # in a test or a notebook, standard output may be no file
            self._fd = None
        self._line = columns.row if table else jsonl.line
        codecs.register_error("rawtp.escape", escape_unencodable)
        if table:
            self._write(columns.header() + "\n")

    def __call__(self, events: list[Event]) -> None:
        if not events:
            return
        self._write("".join([self._line(event) + "\n" for event in events]))
        if lost := sum(event["lost"] for event in events):
            _say(f"lost {ledger.events(lost)}")

    def _write(self, text: str) -> None:
        if self._fd is None:
            self._out.write(text)
            self._out.flush()
            return
        # CPython's buffered writer drops the rest of what a signal interrupts: Ctrl-C must not cost a slow reader any.
        rest = memoryview(text.encode(self._out.encoding, "rawtp.escape"))
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # another process has made the terminal or pipe that we share non-blocking
                select.select([], [self._fd], [])


def _account(counts: dict[str, int | None], *, fail_on_loss: bool) -> int:
    if tail := counts["tail_lost"]:
        _say(f"lost {ledger.events(tail)} at the end")
    for line in ledger.summary(counts):
        _say(line)
    return _LOST if fail_on_loss and ledger.lost_anything(counts) else _OK


def _cannot_run(reason: str, *details: str) -> int:
    _say(reason)
    for line in details:
        _write_error(line)
    return _CANNOT_RUN


def _say(message: str) -> None:
    _write_error(f"rawtp: {message}")


def _write_error(line: str) -> None:
    if sys.stderr is not None:
        try:
            sys.stderr.write(line + "\n")
        except OSError:
            _settle(sys.stderr)


def _settle(stream: TextIO | None) -> None:
    """Flush; if nobody takes it, point the stream at nothing, or the interpreter would complain about it at exit."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def _is_running(pid: int) -> bool:
    return os.access(f"/proc/{pid}", os.F_OK)


def _is_pipe(stream: TextIO) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except OSError:  # in a test or a notebook, standard output may be no file
        return False
