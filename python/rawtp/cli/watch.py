"""``rawtp``, with or without a command to run: shows deletions as they happen."""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
from itertools import islice
from typing import TYPE_CHECKING

import rawtp
from rawtp import _session
from rawtp.cli import invocation, names, options, output, stderr, types
from rawtp.cli.errors import CANNOT_RUN, LOST, OK, CommandError, refusal, report
from rawtp.cli.invocation import SUBCOMMANDS
from rawtp.cli.parser import Parser, did_you_mean
from rawtp.cli.stderr import message, reason, with_warnings, write_error
from rawtp.cli.stop import Stop
from rawtp.formats import ledger
from rawtp.sinks.file import File
from rawtp.sinks.stdout import Standard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from rawtp.cli.pipeline import Pipeline
    from rawtp.cli.run import Command

_MAX_BATCH = 512  # more of them are no longer in the CPU's cache when they are written

_EXAMPLES = """\
examples:
  sudo rawtp
      every deletion on this host, live
  sudo rawtp -p 1234
      by one process
  sudo rawtp -- make clean
      by a command and its descendants, from its first call on; it runs as you, not as root
  sudo rawtp -u www-data -P /srv --outcome ok
      what a user has deleted below a directory
  sudo rawtp -d 2m -O deleted.jsonl
      the next two minutes, for a program to read
  sudo rawtp -s delete,rename | grep --line-buffered app.log
      who deletes app.log, or renames something over it?
  sudo rawtp -c 1 -o csv -f comm,path
      who deletes next?
  sudo rawtp cost
      what watching costs here; cost --help says more
  rawtp check
      what this host allows, and what to do about the rest
  sudo rawtp broker --socket /run/rawtp.sock --group adm
      for users without root; broker --help says more
"""


def add_parser() -> Parser:
    """Make the parser: it exits with 2 and names the value that is wrong."""
    parser = Parser(
        usage="%(prog)s [OPTION]... [-- COMMAND [ARG]...]",
        description="Show which process deletes which file, live.",
        epilog=_EXAMPLES,
    )
    options.add_syscalls(parser)
    options.add_filters(parser)
    parser.add_argument(
        "--as-root", action="store_true", help="under sudo, run the command as root, not as the user who called"
    )
    parser.add_argument(
        "-d", "--duration", type=types.seconds, metavar="TIME", help="end after this: seconds, or such as 2m or 1h30m"
    )
    parser.add_argument("-c", "--count", type=types.positive, help="end after this many events")
    parser.add_argument("--fail-on-loss", action="store_true", help="exit with 3 when anything was lost")
    parser.add_argument(
        "--ring-bytes",
        type=types.size,
        default=4 << 20,
        metavar="SIZE",
        help="the kernel's buffer, in bytes or such as 16MiB; larger rides out longer bursts (default: 4MiB)",
    )
    parser.add_argument(
        "--queue-bytes",
        type=types.size,
        default=64 << 20,
        metavar="SIZE",
        help="how much to hold for a slow reader of the output (default: 64MiB)",
    )
    parser.add_argument(
        "--broker", metavar="PATH", help="without root: by the broker that listens there (broker --help says more)"
    )
    output.add_arguments(parser)
    parser.add_argument("-V", "--version", action="store_true", help="show the version and exit")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Watch until the end is asked for; the exit code, as :func:`rawtp.cli.main` has it."""
    parser = add_parser()
    at = arguments.index("--") if "--" in arguments else len(arguments)
    args = parse(parser, arguments[:at])
    output.check(parser, args)
    words = list(arguments[at + 1 :])
    if at < len(arguments) and not any(words[:1]):
        parser.error("no command after --")
    filters = options.filters(parser, args, is_run=bool(words))
    wants_text = args.version or names.wants_help(args.fields)
    if sys.stdout is None and not (wants_text or args.output_file or args.quiet):
        raise CommandError("standard output is closed")
    if wants_text:
        return stderr.show(f"rawtp {rawtp.__version__}\n" if args.version else names.help_text())
    stop = Stop()
    stop.take_signals()
    stderr.heed(stop.patience)
    pipeline = output.pipeline(args, stop.patience)
    if isinstance(pipeline.output, File):
        signal.signal(signal.SIGHUP, pipeline.output.on_hangup)
    asked = {
        "syscalls": names.syscalls(args.syscalls or ["delete"]),
        "fields": pipeline.fields,
        "ring_bytes": args.ring_bytes,
        "queue_bytes": args.queue_bytes,
        **filters,
    }
    if args.broker is not None:
        asked["broker"] = args.broker

    def trace(command: Command | None = None) -> int:
        return _trace(parser, args, asked, pipeline, stop, arguments, command)

    if not words:
        return trace()
    from rawtp.cli.run import run

    return run(words, trace, as_root=args.as_root)


def parse(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the options; exit with 2 at a word that belongs to none, and say what may have been meant."""
    # Take all from the first word that belongs to no option: options behind it may be those of a command.
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        _refuse_options(parser, [*unknown, *args.words])
    if args.words:
        _refuse_words(parser, arguments[: len(arguments) - len(args.words)], args.words)
    return args


