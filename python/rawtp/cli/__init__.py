"""The command line: ``rawtp``, or ``python -m rawtp``.

Each subcommand is a module of this package, with ``add_parser`` and ``run``. Without one it is :mod:`rawtp.cli.watch`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from rawtp.cli.errors import OK, WRONG_USAGE, CommandError, report
from rawtp.cli.invocation import SUBCOMMANDS
from rawtp.cli.stderr import flush_or_discard, reason

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line with ``argv``, or with the process's own arguments, and return the exit code.

    0: it ran, and was ended by Ctrl-C, SIGTERM, ``-d``, ``-c`` or a closed pipe. 1: it cannot run, or not go on.
    2: wrong usage. 3: something was lost, and ``--fail-on-loss`` was given. 5: a condition of ``rawtp run --fail-if``
    holds. With a command, its own code comes before 0 and 3; 126 and 127: it cannot be run. SIGINT and SIGTERM stay
    taken over when it returns, so that a second Ctrl-C finds no moment at which it is an exception.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        code = _dispatch(arguments)
    except SystemExit as end:  # how argparse answers --help and refuses an argument
        code = end.code if isinstance(end.code, int) else OK
    except CommandError as error:
        code = report(error)
    except KeyboardInterrupt:
        code = report(CommandError("interrupted"))
    except OSError as error:
        code = report(CommandError(reason(error)))
    for stream in (sys.stdout, sys.stderr):
        flush_or_discard(stream)
    return code


def _dispatch(arguments: list[str]) -> int:
    first, *rest = arguments or [""]
    if first == "watch":
        arguments, first = rest, ""
    elif first == "help":
        rest = [word for word in rest if word and rest != ["watch"]]
        if rest[1:] or not {*rest} <= {*SUBCOMMANDS}:
            known = ", ".join(SUBCOMMANDS)
            raise CommandError(f"there is no help on {' '.join(rest)!r}, only on {known}", code=WRONG_USAGE)
        arguments = [*rest, "--help"]
        first = arguments[0]
    elif first == "version":
        arguments = ["--version", *rest]
    command = import_module(f"rawtp.cli.{first if first in SUBCOMMANDS else 'watch'}")
    code: int = command.run(arguments)
    return code
