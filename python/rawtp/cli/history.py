"""``rawtp history``: what was recorded, in any format, counted, or as a list of what is missing."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

import rawtp
from rawtp.cli import archive, names, query, types
from rawtp.cli.errors import CANNOT_RUN, OK
from rawtp.cli.output import add_fields
from rawtp.cli.parser import Parser
from rawtp.cli.stderr import message, write_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from rawtp.cli.query import Query
    from rawtp.formats.base import Format
    from rawtp.sinks.stdout import Standard

_ARROW_FORMATS = ("arrow", "parquet")
_OWN_KEYS = ("session", "host")
_ALWAYS = ("cpu", "seq", "lost", "via")

_EXAMPLES = """\
It reads what rawtp record has recorded, the earliest first.

examples:
  sudo rawtp history --since yesterday --under /srv
      what went below a directory
  sudo rawtp history --since 2h --user www-data --outcome failed
      what a user tried in vain
  sudo rawtp history --top 10 --since 7d
      which processes, users and directories had the most
  sudo rawtp history --gaps
      when nothing was watched, and what was lost
  sudo rawtp history -o csv -f ts_ns,comm,real_path
      for a program to read
  sudo rawtp history --stats
      how much there is, and since when
"""


def add_parser() -> Parser:
    """Make the parser of ``history``, which is the first of the arguments."""
    parser = Parser(
        usage="%(prog)s history [OPTION]...",
        description="Show what rawtp record has recorded.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("command", choices=("history",), help=argparse.SUPPRESS)
    archive.add_window(parser)
    parser.add_argument("--limit", type=types.positive, metavar="N", help="end after so many events")
    parser.add_argument("-r", "--newest-first", action="store_true", help="begin with the latest")
    archive.add_directory(parser)
    archive.add_root(parser)
    query.add_filters(parser)
    parser.add_argument(
        "-o",
        "--output",
        choices=("columns", "jsonl", "csv", *_ARROW_FORMATS),
        metavar="FORMAT",
        help="columns, a table for people; or, for programs, jsonl, csv, arrow (an IPC stream) or parquet"
        " (default: columns on a terminal, jsonl otherwise)",
    )
    add_fields(parser)
    group = parser.add_argument_group("in place of the events").add_mutually_exclusive_group()
    group.add_argument("--top", type=types.positive, metavar="N", help="the processes, users and directories with most")
    group.add_argument("--gaps", action="store_true", help="when nothing was watched, and what was lost")
    group.add_argument("--sessions", action="store_true", help="the recordings: from when to when, on which kernel")
    group.add_argument("--stats", action="store_true", help="how much there is, and since when")
    group.add_argument("--verify", action="store_true", help="read everything, and name the files that are damaged")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Show it; the exit code: 0, 1 when the history cannot be read or a file of it is damaged, 2 for wrong usage."""
    parser = add_parser()
    args = parser.parse_args(arguments)
    archive.check_window(parser, args)
    archive.check_root(parser, args)
    output = archive.standard_output()
    kind = args.output or ("columns" if output.is_terminal else "jsonl")
    if names.wants_help(args.fields):
        from rawtp.cli.stderr import show

        return show(names.help_text())
    is_of_events = not (args.gaps or args.sessions or args.stats or args.top or args.verify)
    if kind in {"csv", *_ARROW_FORMATS} and not is_of_events:
        parser.error(f"argument -o/--output: {kind} is for events")
    if kind in _ARROW_FORMATS and output.is_terminal:
        parser.error(f"argument -o/--output: {kind} is not for a terminal")
    try:
        args.fields = args.fields and names.recorded(
            args.fields, (*_OWN_KEYS, *(("ts",) if kind in _ARROW_FORMATS else names.CONTAINER_NAMES))
        )
    except ValueError as error:
        parser.error(f"argument -f/--fields: {error}")
    history = archive.opened(args.directory, args.root)
    with archive.reading(), archive.writing():
        if args.verify:
            return _verify(history, output)
        if args.stats or args.sessions or args.gaps:
            output.write(_described(history, args, kind), None if kind == "columns" else "utf-8")
            return OK
        asked = query.Query(parser, args, history)
        if args.top:
            return _top(asked, args, kind, output)
        if kind in _ARROW_FORMATS:
            from rawtp.cli import arrow

            return arrow.write(asked, args, kind)
        return _rows(asked, args, kind, output)
    return OK


def _rows(query: Query, args: argparse.Namespace, kind: str, output: Standard) -> int:
    fmt, encoding = _format(args, kind, output)
    add_days = _day_lines(args, query.history.root) if kind == "columns" and not args.fields else None
    found = query.named((*fmt.fields, *_ALWAYS, *(("host",) if add_days else ())))
    asked = {"since_ns": args.since, "until_ns": args.until, "directory": args.directory}
    if kind == "jsonl":
        from rawtp.formats.jsonl import document

        output.write(document("query", {"version": rawtp.__version__, **asked}), encoding)
    else:
        output.write(fmt.begin({}), encoding)
    count = 0
    for events in found:
        count += len(events)
        text = fmt.events(events) if add_days is None else add_days(events, fmt)  # type: ignore[arg-type]
        output.write(text, encoding)
    _missing(query, args, kind, output, count)
    return CANNOT_RUN if query.damaged else OK