def _refuse_options(parser: Parser, unknown: list[str]) -> NoReturn:
    near = did_you_mean(unknown[0].partition("=")[0], parser.long_options()) if unknown[0].startswith("--") else None
    hint = f" (did you mean {near}?)" if near else ""
    parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")


def _refuse_words(parser: Parser, before: Sequence[str], words: list[str]) -> NoReturn:
    first = words[0]
    known = (*SUBCOMMANDS, "help", "version")
    if first in known:  # behind options
        parser.error(f"{first} comes first: {invocation.command(*words)}")
    run = f"to watch a program, put -- before it: {invocation.command(*before, '--', *words, as_root=True)}"
    if near := did_you_mean(first, known):
        parser.error(f"rawtp has no command {first!r}: did you mean {near}? Or, {run}")
    parser.error(f"rawtp has no command {first!r}; {run}")


def _trace(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    asked: dict[str, Any],
    pipeline: Pipeline,
    stop: Stop,
    arguments: Sequence[str],
    command: Command | None,
) -> int:
    """Watch; the command, if there is one, from its first call to its end."""
    stop.command = command
    if command is not None:
        asked |= {"pid": command.pid, "follow": True}
    try:
        tracer = with_warnings(lambda: rawtp.Tracer(**asked), quiet=args.quiet)
    except (rawtp.RawtpError, OSError) as error:
        raise refusal(error, arguments) from None
    except ValueError as error:
        parser.error(reason(error))
    failure: Exception | None = None
    try:
        with tracer:
            stop.attend(tracer, sys.stdout if isinstance(pipeline.output, Standard) else None)
            for pid in args.pid or ():
                if not _is_running(pid) and not args.quiet:
                    message(f"no process has pid {pid} now; waiting for one")
            pipeline.begin(_session.described(asked, tracer.coverage), tracer)
            if command is not None and stop.asked:
                return OK
            if command is not None:
                command.start()
            failure = _watch(tracer, stop, pipeline, args)
        if not stop.reader_gone:
            pipeline.end(tracer.stats().as_dict())
    except BrokenPipeError as error:
        # The output's reader has left, which is an end like any other, but not before a command has begun.
        failure = error if command is not None and not command.is_released else None
    except OSError as error:
        failure = error
    code = OK
    if command is not None and command.is_released:
        code = command.finish(quiet=args.quiet)
    if stop.signalled and sys.stderr is not None and sys.stderr.isatty():
        write_error("")  # the terminal has echoed ^C
    account = _account(tracer, stop, pipeline, args, failure)
    return code or account


def _watch(tracer: rawtp.Tracer, stop: Stop, pipeline: Pipeline, args: argparse.Namespace) -> rawtp.RawtpError | None:
    """Show events until the end is asked for, and then those from before that moment; why there are no more, if the
    tracer could not go on."""
    failure: rawtp.RawtpError | None = None
    left = args.count or sys.maxsize
    end_s = time.monotonic() + (args.duration or math.inf)
    while left and not stop.asked and (rest_s := end_s - time.monotonic()) > 0:
        try:
            events = tracer.get_many(min(left, _MAX_BATCH), min(rest_s, pipeline.wait_s))
        except ValueError:
            if stop.asked:
                break
            raise
        except rawtp.RawtpError as error:
            failure = error
            break
        pipeline(events)
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
        pipeline(events)
        left -= len(events)
    return failure


def _account(
    tracer: rawtp.Tracer, stop: Stop, pipeline: Pipeline, args: argparse.Namespace, failure: Exception | None
) -> int:
    """Say where every event went, whether or not the output could take them; the exit code."""
    counts = tracer.stats().as_dict()
    if failure is not None:
        report(CommandError(reason(failure)))
        if pipeline.unwritten:
            message(f"of {ledger.events(pipeline.unwritten)} delivered last, not all were written")
    unread = (counts["buffered"] or 0) + (counts["discarded"] or 0) if stop.in_haste else 0
    if unread:
        message(f"ended at once by a second signal: {ledger.events(unread)} that had come were not read")
    for line in pipeline.summary():
        write_error(line)
    if not args.quiet:
        for line in ledger.summary(counts, whole=bool(args.stats or failure or unread)):
            message(line)
    if failure is not None:
        return CANNOT_RUN
    return LOST if args.fail_on_loss and (unread or ledger.lost_anything(counts)) else OK


def _is_running(pid: int) -> bool:
    return os.access(f"/proc/{pid}", os.F_OK)
