"""The watching itself: from the options to the exit code."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import rawtp
from rawtp import _root, _session
from rawtp.cli import alerting, names, options, publishing, stderr, types
from rawtp.cli.errors import CANNOT_RUN, LOST, OK, CommandError, refusal, report
from rawtp.cli.pipeline import count, from_options
from rawtp.cli.stderr import message, reason, with_warnings, write_error
from rawtp.cli.stop import Stop
from rawtp.formats import ledger
from rawtp.sinks.file import File
from rawtp.sinks.stdout import Standard

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

    from rawtp._alert.rules import RuleSet
    from rawtp.cli.command import Command
    from rawtp.cli.pipeline import Observer, Pipeline

_TELL_AFTER_S = 2.0
"""The time after which a reader who is behind is told what goes on."""


def run(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    filters: dict[str, object],
    arguments: Sequence[str],
    words: list[str],
    observer: Observer | None = None,
) -> int:
    """Watch as ``args`` say, or the command of these words if there are any; the exit code. ``observer`` is told all,
    too."""
    stop = Stop()
    stop.take_signals()
    stderr.heed(stop.patience)
    alerts = rules = None
    root = str(filters.get("root", "/"))
    if args.alert is not None:
        from rawtp._alert.alerts import Alerts

        rules = alerting.load(parser, args.alert, root)
        alerts = Alerts(rules, root=root)
    pipeline = from_options(args, stop.patience, alerts)
    pipeline.observer = observer
    if isinstance(pipeline.output, File):
        signal.signal(signal.SIGHUP, pipeline.output.on_hangup)
    asked = {
        "syscalls": names.syscalls(args.syscalls or ["loss"]),
        "fields": pipeline.fields,
        "hook": args.hook,
        "when": args.when,
        "exclude": names.syscalls(args.exclude) if args.exclude else None,
        "buffers": args.buffers,
        "ring_bytes": args.ring_bytes,
        "queue_bytes": args.queue_bytes,
        **filters,
    }
    if args.broker is not None:
        asked["broker"] = args.broker

    def trace(command: Command | None = None) -> int:
        return _trace(parser, args, asked, pipeline, stop, arguments, command, rules)

    if not words:
        return trace()
    from rawtp.cli.command import run

    return run(words, trace, as_root=args.as_root)


def _trace(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    asked: dict[str, Any],
    pipeline: Pipeline,
    stop: Stop,
    arguments: Sequence[str],
    command: Command | None,
    rules: RuleSet | None,
) -> int:
    """Watch; the command, if there is one, from its first call to its end."""
    stop.command = command
    if command is not None:
        asked |= {"pid": command.pid, "follow": True, "_from_exec": True}
    try:
        # A broker may take minutes to answer; until then there is nothing that an exception could lose.
        with stop.raising(args.broker is not None):
            tracer = with_warnings(lambda: rawtp.Tracer(**asked), quiet=args.quiet)
    except (rawtp.RawtpError, OSError) as error:
        raise refusal(error, arguments) from None
    except ValueError as error:
        parser.error(reason(error))
    failure: Exception | None = None
    publisher = None
    try:
        with tracer:
            if args.metrics is not None:
                publisher = publishing.publish(args.metrics, tracer, pipeline.alert_counts, quiet=args.quiet)
            if rules is not None:
                alerting.tell_reach(rules, asked, tracer.coverage)
            stop.attend(tracer, sys.stdout if isinstance(pipeline.output, Standard) else None)
            if not args.quiet:
                options.tell_absent(args.pid or ())
            for path in args.path or ():
                if (missing := _missing(path, asked.get("root", "/"))) and not args.quiet:
                    message(f'path "{missing}" does not exist yet; it is watched all the same')
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
    # Also where the output has failed.
    pipeline.finish_alerts(in_haste=stop.in_haste)
    if publisher is not None:
        for line in publisher.finish():
            message(line)
    code = OK
    if command is not None and command.is_released:
        code = command.finish(quiet=args.quiet)
        if pipeline.observer:
            pipeline.observer.on_end(code, tracer.stats().as_dict(), failure)
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
            events = pipeline.read(tracer, left, min(rest_s, pipeline.wait_s))
        except ValueError:  # closed: by a signal, or by the end of a broker
            break
        except rawtp.RawtpError as raised:
            failure = raised
            break
        pipeline(events)
        left -= count(events)
    tracer.close()
    late_s = time.monotonic() + _TELL_AFTER_S
    while left and not stop.reader_gone:
        if stop.patience.is_over():
            stop.in_haste = True
            break
        if stop.signalled and time.monotonic() > late_s:
            late_s = math.inf
            message("showing what had come by then; a second Ctrl-C ends at once")
        events, error = pipeline.read_rest(tracer, left)
        failure = failure or error
        if not count(events):
            break
        pipeline(events)
        left -= count(events)
    syscalls = tracer.coverage["syscalls"]
    if syscalls["hook"] is None:
        failure = failure or rawtp.RawtpError(f"the watching was ended: {syscalls['reason']}")
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


def _missing(path: str, root: str) -> str | None:
    """The file that ``-P`` names, if the host whose root is mounted at ``root`` has none. A glob names none."""
    name = types.literal(path)
    if name is None:
        return None
    # The filter takes `..` out of the text in the same way.
    name = os.path.normpath(name)
    try:
        os.close(_root.opened(root, name, os.O_PATH | os.O_NOFOLLOW))
    except (FileNotFoundError, NotADirectoryError):
        return name
    except OSError:  # a directory on the way cannot be searched
        pass
    return None
