"""``rawtp run``: a command, what it makes go, and a report of that."""

from __future__ import annotations

import argparse
import os
import stat
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import rawtp
from rawtp.cli import names, options, output, stderr
from rawtp.cli.errors import CONDITION_HOLDS, OK, CommandError, report
from rawtp.cli.parser import Parser
from rawtp.cli.stderr import message, reason
from rawtp.formats import ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rawtp._report import Report
    from rawtp._run.child import User
    from rawtp.event import Event

_FORMATS = ("md", "json", "sarif")
_LIMITING = {"-P": "path", "-u": "uid", "--comm": "comm", "--cgroup": "cgroup"}
_EPILOG = """\
A path counts by what the kernel did where that is known. EXPR is one of:
  outside=DIR   something went that is not in DIR, or whose path is not known;
                of several DIRs, that is in none of them
  path=GLOB     something went that matches, such as '**/.git/**'
  count>N       more than N calls made something go
  bytes>SIZE    more content went, or may have where sizes are not known
Exits with 5 when one of them holds, else as COMMAND does.

examples:
  sudo rawtp run -- make clean
      what goes, live
  sudo rawtp run --report md -- pip install .
      a report at the end
  sudo rawtp run --fail-if outside=. --fail-if 'path=**/.git/**' -- ./agent.sh
      fail when something goes that should not
  sudo rawtp run --report md --report sarif=rawtp.sarif -- npm ci
      two reports, one of them into a file
"""


def add_parser() -> Parser:
    """Make the parser of ``run``, which is the first of the arguments."""
    parser = Parser(
        usage="%(prog)s run [OPTION]... -- COMMAND [ARG]...",
        description="Run a command, show what it deletes, overwrites and truncates, and report that.",
        epilog=_EPILOG,
        command="rawtp run -- make clean",
    )
    parser.add_argument("command", choices=("run",), help=argparse.SUPPRESS)
    group = parser.add_argument_group("the report")
    group.add_argument(
        "--report",
        type=_target,
        action="append",
        metavar="FORMAT[=FILE]",
        help="at the end, in place of events: md, json or sarif, on standard output or into a file; may be repeated",
    )
    group.add_argument(
        "--fail-if",
        action="append",
        default=[],
        metavar="EXPR",
        help="exit with 5 when this holds: outside=DIR, path=GLOB, count>N or bytes>SIZE; may be repeated",
    )
    options.add_watched(parser)
    # The command is followed as it is; who gives them is told so.
    parser.hide("pid", "follow")
    output.add_arguments(parser)
    options.add_running(parser)
    return parser


def _target(text: str) -> tuple[str, str | None]:
    kind, equals, file = text.partition("=")
    if kind not in _FORMATS or (equals and not file):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of {', '.join(_FORMATS)}, or such as sarif=FILE")
    return kind, file or None


def run(arguments: Sequence[str]) -> int:
    """Run the command; the exit code: 5 when a condition holds, else as :func:`rawtp.cli.main` has it."""
    parser = add_parser()
    at = arguments.index("--") if "--" in arguments else len(arguments)
    args = parser.parse_args(arguments[:at])
    args.count = args.duration = None
    output.check(parser, args)
    words = list(arguments[at + 1 :])
    if names.wants_help(args.fields):
        return stderr.show(names.help_text())
    if not any(words[:1]):
        parser.error("no command: it comes behind --, as in rawtp run -- make clean")
    filters = options.filters(parser, args, is_run=True)
    from rawtp._report import Report
    from rawtp._report.conditions import Conditions
    from rawtp.cli import trace
    from rawtp.cli.command import user_of

    try:
        made = Report(words, Conditions(args.fail_if))
    except (ValueError, OSError) as error:
        parser.error(f"argument --fail-if: {reason(error)}")
    files = [file for _, file in args.report or () if file is not None]
    if twice := next((file for file in files if files.count(file) > 1), None):
        parser.error(f"argument --report: {twice!r} is given twice")
    _check_filters(parser, args)
    if args.report and not (args.output or args.output_file or args.fields):
        args.no_events = True
    if sys.stdout is None and not args.quiet:
        raise CommandError("standard output is closed")
    targets = _Targets(args.report or [], user_of(as_root=args.as_root))
    observer = _Observer(made)
    code = trace.run(parser, args, filters, arguments, words, observer if args.report or args.fail_if else None)
    if not observer.ended:
        return code
    written = targets.write(made)
    for condition in made.broken:
        why = ": it may hold, since not all sizes are known" if condition in made.undecided else ""
        message(f"fails: {condition}{why}")
    return CONDITION_HOLDS if made.broken else code or written


def _check_filters(parser: Parser, args: argparse.Namespace) -> None:
    """Say what the conditions do not see, or refuse what none can see."""
    if not args.fail_if:
        return
    if args.outcome == "failed":
        parser.error("argument --fail-if: not with --outcome failed: what failed meets no condition")
    calls = names.syscalls(args.syscalls or ["loss"])
    given = [
        *(["-s"] if "all" not in calls and not {*rawtp.LOSS} <= {*calls} else []),
        *(["--exclude"] if args.exclude else []),
        *(option for option, name in _LIMITING.items() if getattr(args, name)),
    ]
    if given:
        message(f"--fail-if: what {', '.join(given)} left out meets no condition")


class _Observer:
    """Hands events and end on to the report."""

    def __init__(self, report: Report) -> None:
        self.fields = report.fields
        self.ended = False
        self._report = report
        report.start_ns = time.time_ns()

    def add(self, events: list[Event]) -> None:
        self._report.add(events)

    def on_end(self, code: int, counts: Mapping[str, int | None], failure: Exception | None) -> None:
        if failure is not None:
            self._report.problems.append(f"the watching ended early: {reason(failure)}")
        self._report.finish(code, ledger.missing(counts))
        self.ended = True


class _Targets:
    """Where reports go. Files are opened before the command runs, so that it is not run in vain, by the user whose
    command it is: root follows no link that this user has laid."""

    def __init__(self, reports: Sequence[tuple[str, str | None]], user: User | None) -> None:
        self._files: list[tuple[str, str | None, int | None]] = []
        for kind, file in reports:
            try:
                with _acting_as(user):
                    self._files.append((kind, file, None if file is None else _opened(file)))
            except OSError as error:
                error.filename = file
                raise CommandError(reason(error)) from None

    def write(self, made: Report) -> int:
        """Write all; the exit code."""
        code = OK
        for kind, file, fd in self._files:
            text = made.text(kind)
            if fd is None:
                code = code or stderr.show(text)
                continue
            try:
                with os.fdopen(fd, "wb") as opened:
                    opened.write(text.encode("utf-8", "rawtp.escape"))
            except OSError as error:
                error.filename = file
                code = report(CommandError(reason(error)))
        return code


def _opened(path: str) -> int:
    """A regular file, empty."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o644)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(f"{path} is no regular file")
    os.ftruncate(fd, 0)
    return fd


@contextmanager
def _acting_as(user: User | None) -> Iterator[None]:
    """Open files with this user's rights. There is one thread yet."""
    if user is None:
        yield
        return
    before = os.getgroups(), os.getegid()
    os.setgroups(user.groups)
    os.setegid(user.gid)
    os.seteuid(user.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(before[1])
        os.setgroups(before[0])
