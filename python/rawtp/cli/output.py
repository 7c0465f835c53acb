"""The options of what is shown, where, and how; and what they mean together."""

from __future__ import annotations

import os
import sys

from rawtp.cli import types

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    import argparse

    from rawtp.cli.pipeline import Printer
    from rawtp.formats.base import Format
    from rawtp.sinks.writer import Patience

_SCHEMAS = ("ocsf", "ecs")


def add(made: argparse.ArgumentParser) -> None:
    """Add them to the parser."""
    option = made.add_argument
    option(
        "-o",
        "--output",
        choices=("columns", "jsonl", "csv", *_SCHEMAS),
        metavar="FORMAT",
        help="columns, a table for people; or, for programs, jsonl, csv, ocsf or ecs"
        " (default: columns on a terminal, jsonl otherwise)",
    )
    option(
        "-f",
        "--fields",
        type=types.names,
        action="extend",
        metavar="KEYS",
        help="what is shown of an event, with commas between: all, basic, or keys; help lists them",
    )
    option("-T", "--time", action="store_true", help="with the time of day; columns without --fields always have it")
    option("--utc", action="store_true", help="with the time of day, in UTC")
    option(
        "-O", "--output-file", metavar="FILE", help="append to this file, or to the new one once it is moved or removed"
    )
    option("--summary", action="store_true", help="at the end, who deleted how much, and where, on standard error")
    option("--stats", type=types.seconds, metavar="TIME", help="the ledger every so often, on standard error")
    option("-q", "--quiet", action="store_true", help="nothing on the terminal but errors and what --summary says")
    option(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        metavar="WHEN",
        help="colour failures and losses in columns: auto, always or never"
        " (default: auto, on a terminal where NO_COLOR is not set)",
    )


def check(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> None:
    """Refuse what makes no sense together; ``-O -`` is standard output, as without it."""
    if chosen.output_file == "-":
        chosen.output_file = None
    for option, given in (("-f/--fields", chosen.fields), ("-T/--time", chosen.time), ("--utc", chosen.utc)):
        if given and chosen.output in _SCHEMAS:
            parser.error(f"argument {option}: not with -o {chosen.output}, whose schema says what is in an event")


def printer(chosen: argparse.Namespace, patience: Patience) -> Printer:
    """What the options ask for. OSError: the file cannot be written."""
    from rawtp import _session as session
    from rawtp.cli import names as keys
    from rawtp.cli.pipeline import Printer
    from rawtp.formats.ansi import Colours
    from rawtp.formats.base import Format
    from rawtp.formats.timestamp import Clock
    from rawtp.sinks.stdout import File, Standard

    output: Standard | File | None = None
    if chosen.output_file is not None:
        output = File(chosen.output_file)
    elif not chosen.quiet:
        output = Standard(sys.stdout, patience)
    on_terminal = output is not None and output.is_terminal
    kind = chosen.output or ("columns" if on_terminal else "jsonl")
    names = keys.chosen(chosen.fields or ["all"])
    clock = Clock(utc=chosen.utc) if chosen.time or chosen.utc else None
    screen = output.width if isinstance(output, Standard) and output.is_terminal else None
    colours = Colours(use=chosen.color == "always" or (chosen.color == "auto" and on_terminal and not no_color()))
    shown: Format
    if output is None:
        shown = Format()
        shown.fields = tuple(names) if chosen.fields else ()  # for the tracer to refuse what is none
    elif kind == "columns" and chosen.fields:
        from rawtp.formats.table import Table

        shown = Table(names, clock, screen, colours)
    elif kind == "columns":
        from rawtp.formats.columns import Columns

        shown = Columns(clock, screen, colours)
    elif kind == "jsonl":
        from rawtp.formats.jsonl import JsonLines

        shown = JsonLines(names, clock)
    elif kind == "csv":
        from rawtp.formats.csv import Csv

        shown = Csv(names, clock)
    elif kind == "ocsf":
        from rawtp.formats.ocsf import Ocsf

        shown = Ocsf(session.host())
    else:
        from rawtp.formats.ecs import Ecs

        shown = Ecs(session.host())
    # Where the table shows a loss in its place, the same line again would only tear it.
    seen = kind == "columns" and screen is not None and sys.stderr is not None and sys.stderr.isatty()
    summary = None
    if chosen.summary:
        from rawtp.summary import Summary

        summary = Summary()
    return Printer(
        shown,
        output,
        encoding=None if kind == "columns" else "utf-8",
        summary=summary,
        stats_s=chosen.stats,
        tells_loss=not chosen.quiet and not seen,
        tells_file=not chosen.quiet,
    )


def no_color() -> bool:
    """Whether colours are refused for all programs."""
    # By the convention, whatever it is set to, but empty.
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
