"""The command line: ``rawtp``, or ``python -m rawtp``."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from itertools import islice

from rawtp import _session as session
from rawtp.cli import invocation, options
from rawtp.cli import output as output_options
from rawtp.cli import stderr as messages
from rawtp.cli.stderr import reason, say, settle, with_warnings, write_error
from rawtp.formats import ledger

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

    import rawtp
    from rawtp.cli.pipeline import Printer
    from rawtp.cli.run import Command
    from rawtp.cli.stop import Stop

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
    except KeyboardInterrupt:
        code = _cannot_run("interrupted")
    except OSError as error:
        code = _cannot_run(reason(error))
    for stream in (sys.stdout, sys.stderr):
        settle(stream)
    return code


def _command(arguments: list[str]) -> int:
    first, *rest = arguments or [""]
    if first == "help":
        # Of what follows, if that has a help of its own.
        arguments = [*(word for word in rest[:1] if word in options.SUBCOMMANDS), "--help"]
        first = arguments[0]
    elif first == "version":
        arguments = ["--version", *rest]
    if first == "broker":
        from rawtp.cli import broker as broker_command

        return broker_command.run(arguments)
    if first == "check":
        from rawtp.cli import check as check_command

        return check_command.run(arguments)
    if first == "cost":
        from rawtp.cli import cost as cost_command

        return cost_command.run(arguments)
    return _watching(arguments)


def _watching(arguments: list[str]) -> int:
    parser = options.parser()
    at = arguments.index("--") if "--" in arguments else len(arguments)
    chosen = options.parse(parser, arguments[:at])
    output_options.check(parser, chosen)
    words = arguments[at + 1 :]
    if at < len(arguments) and not any(words[:1]):
        parser.error("no command after --")
    wanted = options.filters(parser, chosen, is_run=bool(words))
    from rawtp.cli import names as keys

    tells = chosen.version or keys.wants_help(chosen.fields)
    if sys.stdout is None and not (tells or chosen.output_file or chosen.quiet):
        return _cannot_run("standard output is closed")
    import rawtp  # only now: --help and a wrong argument need no extension

    if tells:
        return messages.show(f"rawtp {rawtp.__version__}\n" if chosen.version else keys.help_text())
    from rawtp.cli.stop import Stop

    stop = Stop()
    stop.take_signals()
    messages.heed(stop.patience)
    printer = output_options.printer(chosen, stop.patience)
    if printer.file is not None:
        signal.signal(signal.SIGHUP, printer.file.on_hangup)
    asked = {
        "syscalls": _calls(chosen.syscalls or ["delete"]),
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
    from rawtp.cli.run import run

    return run(words, trace, as_root=chosen.as_root)


def _trace(
    parser: argparse.ArgumentParser,
    chosen: argparse.Namespace,
    asked: dict[str, Any],
    printer: Printer,
    stop: Stop,
    arguments: list[str],
    command: Command | None,
) -> int:
    """Watch; the command, if there is one, from its first call to its end."""
    import rawtp

    stop.command = command
    if command is not None:
        asked |= {"pid": command.pid, "follow": True}
    try:
        tracer = with_warnings(lambda: rawtp.Tracer(**asked), quiet=chosen.quiet)
    except (rawtp.RawtpError, OSError) as error:
        return _refused(error, arguments)
    except ValueError as error:
        parser.error(reason(error))
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
        if not stop.reader_gone:
            printer.end(tracer.stats().as_dict())
    except BrokenPipeError as error:
        # Its reader has seen enough, which is an end like any other; but not before a command has begun.
        failure = error if command is not None and not command.is_released else None
    except OSError as error:
        failure = error
    code = _OK
    if command is not None and command.is_released:
        code = command.finish(quiet=chosen.quiet)
    if stop.signalled and sys.stderr is not None and sys.stderr.isatty():
        write_error("")  # the terminal has echoed ^C
    account = _account(tracer, stop, printer, chosen, failure)
    return code or account


def _refused(error: Exception, arguments: Sequence[str]) -> int:
    """Say why no tracer can be made, and what to do; the exit code."""
    import rawtp

    # The library can only advise to run the interpreter as root; here the whole command is known.
    message, _, check = reason(error).partition(". To see what this host allows, run: ")
    why = message.partition(". Run it with: ")[0]
    if isinstance(error, PermissionError) and os.geteuid():
        return _cannot_run(f"{why}. Run it with: {invocation.command(*arguments, as_root=True)}")
    if check:  # where root is not permitted either, sudo is no help
        return _cannot_run(f"{why}. To see what this host allows, run: {invocation.command('check')}")
    log = error.verifier_log.splitlines() if isinstance(error, rawtp.LoadError) else []
    return _cannot_run(why, *log[-_VERIFIER_LINES:])


def _calls(names: list[str]) -> list[str]:
    """The names, with a group's in its place. A name that is none is for the tracer to refuse."""
    import rawtp

    groups = {"delete": rawtp.DELETE, "rename": rawtp.RENAME, "truncate": rawtp.TRUNCATE}
    return [call for name in names for call in groups.get(name, (name,))]


def _watch(tracer: rawtp.Tracer, stop: Stop, printer: Printer, chosen: argparse.Namespace) -> rawtp.RawtpError | None:
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
    while left and not stop.reader_gone:
        if stop.patience.is_over():
            stop.in_haste = True
            break
        events = []
        try:
            events += islice(tracer, min(left, _MAX_BATCH))
        except rawtp.RawtpError as error:
            failure = failure or error
        if not events:
            break
        printer(events)
        left -= len(events)
    return failure


def _account(
    tracer: rawtp.Tracer, stop: Stop, printer: Printer, chosen: argparse.Namespace, failure: Exception | None
) -> int:
    """Say where every event went, whether or not the output could take them; the exit code."""
    counts = tracer.stats().as_dict()
    if failure is not None:
        _cannot_run(reason(failure))
        if printer.in_hand:
            say(f"of {ledger.events(printer.in_hand)} delivered last, not all were written")
    unread = (counts["buffered"] or 0) + (counts["discarded"] or 0) if stop.in_haste else 0
    if unread:
        say(f"ended at once by a second signal: {ledger.events(unread)} that had come were not read")
    for line in printer.summary(chosen.color):
        write_error(line)
    if not chosen.quiet:
        for line in ledger.summary(counts, whole=bool(chosen.stats or failure or unread)):
            say(line)
    if failure is not None:
        return _CANNOT_RUN
    return _LOST if chosen.fail_on_loss and (unread or ledger.lost_anything(counts)) else _OK


def _cannot_run(why: str, *details: str) -> int:
    say(why)
    for line in details:
        write_error(messages.safe(line))
    return _CANNOT_RUN


def _is_running(pid: int) -> bool:
    return os.access(f"/proc/{pid}", os.F_OK)
