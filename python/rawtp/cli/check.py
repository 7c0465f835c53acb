"""``rawtp check``: what this host allows."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import rawtp
from rawtp.cli.parser import Parser
from rawtp.cli.stderr import show

if TYPE_CHECKING:
    from collections.abc import Sequence

_EPILOG = """\
Exits with 0 when nothing is blocked, else with 1. It needs no privilege, and shows what lacks it.

examples:
  rawtp check
      a line for each thing
  rawtp check --json
      for a program to read
"""


def add_parser() -> Parser:
    """Make the parser of ``check``, which is the first of the arguments."""
    parser = Parser(
        usage="%(prog)s check [--json]",
        description="Look at all that can stand in rawtp's way here: a line for each thing, and what to do about it.",
        epilog=_EPILOG,
    )
    parser.add_argument("command", choices=("check",), help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the lines")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Show what this host allows; the exit code: 0, 1 when something is blocked, 2 for wrong usage."""
    args = add_parser().parse_args(arguments)
    check = rawtp.check()
    return show((json.dumps(check.as_dict()) if args.json else str(check)) + "\n") or int(not check.ok)
