"""The command line: ``python -m rawtp``, or ``rawtp``."""

from __future__ import annotations

import atexit
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

from rawtp import options, output_options, session
from rawtp.formats import ledger
from rawtp.messages import say, settle, write_error

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any, TextIO

    import rawtp
    from rawtp.command import Command
    from rawtp.printer import Printer

_OK, _CANNOT_RUN, _LOST = 0, 1, 3  # 2, wrong usage, is argparse's own
_MAX_BATCH = 512  # more of them are no longer in the CPU's cache when they are written
_VERIFIER_LINES = 12  # the verifier gives its reason last, after a log of up to megabytes


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with ``argv``, or with the process's own arguments, and return the exit code.

    0: it ran, and was ended by Ctrl-C, SIGTERM, ``-d``, ``-c`` or a closed pipe. 1: it cannot run, or not go on.
    2: wrong usage. 3: something was lost, and ``--fail-on-loss`` was given. With a command, its own code comes before 0
    and 3; 126 and 127: it cannot be run. SIGINT and SIGTERM stay taken over when it returns, so that a second Ctrl-C
    finds no moment at which it is an exception.
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
        settle(stream)
    return code


def _command(arguments: list[str]) -> int:
    if arguments[:1] == ["broker"]:
        from rawtp import broker_command

        return broker_command.run(arguments)
    if arguments[:1] == ["check"]:
        from rawtp import check_command

        return check_command.run(arguments)
    if arguments[:1] == ["cost"]:
        from rawtp import cost_command

        return cost_command.run(arguments)
    parser = options.parser()
    at = arguments.index("--") if "--" in arguments else len(arguments)
    chosen = parser.parse_args(arguments[:at])
    output_options.check(parser, chosen)
    words = arguments[at + 1 :]
    if at < len(arguments) and not any(words[:1]):
        parser.error("no command after --")
    wanted = options.filters(parser, chosen, is_run=bool(words))
    tells = chosen.version or chosen.fields == ["help"]
    if sys.stdout is None and (tells or not (chosen.output_file or chosen.quiet)):
        return _cannot_run("standard output is closed")
    import rawtp  # only now: --help and a wrong argument need no extension

    if tells:
        from rawtp import keys

        sys.stdout.write(f"rawtp {rawtp.__version__}\n" if chosen.version else keys.help_text())
        return _OK
    stop = _Stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop.on_signal)
        # The interpreter takes its handlers down on its way out, and a last Ctrl-C would then kill it.
        atexit.register(signal.signal, number, signal.SIG_IGN)
    printer = output_options.printer(chosen)
    if printer.file is not None:
        signal.signal(signal.SIGHUP, printer.file.on_hangup)
    asked = {
        "syscalls": _calls(chosen.syscalls),
        "fields": printer.fields,
        "ring_bytes": chosen.ring_bytes,
        "queue_bytes": chosen.queue_bytes,
        **wanted,
    }
    if chosen.broker is not None:
        asked["broker"] = chosen.broker

    def trace(command: Command | None = None) -> int:
        return _trace(parser, chosen, asked, printer, stop, arguments, command)

    if not words:
        return trace()
    from rawtp.command import run

    return run(words, trace, as_root=chosen.as_root)


def _trace(
    parser: argparse.ArgumentParser,
    chosen: argparse.Namespace,
    asked: dict[str, Any],
    printer: Printer,
    stop: _Stop,
    arguments: list[str],
    command: Command | None,
) -> int:
    """Watch; the command, if there is one, from its first call to its end."""
    import rawtp

    stop.command = command
    if command is not None:
        asked |= {"pid": command.pid, "follow": True}
    try:
        tracer = rawtp.Tracer(**asked)
    except (rawtp.RawtpError, OSError) as error:
        return _refused(error, arguments)
    except ValueError as error:
        parser.error(_one_line(error))
    failure: Exception | None = None
    try:
        with tracer:
            stop.attend(tracer, sys.stdout if printer.writes_to_standard_output else None)
            for pid in chosen.pid or ():
                if not _is_running(pid) and not chosen.quiet:
                    say(f"no process has pid {pid} now; waiting for one")
            printer.begin(session.described(asked, tracer.coverage), tracer)
            if command is not None and stop.asked:
                return _OK
            if command is not None and (refused := command.start()) is not None:
                return refused
            failure = _watch(tracer, stop, printer, chosen)
        printer.end(tracer.stats().as_dict())
    except BrokenPipeError:
        # Ctrl-C reaches a whole pipeline at once: that its reader is gone too does not make the end a silent one.
        if not stop.signalled:
            if command is None or not command.is_released:
                raise
            return command.wait()
    except OSError as error:
        failure = error
    code = _OK
    if command is not None and command.is_released:
        code = command.finish(quiet=chosen.quiet)
    if stop.signalled and sys.stderr is not None and sys.stderr.isatty():
        write_error("")  # the terminal has echoed ^C
    account = _account(tracer, printer, chosen, failure)
    return code or account


