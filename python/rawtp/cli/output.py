"""The options of the output, and the pipeline that they ask for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rawtp import _session
from rawtp.cli import names, types
from rawtp.cli.pipeline import Pipeline
from rawtp.cli.stderr import message
from rawtp.formats.ansi import Colours, no_color
from rawtp.formats.timestamp import Clock
from rawtp.sinks.base import Sink
from rawtp.sinks.file import File
from rawtp.sinks.stdout import Standard
from rawtp.sinks.text import TextSink

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from rawtp.formats.base import Format
    from rawtp.sinks.writer import Patience

_SCHEMAS = ("ocsf", "ecs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to the parser."""
    parser.add_argument(
        "-o",
        "--output",
        choices=("columns", "jsonl", "csv", *_SCHEMAS),
        metavar="FORMAT",
        help="columns, a table for people; or, for programs, jsonl, csv, ocsf or ecs"
        " (default: columns on a terminal, jsonl otherwise)",
    )
    parser.add_argument(
        "-f",
        "--fields",
        type=types.names,
        action="extend",
        metavar="KEYS",
        help="what is shown of an event, with commas between: all, basic, or keys; help lists them",
    )
    parser.add_argument(
        "-T", "--time", action="store_true", help="with the time of day; columns without --fields always have it"
    )
    parser.add_argument("--utc", action="store_true", help="with the time of day, in UTC")
    parser.add_argument(
        "-O", "--output-file", metavar="FILE", help="append to this file, or to the new one once it is moved or removed"
    )
    parser.add_argument(
        "--summary", action="store_true", help="at the end, who deleted how much, and where, on standard error"
    )
    parser.add_argument(
        "--stats", type=types.seconds, metavar="TIME", help="the ledger every so often, on standard error"
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="nothing on the terminal but errors and what --summary says"
    )
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        metavar="WHEN",
        help="colour failures and losses in columns: auto, always or never"
        " (default: auto, on a terminal where NO_COLOR is not set)",
    )


def check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse what makes no sense together; ``-O -`` is standard output, as without it."""
    if args.output_file == "-":
        args.output_file = None
    for option, given in (("-f/--fields", args.fields), ("-T/--time", args.time), ("--utc", args.utc)):
        if given and args.output in _SCHEMAS:
            parser.error(f"argument {option}: not with -o {args.output}, whose schema says what is in an event")


def pipeline(args: argparse.Namespace, patience: Patience) -> Pipeline:
    """Make what the options ask for. OSError: the file cannot be written."""
    output: Standard | File | None = None
    if args.output_file is not None:
        output = File(args.output_file)
    elif not args.quiet:
        output = Standard(sys.stdout, patience)
    on_terminal = output is not None and output.is_terminal
    kind = args.output or ("columns" if on_terminal else "jsonl")
    screen = output.width if isinstance(output, Standard) and output.is_terminal else None
    if output is None:
        sink = Sink()
        sink.fields = tuple(names.fields(args.fields)) if args.fields else ()  # for the tracer to refuse what is none
    else:
        colours = Colours(use=args.color == "always" or (args.color == "auto" and on_terminal and not no_color()))
        fmt = _format(args, kind, screen, colours)
        encoding = None if kind == "columns" else "utf-8"
        sink = TextSink(fmt, output, encoding=encoding, on_reopen=None if args.quiet else _tell_reopened)
    # Where the table shows a loss in its place, the same line again would only tear it.
    seen = kind == "columns" and screen is not None and sys.stderr is not None and sys.stderr.isatty()
    summary = None
    if args.summary:
        from rawtp.summary import Summary

        summary = Summary()
    return Pipeline(sink, output, summary=summary, stats_s=args.stats, tells_loss=not args.quiet and not seen)


def _format(args: argparse.Namespace, kind: str, screen: Callable[[], int] | None, colours: Colours) -> Format:
    keys = names.fields(args.fields or ["all"])
    clock = Clock(utc=args.utc) if args.time or args.utc else None
    if kind == "columns" and args.fields:
        from rawtp.formats.table import Table

        return Table(keys, clock, screen, colours)
    if kind == "columns":
        from rawtp.formats.columns import Columns

        return Columns(clock, screen, colours)
    if kind == "jsonl":
        from rawtp.formats.jsonl import JsonLines

        return JsonLines(keys, clock)
    if kind == "csv":
        from rawtp.formats.csv import Csv

        return Csv(keys, clock)
    if kind == "ocsf":
        from rawtp.formats.ocsf import Ocsf

        return Ocsf(_session.host())
    from rawtp.formats.ecs import Ecs

    return Ecs(_session.host())


def _tell_reopened(path: str) -> None:
    message(f"{path} was opened anew: the file of that name was another one, or gone")
