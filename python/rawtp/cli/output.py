"""The options of the output. :func:`rawtp.cli.pipeline.from_options` makes what they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawtp._core import OPT_IN_FIELDS
from rawtp.cli import types

if TYPE_CHECKING:
    import argparse

_SCHEMAS = ("ocsf", "ecs")


def add_fields(parser: argparse._ActionsContainer) -> None:
    """Add ``--fields``."""
    parser.add_argument(
        "-f",
        "--fields",
        type=types.names,
        action="extend",
        metavar="KEYS",
        help="what is shown of an event, with commas between: all, basic, or keys; help lists them",
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to the parser, as a group."""
    group = parser.add_argument_group("what is shown")
    group.add_argument(
        "-o",
        "--output",
        choices=("columns", "strace", "jsonl", "csv", *_SCHEMAS),
        metavar="FORMAT",
        help="columns, a table for people; strace, calls as strace(1) shows them; or, for programs, jsonl, csv, ocsf"
        " or ecs"
        " (default: columns on a terminal, jsonl otherwise)",
    )
    add_fields(group)
    group.add_argument(
        "-T", "--time", action="store_true", help="with the time of day; columns without --fields always have it"
    )
    group.add_argument("--utc", action="store_true", help="with the time of day, in UTC")
    group.add_argument(
        "-O", "--output-file", metavar="FILE", help="append to this file, or to the new one once it is moved or removed"
    )
    group.add_argument(
        "--summary", action="store_true", help="at the end, who deleted how much, and where, on standard error"
    )
    group.add_argument(
        "--calls", action="store_true", help="at the end, how often each system call was made, on standard error"
    )
    group.add_argument(
        "--stats", type=types.seconds, metavar="TIME", help="the ledger every so often, on standard error"
    )
    group.add_argument(
        "-q", "--quiet", action="store_true", help="nothing on the terminal but errors and what --summary says"
    )
    group.add_argument(
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
    if args.output == "strace" and args.fields:
        parser.error("argument -f/--fields: not with -o strace, which shows the call and its arguments")
    if args.output in _SCHEMAS and not set(args.fields or ()) <= {*OPT_IN_FIELDS}:
        parser.error(
            f"argument -f/--fields: with -o {args.output}, whose schema says what is in an event, only"
            f" {', '.join(OPT_IN_FIELDS)}"
        )
    for option, given in (("-T/--time", args.time), ("--utc", args.utc)):
        if given and args.output in _SCHEMAS:
            parser.error(f"argument {option}: not with -o {args.output}, whose schema says what is in an event")
