"""``rawtp cost``: what watching costs on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

import rawtp
from rawtp.cli import names, options, types
from rawtp.cli.errors import CommandError, refusal
from rawtp.cli.parser import Parser
from rawtp.cli.stderr import reason, show, with_warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXAMPLES = """\
examples:
  sudo rawtp cost
      rawtp as it is by default
  sudo rawtp cost --fields basic --no-results
      as cheap as it gets
  sudo rawtp cost --json > cost.json
      for a program to read
"""


def add_parser() -> Parser:
    """Make the parser of ``cost``, which is the first of the arguments."""
    parser = Parser(
        usage="%(prog)s cost [OPTION]...",
        description="Measure what system calls pay here while rawtp watches, beside what else can be attached.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("command", choices=("cost",), help=argparse.SUPPRESS)
    parser.add_argument(
        "--seconds", type=types.seconds, default=3.0, help="how long to measure, about (default: %(default)g)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    options.add_syscalls(parser)
    parser.add_argument(
        "-f",
        "--fields",
        type=types.names,
        action="extend",
        metavar="KEYS",
        help="what is asked of an event, with commas between: all, basic, or keys (default: all)",
    )
    parser.add_argument("--no-results", action="store_true", help="without what the calls return")
    options.add_filters(parser)
    options.add_hook(parser)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Measure and show it; the exit code: 0, 1 when it cannot be measured, 2 for wrong usage."""
    parser = add_parser()
    args = parser.parse_args(arguments)
    filters: Any = options.filters(parser, args)
    if sys.stdout is None:
        raise CommandError("standard output is closed")
    if names.wants_help(args.fields):
        return show(names.help_text())
    try:
        cost = with_warnings(
            lambda: rawtp.cost(
                args.seconds,
                syscalls=names.syscalls(args.syscalls or ["loss"]),
                results=not args.no_results,
                fields=names.fields(args.fields or ["all"]),
                hook=args.hook,
                **filters,
            )
        )
    except (rawtp.RawtpError, OSError) as error:
        raise refusal(error, arguments) from None
    except ValueError as error:
        parser.error(reason(error))
    except KeyboardInterrupt:
        raise CommandError("interrupted: there are no figures yet") from None
    return show((json.dumps(cost.as_dict()) if args.json else str(cost)) + "\n")
