"""``rawtp record``: the flight recorder."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import rawtp
from rawtp.cli import alerting, invocation, names, options, publishing, shipping, types
from rawtp.cli.errors import CANNOT_RUN, OK, CommandError, refusal
from rawtp.cli.parser import Parser
from rawtp.cli.stderr import message, reason, show, with_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from rawtp._alert.rules import RuleSet
    from rawtp._record.companion import Companion
    from rawtp._record.heartbeat import Heartbeat
    from rawtp._record.shippers import Shippers
    from rawtp._record.signals import Signals

_DIRECTORY = "/var/lib/rawtp"
_BEAT_S = 10.0
_PATIENCE_S = 5.0  # of who reads a backlog with a notifier that is slower
_LOOK_S = 5.0  # for where the directory is
_HEARTBEAT = ".heartbeat"

_EXAMPLES = """\
It runs until Ctrl-C or SIGTERM. SIGHUP has it seal the log at once. Every
10 s a deletion of its own must come back, or it says so, and systemd's
watchdog restarts it. --status exits with 0 when all is well, else with 1.

examples:
  sudo rawtp record --max-age 90d --max-bytes 10GiB
      all that makes names or content go, into /var/lib/rawtp
  sudo rawtp record --status
      does it record?
  rawtp record --install --max-age 90d
      the unit for systemd, on standard output
  sudo rawtp who /srv/data/report.txt
      who deleted it?
