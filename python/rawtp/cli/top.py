"""``rawtp top``: who makes names and content go, as a table on the whole screen that follows what happens."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING

import rawtp
from rawtp._top.view import VIEWS
from rawtp.cli import names, options, stderr, types
from rawtp.cli.errors import CANNOT_RUN, OK, CommandError, refusal, report
from rawtp.cli.parser import Parser
from rawtp.cli.stderr import message, reason, with_warnings
from rawtp.cli.stop import Stop
from rawtp.formats import ledger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_EXAMPLES = """\
Keys: p, d, c and u choose what rows are; s and r sort, f filters, / searches, the space bar pauses, Enter shows the
last events of a row, Escape goes back, q ends. It needs the package textual: pip install 'rawtp[tui]'.

examples:
  sudo rawtp top
      which processes make most go
  sudo rawtp top --by directory -P /srv
      where below a directory
  sudo rawtp top --by container -s delete --outcome failed
      which containers fail to delete
"""


def add_parser() -> Parser:
    """Make the parser of ``top``, which is the first of the arguments."""
    parser = Parser(
        usage="%(prog)s top [OPTION]...",
        description="Show who makes how much go, live, on the whole screen.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("command", choices=("top",), help=argparse.SUPPRESS)
    parser.add_argument("--by", choices=VIEWS, default="process", help="what rows are at first (default: %(default)s)")
    parser.add_argument(
        "--interval", type=types.seconds, default=1.0, metavar="TIME", help="how often it is drawn (default: 1s)"
    )
    parser.add_argument("--utc", action="store_true", help="show the times of events in UTC")
    watched = parser.add_argument_group("what to watch")
    options.add_syscalls(watched)
    options.add_selection(watched)
    options.add_hook(watched)
    options.add_root(watched)
    options.add_filters(parser)
    options.add_buffers(parser.add_argument_group("how to run"))
    return parser


def run(arguments: Sequence[str]) -> int:
    """Show it until the end is asked for; the exit code: 0, 1 when it cannot run or not go on, 2 for wrong usage."""
    parser = add_parser()
    args = parser.parse_args(arguments)
    filters = options.filters(parser, args)
    try:
        import textual  # noqa: F401
    except ImportError:
        raise CommandError("rawtp top needs textual: pip install 'rawtp[tui]'") from None
    # The library reads and writes these, whatever sys.stdin and sys.stderr are by now.
    if not all(stream is not None and stream.isatty() for stream in (sys.__stdin__, sys.__stderr__)):
        raise CommandError("rawtp top needs a terminal, as standard input and standard error")
    for name in ("COLUMNS", "LINES"):
        # A size that was inherited would be taken for the terminal's, and stay when that changes.
        os.environ.pop(name, None)
    stop = Stop()
    stop.take_signals()
    stderr.heed(stop.patience)
    return _show(parser, args, filters, arguments, stop)


def _show(
    parser: argparse.ArgumentParser,
    args: argparse.Namespace,
    filters: dict[str, object],
    arguments: Sequence[str],
    stop: Stop,
) -> int:
    from rawtp._containers import runtimes
    from rawtp._containers.cache import NameCache
    from rawtp._top.app import TopApp
    from rawtp._top.feed import Feed
    from rawtp._top.model import FIELDS, Model
    from rawtp.formats.timestamp import Clock

    asked: dict[str, Any] = {
        "syscalls": names.syscalls(args.syscalls or ["loss"]),
        "fields": FIELDS,
        "hook": args.hook,
        "when": args.when,
        "exclude": names.syscalls(args.exclude) if args.exclude else None,
        "ring_bytes": args.ring_bytes,
        "queue_bytes": args.queue_bytes,
        **filters,
    }
    if args.broker is not None:
        asked["broker"] = args.broker
    try:
        # A broker may take minutes to answer.
        with stop.raising(args.broker is not None):
            tracer = with_warnings(lambda: rawtp.Tracer(**asked))
    except (rawtp.RawtpError, OSError) as error:
        raise refusal(error, arguments) from None
    except ValueError as error:
        parser.error(reason(error))
    with tracer:
        stop.attend(tracer, None)
        feed = Feed(tracer, Model(time.monotonic()))
        feed.start()
        clock = Clock(utc=args.utc)
        app = TopApp(
            feed,
            NameCache(runtimes.finder(args.root or "/")).get,
            view=args.by,
            interval_s=args.interval,
            time_of_day=clock,
        )
        app.run()
        feed.finish()
    counts = tracer.stats().as_dict()
    failure = feed.failure
    syscalls = tracer.coverage["syscalls"]
    if syscalls["hook"] is None:
        failure = failure or rawtp.RawtpError(f"the watching was ended: {syscalls['reason']}")
    if failure is not None:
        report(CommandError(reason(failure)))
    for line in ledger.summary(counts, whole=failure is not None):
        message(line)
    return CANNOT_RUN if failure is not None or app.return_code else OK
