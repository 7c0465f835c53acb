"""``rawtp who``: who made a file go, as far as it was recorded."""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING

import rawtp
from rawtp._history import paths
from rawtp.cli import archive, invocation, names, types
from rawtp.cli.errors import CANNOT_RUN, NOTHING_FOUND, OK
from rawtp.cli.parser import Parser
from rawtp.cli.stderr import message, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawtp.formats.story import Answer

_EXAMPLES = """\
It reads what rawtp record has recorded. PATH need not exist any more. The
events come newest first: those of the path itself, of directories above it,
and of the file under the names that it had before and after. At the end it
says when nothing was watched. What has just happened can be read after a
second or so; it waits for that when it finds nothing. What happened below a
directory is in rawtp history --under. Exits with 0 when something was found,
4 when nothing was, 1 when it cannot read, or a file of the history is damaged.

examples:
  sudo rawtp who /srv/data/report.txt
      who deleted, renamed, replaced or emptied it?
  sudo rawtp who --since yesterday --until 06:00 /srv/data/report.txt
      last night
  sudo rawtp who --all --limit 100 /etc/passwd
      attempts that failed, too
  sudo rawtp who --json /srv/data/report.txt
      for a program to read
"""


def add_parser() -> Parser:
    """Make the parser of ``who``, which is the first of the arguments."""
    parser = Parser(
        usage="%(prog)s who [OPTION]... PATH",
        description="Say who deleted, renamed, replaced or emptied a file: out of the history.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("command", choices=("who",), help=argparse.SUPPRESS)
    parser.add_argument(
        "path", metavar="PATH", help="absolute, or relative to the working directory; on the host that recorded"
    )
    archive.add_window(parser)
    parser.add_argument(
        "--limit", type=types.positive, default=10, metavar="N", help="the latest so many events (default: %(default)s)"
    )
    parser.add_argument("--all", action="store_true", help="attempts that failed, too")
    parser.add_argument("--json", action="store_true", help="JSON lines in place of text")
    archive.add_directory(parser)
    archive.add_root(parser)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Show what was found; the exit code: 0, 4 when nothing was, 1 when the history cannot be read or a file of it is
    damaged, 2 for wrong usage."""
    parser = add_parser()
    args = parser.parse_args(arguments)
    archive.check_window(parser, args)
    archive.check_root(parser, args)
    output = archive.standard_output()
    history = archive.opened(args.directory, args.root)
    with archive.reading():
        try:
            answer = _answer(history, args)
        except (ValueError, TypeError) as error:
            parser.error(reason(error))
    if args.json:
        text = _documents(args, answer)
    else:
        from rawtp.formats import story
        from rawtp.formats.chain import ASCII_BY, BY
        from rawtp.formats.escape import encodable
        from rawtp.formats.timestamp import Clock

        arrow = BY if encodable(BY, output.encoding) else ASCII_BY
        text = story.told(answer, Clock(utc=args.utc), arrow)
    with archive.writing():
        output.write(text, "utf-8" if args.json else None)
    for told in answer.damaged:
        message(f"{told}; it was left out")
    if answer.damaged:
        return CANNOT_RUN
    return OK if answer.events else NOTHING_FOUND


def _answer(history: rawtp.History, args: argparse.Namespace) -> Answer:
    from rawtp.formats.story import Answer

    now_ns = time.time_ns()
    # One more than is shown tells whether there are more.
    asked = {"since": args.since, "until": args.until, "limit": args.limit + 1}
    found, damaged = history._who(args.path, **asked, failed=args.all)
    if not found and args.until is None and archive.wait_until_readable(history, now_ns):
        found, damaged = history._who(args.path, **asked, failed=args.all)
    tried = [] if found or args.all else history._who(args.path, **{**asked, "limit": 1}, failed=True)[0]
    root = history.root
    begin_ns, end_ns = args.since or 0, now_ns if args.until is None else args.until
    sessions = [one for one in history.sessions() if one["start_ns"] < end_ns and one["through_ns"] >= begin_ns]
    return Answer(
        # As it was given, links and all.
        path=os.fsdecode(paths.names(args.path, root)[0]),
        events=[archive.named(event, root) for event in found[: args.limit]],
        has_more=len(found) > args.limit,
        with_failed=args.all,
        has_failed=bool(tried),
        gaps=history.gaps(args.since, args.until),
        losses=history.losses(args.since, args.until),
        coverage=archive.within(history.coverage(), begin_ns, end_ns),
        without_files=any(not archive.shows_files(session) for session in sessions),
        limits=list(dict.fromkeys(filter(None, map(archive.limits, sessions)))),
        more_gaps=archive.gaps_command(args.directory),
        elsewhere=None if found else _elsewhere(history, args),
        damaged=damaged,
    )


def _elsewhere(history: rawtp.History, args: argparse.Namespace) -> str | None:
    """Where anything happened, below the path or to what it matches as a glob, and the command that shows it."""
    from rawtp.formats.escape import quoted_name

    window = {"since": args.since, "until": args.until, "outcome": "any" if args.all else "ok", "limit": 1}
    ways = [("below it", "--under", args.path)]
    if history.root == "/" and os.path.islink(args.path.rstrip("/")):  # noqa: PTH114
        real = os.path.realpath(args.path)
        ways.append((f"below {quoted_name(real)}, where it leads", "--under", real))
    if any(sign in args.path for sign in "*?[{"):
        ways.append(("to what it matches", "--glob", os.path.join(os.getcwd(), args.path)))  # noqa: PTH109, PTH118
    for where, option, path in ways:
        try:
            scan = history.scan(["ts_ns"], **{option[2:]: path}, **window)
        except ValueError:
            continue  # no glob
        if _has_events(scan):
            command = invocation.command("history", option, path, *archive.where(args.directory), as_root=True)
            return f"{where}: {command}"
    return None


def _has_events(scan: rawtp.HistoryScan) -> bool:
    while True:
        try:
            if len(next(scan)):
                return True
        except StopIteration:
            return False
        except rawtp.RawtpError:
            continue  # a damaged file, which the answer names


def _documents(args: argparse.Namespace, answer: Answer) -> str:
    from rawtp.formats.jsonl import document, line

    window = {"since_ns": args.since, "until_ns": args.until}
    query = {"version": rawtp.__version__, "path": answer.path, **window, "limit": args.limit, "failed": args.all}
    told = {"watched_ns": answer.coverage, "files_shown": not answer.without_files, "limits": list(answer.limits)}
    keys = ("relation", "name", *rawtp.ALL_FIELDS, *rawtp.OPT_IN_FIELDS, "session", "host", *names.CONTAINER_NAMES)
    return "".join(
        [
            document("query", {**query, "directory": args.directory}),
            *(line({**dict.fromkeys(keys), **event}, keys) for event in answer.events),
            *(document("gap", gap) for gap in answer.gaps),
            *(document("loss", loss) for loss in answer.losses),
            document(
                "end",
                {"events": len(answer.events), "has_more": answer.has_more, **told, "damaged": len(answer.damaged)},
            ),
        ]
    )