"""


def add_parser() -> Parser:
    """Make the parser of ``record``, which is the first of the arguments."""
    parser = Parser(
        usage="%(prog)s record [OPTION]...",
        description="Record who deletes or empties which file, for rawtp who and rawtp history.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("command", choices=("record",), help=argparse.SUPPRESS)
    parser.add_argument(
        "--directory",
        type=_directory,
        default=_DIRECTORY,
        metavar="DIR",
        help="where to; it is made, with mode 0750 (default: %(default)s)",
    )
    options.add_syscalls(parser)
    options.add_root(parser)
    parser.add_argument(
        "-f",
        "--fields",
        type=types.names,
        action="extend",
        metavar="KEYS",
        help=f"keys to record besides the usual ones, with commas between: {', '.join(_extra())}",
    )
    parser.add_argument(
        "--max-bytes", type=types.size, metavar="SIZE", help="remove the oldest files when all take more than this"
    )
    parser.add_argument(
        "--max-age", type=types.seconds, metavar="TIME", help="remove files with nothing younger, such as 90d"
    )
    parser.add_argument(
        "--sync",
        type=types.seconds,
        default=1.0,
        metavar="TIME",
        help="the longest time until an event is on the disk (default: 1s)",
    )
    parser.add_argument(
        "--segment-bytes",
        type=types.size,
        default=16 << 20,
        metavar="SIZE",
        help="seal the log at this size (default: 16MiB)",
    )
    parser.add_argument(
        "--segment-age", type=types.seconds, default=3600.0, metavar="TIME", help="and at this age (default: 1h)"
    )
    parser.add_argument(
        "--redact", choices=("argv",), help="argv: leave out what processes were called with, which can be secret"
    )
    parser.add_argument(
        "--ring-bytes",
        type=types.size,
        default=4 << 20,
        metavar="SIZE",
        help="the kernel's buffer; larger rides out longer bursts (default: 4MiB)",
    )
    options.add_alert(parser)
    options.add_metrics(parser)
    options.add_filters(parser)
    shipping.add_receivers(parser)
    group = parser.add_argument_group("in place of recording")
    group.add_argument("--status", action="store_true", help="say how the recorder of the directory is doing")
    group.add_argument("--json", action="store_true", help="with --status: one JSON object")
    group.add_argument(
        "--install", action="store_true", help="print a unit for systemd that records with the other options"
    )
    group.add_argument(
        "--now", action="store_true", help="with --install: make the group rawtp, write the unit, enable and start it"
    )
    return parser


def _extra() -> list[str]:
    return [key for key in rawtp.OPT_IN_FIELDS if key not in {"ancestors", "args"}]


def _directory(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return os.path.abspath(text)  # noqa: PTH100 - start-up time


def run(arguments: Sequence[str]) -> int:
    """Record until a signal ends it; the exit code: 0, 1 when it cannot go on, 2 for wrong usage."""
    parser = add_parser()
    args = parser.parse_args(arguments)
    filters = options.filters(parser, args)
    if args.json and not args.status:
        parser.error("--json needs --status")
    if args.now and not args.install:
        parser.error("--now needs --install")
    if args.status and args.install:
        parser.error("--status: not with --install")
    for key in args.fields or ():
        if key not in _extra():
            parser.error(f"argument -f/--fields: {key!r} is none of {', '.join(_extra())}")
    if args.status:
        return _status(args)
    commands = shipping.commands(parser, args)
    if args.install and commands:
        parser.error("the unit has no network: a unit of its own ships, which rawtp ship --install prints")
    if args.alert is not None:
        args.alert = os.path.abspath(args.alert)  # noqa: PTH100 - start-up time
    if args.install:
        return _install(parser, args, arguments)
    from rawtp._record import heartbeat, shippers, signals

    # A wrong rule is told before anything is recorded.
    rules = alerting.load(parser, args.alert, args.root or "/") if args.alert is not None else None
    handlers = signals.Signals()
    handlers.take()
    heartbeat.name_thread()
    # As the recorder's own calls name it, and as the kernel finds it.
    place = os.path.realpath(args.directory)
    running = shippers.Shippers(commands, message)
    while (code := _record(parser, args, filters, arguments, place, handlers, running, rules)) is None:
        # Whoever has removed the directory may have put a link there.
        if os.path.islink(place):  # noqa: PTH114 - start-up time
            raise CommandError(f"{place} was removed, and is a symbolic link now: start again to follow it")
        message("beginning anew")
    return code


def _record(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    filters: dict[str, Any],
    arguments: Sequence[str],
    place: str,
    handlers: Signals,
    shippers: Shippers,
    rules: RuleSet | None,
) -> int | None:
    """Record until the end; the exit code, or None when the directory was removed."""
    from rawtp._record import heartbeat

    beat_path = f"{place}/{_HEARTBEAT}"
    asked: dict[str, Any] = {
        "syscalls": names.syscalls(args.syscalls or ["loss"]),
        # `who` shows who stood behind a process, which nothing can tell afterwards. Names of users it looks up itself.
        "fields": (*rawtp.ALL_FIELDS, "ancestors", *dict.fromkeys(args.fields or ())),
        "ring_bytes": args.ring_bytes,
        "queue_bytes": 64 << 20,
    }
    call, why_not = heartbeat.choose(asked["syscalls"], filters, beat_path)
    let_through = heartbeat.admitted(filters, beat_path) if call else filters
    try:
        tracer = with_warnings(lambda: rawtp.Tracer(**asked, **let_through))
    except (rawtp.RawtpError, OSError) as error:
        raise refusal(error, arguments) from None
    except ValueError as error:
        parser.error(reason(error))
    # From here on nothing is missed. What the tracer needs not is imported now.
    from rawtp import _session
    from rawtp._record import notify, service
    from rawtp.formats.ledger import counted

    with tracer:
        described = _session.described({**asked, **filters}, tracer.coverage)
        described |= {
            "alerts": rules is not None,
            "sync_s": args.sync,
            "redact": [args.redact] if args.redact else [],
            "heartbeat": why_not is None,
        }
        try:
            recorder = rawtp.Recorder(
                tracer,
                place,
                session=json.dumps(described),
                sync_s=args.sync,
                segment_bytes=args.segment_bytes,
                segment_s=args.segment_age,
                max_bytes=args.max_bytes,
                max_age_s=args.max_age,
                redact_argv=args.redact == "argv",
                heartbeat=beat_path if call else None,
            )
        except BlockingIOError:
            raise CommandError(f"another recorder records into {args.directory}") from None
        except ValueError as error:
            parser.error(reason(error))
        except (rawtp.RawtpError, OSError) as error:
            raise CommandError(f"cannot record into {args.directory}: {reason(error)}") from None
        _tell_start(args, tracer, recorder.recovered)
        if rules is not None:
            alerting.tell_reach(rules, {**asked, **filters}, tracer.coverage)
        beat = heartbeat.Heartbeat(call, why_not, _BEAT_S, patience_s=max(5.0, 2 * args.sync + 3))
        session = {key: described[key] for key in ("version", "host", "kernel", "start_ns", "syscalls", "filters")}
        end = "removed"
        try:
            companions = _companions(args, rules, recorder, tracer, beat, place)
            notifier = notify.Notifier(os.environ)
            end = service.Service(recorder, beat, notifier, handlers, session, message, shippers, companions).run()
        except (rawtp.RawtpError, OSError) as error:
            if handlers.is_end or not _is_removed(recorder):
                raise CommandError(f"the recorder ended: {reason(error)}") from None
    status = recorder.status()
    message(f"recorded {counted(status['acknowledged'], 'event')}, {status['lost']} lost")
    if end == "removed":
        return None
    if end == "signal":
        return OK
    raise CommandError(f"the watching was ended: {tracer.coverage['syscalls']['reason'] or 'the tracer was closed'}")


def _is_removed(recorder: rawtp.Recorder) -> bool:
    """Whether the directory is gone by now, and not only when the recorder has looked last."""
    with suppress(OSError, ValueError, rawtp.RawtpError):
        recorder.sync(_LOOK_S)
    return bool(recorder.status()["directory"] == "removed")


def _companions(
    args: argparse.Namespace,
    rules: RuleSet | None,
    recorder: rawtp.Recorder,
    tracer: rawtp.Tracer,
    beat: Heartbeat,
    place: str,
) -> list[Companion]:
    """What runs beside the recorder, as the options ask for it."""
    from rawtp._containers import runtimes
    from rawtp._record.naming import ContainerNames

    root = args.root or "/"
    companions: list[Companion] = [ContainerNames(recorder, runtimes.finder(root))]
    counts = None
    if rules is not None:
        from rawtp._alert.alerts import Alerts
        from rawtp._record.alerting import Alerting

        alerting = Alerting(Alerts(rules, patience_s=_PATIENCE_S, root=root), recorder)
        counts = alerting.counts
        companions.append(alerting)
    if args.metrics is not None:
        from rawtp._record.metrics import Metrics

        try:
            metrics = Metrics(args.metrics, recorder, tracer, beat, place, counts)
        except OSError as error:
            raise CommandError(f"cannot publish metrics: {reason(error)}") from None
        publishing.tell(args.metrics, metrics.place)
        # The last, so that it publishes what became of the others.
        companions.append(metrics)
    return companions


def _tell_start(args: argparse.Namespace, tracer: rawtp.Tracer, recovered: dict[str, Any]) -> None:
    """Say what was found, and what is not seen."""
    from rawtp._check.attempts import LOST
    from rawtp.formats.escape import size
    from rawtp.formats.ledger import counted

    parts = [f"recording into {args.directory}"]
    if recovered["logs"]:
        parts.append(f"sealed {counted(recovered['logs'], 'log')} of the recorder before")
    if recovered["gap"]:
        begin, end = recovered["gap"]
        parts.append(f"nothing was watched for {(end - begin) / 1e9:.1f} s before")
    message("; ".join(parts))
    if args.max_bytes is not None and args.max_bytes < args.segment_bytes:
        message(
            f"--max-bytes {size(args.max_bytes)} is less than --segment-bytes {size(args.segment_bytes)}: a file can"
            " be removed as soon as it is sealed"
        )
    for name in recovered["quarantined"]:
        message(f"damaged, and moved to quarantine: {name}")
    if lines := recovered["journal_damaged_lines"]:
        message(f"damaged lines of the journal: {lines}")
    for part, hook in tracer.coverage.items():
        if hook["hook"] is None:
            message(f"{part}: {LOST[part]}: {hook['reason']}")


def _status(args: argparse.Namespace) -> int:
    from rawtp._record import status

    try:
        found = status.read(args.directory, time.time_ns())
    except FileNotFoundError:
        from rawtp.cli import archive

        record = invocation.command("record", *archive.where(args.directory), as_root=True)
        raise CommandError(f"nobody has recorded into {args.directory}. To record, run: {record}") from None
    except PermissionError:
        again = invocation.command(*sys.argv[1:], as_root=True)
        raise CommandError(f"{args.directory} can be read by root, and by its group: {again}") from None
    except (rawtp.RawtpError, OSError) as error:
        raise CommandError(reason(error)) from None
    if args.json:
        text = json.dumps(found)
    else:
        from rawtp.formats.timestamp import Clock

        text = "\n".join(status.lines(found, time.time_ns(), Clock()))
    return show(text + "\n") or (OK if found["is_well"] else CANNOT_RUN)


def _install(parser: argparse.ArgumentParser, args: argparse.Namespace, arguments: Sequence[str]) -> int:
    from rawtp._record import install, unit

    words = [word for word in arguments[1:] if word not in {"--install", "--now"}]
    # A service does not begin where this shell is: what is relative is given as it was taken.
    words = _without(_without(_without(words, "--directory"), "--path", "-P"), "--alert")
    if args.directory != _DIRECTORY:
        words += ["--directory", args.directory]
    words += [word for path in args.path or () for word in ("--path", path)]
    needs_network = False
    if args.alert is not None:
        words += ["--alert", args.alert]
        needs_network = alerting.read(parser, args.alert, args.root or "/").needs_network
    writable = []
    if args.metrics is not None:
        words = _without(words, "--metrics")
        words += ["--metrics", args.metrics.words]
        needs_network |= args.metrics.path is None
        writable += [os.path.dirname(args.metrics.path)] if args.metrics.path else []  # noqa: PTH120
    try:
        text = unit.text(sys.executable, words, args.directory, needs_network=needs_network, writable=writable)
    except ValueError as error:
        parser.error(reason(error))
    if not args.now:
        return show(text)
    try:
        for line in install.install(text, args.directory):
            message(line)
    except OSError as error:
        raise CommandError(reason(error)) from None
    return OK


def _without(words: list[str], long: str, short: str | None = None) -> list[str]:
    """The words without this option and its values."""
    kept = []
    rest = iter(words)
    for word in rest:
        if word in {long, short}:
            next(rest, None)
        elif not (word.startswith(f"{long}=") or (short and word.startswith(short))):
            kept.append(word)
    return kept