def _format(args: argparse.Namespace, kind: str, output: Standard) -> tuple[Format, str | None]:
    from rawtp.formats.timestamp import Clock

    if kind == "columns":
        screen = output.width if output.is_terminal else None
        if args.fields:
            from rawtp.formats.table import Table

            return Table(args.fields, None, screen), None
        from rawtp.formats.columns import Columns

        return Columns(Clock(utc=args.utc), screen), None
    keys = args.fields or [*rawtp.ALL_FIELDS, "ancestors", *_OWN_KEYS, *names.CONTAINER_NAMES]
    clock = Clock(utc=True) if args.utc else None
    if kind == "jsonl":
        from rawtp.formats.jsonl import JsonLines

        return JsonLines(keys, clock), "utf-8"
    from rawtp.formats.csv import Csv

    return Csv(keys, clock), "utf-8"


def _day_lines(args: argparse.Namespace, root: str) -> Callable[[list[dict[str, Any]], Format], str]:
    """A function that writes events as rows, with names of users, and a line where another day begins. ``root``: where
    the host's root is mounted."""
    from rawtp.formats.timestamp import Clock

    clock = Clock(utc=args.utc)
    own_host = os.uname().nodename
    shown = ""

    def rows(events: list[dict[str, Any]], fmt: Format) -> str:
        nonlocal shown
        lines = []
        for event in events:
            if (day := clock.date(event["ts_ns"])) != shown:
                shown = day
                lines.append(f"{day}\n")
            if event["user"] is None and event["host"] == own_host:
                event["user"] = archive.user_name(event["uid"], root)
            lines.append(fmt.event(event))  # type: ignore[arg-type]
        return "".join(lines)

    return rows


def _missing(query: Query, args: argparse.Namespace, kind: str, output: Standard, count: int) -> None:
    """Tell what cannot be among the events."""
    gaps = query.history.gaps(args.since, args.until)
    losses = query.history.losses(args.since, args.until)
    if kind == "jsonl":
        from rawtp.formats.jsonl import document

        lines = [*(document("gap", one) for one in gaps), *(document("loss", one) for one in losses)]
        output.write("".join([*lines, document("end", {"events": count, "damaged": query.damaged})]), "utf-8")
        return
    from rawtp.formats import ledger, story
    from rawtp.formats.timestamp import Clock

    message(ledger.events(count))
    for line in story.blind_spots(gaps, losses, Clock(utc=args.utc), archive.gaps_command(args.directory)):
        write_error(line)


def _top(query: Query, args: argparse.Namespace, kind: str, output: Standard) -> int:
    from rawtp.summary.top import Top

    top, root = Top(), query.history.root
    for events in query.events(Top.fields):
        top.add(events)
    if kind == "columns":
        from rawtp.formats.escape import quoted_name

        lines = []
        for of, rows in top.rows(args.top).items():
            lines.append(f"by {of}:" if of != "directory" else "deleted, by directory:")
            for name, count in rows:
                shown = quoted_name(str(archive.user_name(name, root) or name)) if name is not None else "(others)"
                lines.append(f"  {count:>9}  {shown}")
        output.write("".join(f"{line}\n" for line in lines))
    else:
        from rawtp.formats.jsonl import document

        for of, rows in top.rows(args.top).items():
            found = (document("top", {"by": of, "name": name, "events": count}) for name, count in rows)
            output.write("".join(found), "utf-8")
    return CANNOT_RUN if query.damaged else OK


def _described(history: rawtp.History, args: argparse.Namespace, kind: str) -> str:
    """What ``--gaps``, ``--sessions`` and ``--stats`` show."""
    from rawtp.formats import story
    from rawtp.formats.jsonl import document
    from rawtp.formats.timestamp import Clock

    clock = Clock(utc=args.utc)
    if args.gaps:
        gaps, losses = history.gaps(args.since, args.until), history.losses(args.since, args.until)
        if kind != "columns":
            return "".join([*(document("gap", one) for one in gaps), *(document("loss", one) for one in losses)])
        lines = story.blind_spots(gaps, losses, clock)
        return "".join(f"{line}\n" for line in lines or ["watched without a gap, and nothing was lost"])
    if args.sessions:
        if kind != "columns":
            return "".join(document("session", one) for one in history.sessions())
        return "".join(f"{story.session(one, clock)}\n" for one in history.sessions())
    stats = {**history.stats(), "is_recording": history.is_recording()}
    if kind != "columns":
        return document("stats", {"version": rawtp.__version__, **stats, "watched_ns": history.coverage()})
    return "".join(f"{line}\n" for line in story.stats(stats, history.coverage(), clock))


def _verify(history: rawtp.History, output: Standard) -> int:
    from rawtp.formats.escape import quoted_name
    from rawtp.formats.ledger import counted

    damaged = history.verify()
    quarantined = history.stats()["quarantined"]
    lines = [f"damaged: {quoted_name(name)}" for name in damaged]
    if quarantined:
        lines.append(f"damaged before, and in quarantine: {counted(quarantined, 'file')}; --gaps says of which time")
    output.write("".join(f"{line}\n" for line in lines or ["nothing is damaged"]))
    return CANNOT_RUN if damaged else OK