def _refused(error: Exception, arguments: Sequence[str]) -> int:
    """Say why no tracer can be made, and what to do; the exit code."""
    import rawtp

    # The library can only advise to run the interpreter as root; here the whole command is known.
    message, _, check = _one_line(error).partition(". To see what this host allows, run: ")
    reason = message.partition(". Run it with: ")[0]
    if isinstance(error, PermissionError) and os.geteuid():
        return _cannot_run(f"{reason}. Run it with: {shlex.join(['sudo', sys.executable, '-m', 'rawtp', *arguments])}")
    if check:  # where root is not permitted either, sudo is no help
        command = shlex.join([sys.executable, "-m", "rawtp", "check"])
        return _cannot_run(f"{reason}. To see what this host allows, run: {command}")
    log = error.verifier_log.splitlines() if isinstance(error, rawtp.LoadError) else []
    return _cannot_run(reason, *log[-_VERIFIER_LINES:])


def _calls(names: list[str]) -> list[str]:
    """The names, with a group's in its place. A name that is none is for the tracer to refuse."""
    import rawtp

    groups = {"delete": rawtp.DELETE, "rename": rawtp.RENAME, "truncate": rawtp.TRUNCATE}
    return [call for name in names for call in groups.get(name, (name,))]


def _watch(tracer: rawtp.Tracer, stop: _Stop, printer: Printer, chosen: argparse.Namespace) -> rawtp.RawtpError | None:
    """Show events until the end is asked for, and then those from before that moment; why there are no more, if the
    tracer could not go on."""
    import rawtp

    failure: rawtp.RawtpError | None = None
    left = chosen.count or sys.maxsize
    end_s = time.monotonic() + (chosen.duration or math.inf)
    while left and not stop.asked and (rest_s := end_s - time.monotonic()) > 0:
        try:
            events = tracer.get_many(min(left, _MAX_BATCH), min(rest_s, printer.wait_s))
        except ValueError:
            if stop.asked:
                break
            raise
        except rawtp.RawtpError as error:
            failure = error
            break
        printer(events)
        left -= len(events)
    tracer.close()
    while left:
        events = []
        try:
            events += islice(tracer, min(left, _MAX_BATCH))
        except rawtp.RawtpError as error:
            failure = failure or error
        if not events:
            break
        printer(events)
        left -= len(events)
    if stop.reader_gone:
        raise BrokenPipeError
    return failure


class _Stop:
    """The wish to end: closes the tracer, and so ends the wait for events.

    It raises nothing: an exception at a signal's moment could fall between taking events and showing them.
    """

    def __init__(self) -> None:
        self.asked = self.signalled = self.reader_gone = False
        self.command: Command | None = None
        self._tracer: rawtp.Tracer | None = None

    def attend(self, tracer: rawtp.Tracer, out: TextIO | None) -> None:
        self._tracer = tracer
        # While nothing is deleted nothing is written, and a reader's end would go unnoticed.
        if out is not None and _is_pipe(out):
            threading.Thread(target=self._await_reader, args=(out.fileno(),), daemon=True).start()
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


def _account(tracer: rawtp.Tracer, printer: Printer, chosen: argparse.Namespace, failure: Exception | None) -> int:
    """Say where every event went, whether or not the output could take them; the exit code."""
    counts = tracer.stats().as_dict()
    if failure is not None:
        _cannot_run(_one_line(failure))
        if printer.in_hand:
            say(f"of {ledger.events(printer.in_hand)} delivered last, not all were written")
    for line in printer.summary(chosen.color):
        write_error(line)
    if not chosen.quiet:
        for line in ledger.summary(counts):
            say(line)
    if failure is not None:
        return _CANNOT_RUN
    return _LOST if chosen.fail_on_loss and ledger.lost_anything(counts) else _OK


def _cannot_run(reason: str, *details: str) -> int:
    say(reason)
    for line in details:
        write_error(line)
    return _CANNOT_RUN


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def _is_running(pid: int) -> bool:
    return os.access(f"/proc/{pid}", os.F_OK)


def _is_pipe(stream: TextIO) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode)
    except OSError:  # in a test or a notebook, standard output may be no file
        return False
