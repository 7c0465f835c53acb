"""``rawtp``, with or without a command to run: shows how names and content go, as it happens."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

import rawtp
from rawtp.cli import invocation, names, options, output, stderr, types
from rawtp.cli.errors import CommandError
from rawtp.cli.invocation import SUBCOMMANDS
from rawtp.cli.parser import Parser, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_EXAMPLES = """\
examples:
  sudo rawtp
      every deletion, rename and truncation on this host, live
  sudo rawtp -p 1234
      by one process
  sudo rawtp -- make clean
      by a command and its descendants, from its first call on; it runs as you, not as root
  sudo rawtp run --report md --fail-if outside=. -- make clean
      and a report of that; run --help says more
  sudo rawtp -u www-data -P /srv --outcome ok
      what a user has deleted, renamed or emptied below a directory
  sudo rawtp -d 2m -O deleted.jsonl
      the next two minutes, for a program to read
  sudo rawtp | grep --line-buffered app.log
      who deletes or empties app.log, or renames something over it?
  sudo rawtp -s delete -c 1 -o csv -f comm,path
      who deletes next?
  sudo rawtp -s all -o strace -- ls /tmp
      every system call of a command, with its arguments
  sudo rawtp -q --alert /etc/rawtp/rules.toml
      only the alerts that these rules ask for
  sudo rawtp top
      who makes most go, as a table that follows it; top --help says more
  sudo rawtp record
      all of that into a history, always; record --help says more
  sudo rawtp who /srv/data/report.txt
      who deleted it last night? who and history read what was recorded
  sudo rawtp cost
      what watching costs here; cost --help says more
  sudo rawtp counts -d 10
      which system calls there are, how many fail, how long they take; counts --help says more
  rawtp check
      what this host allows, and what to do about the rest
  sudo rawtp broker --socket /run/rawtp.sock --group adm
      for users without root; broker --help says more
"""


def add_parser() -> Parser:
    """Make the parser: it exits with 2 and names the value that is wrong."""
    parser = Parser(
        usage="%(prog)s [OPTION]... [-- COMMAND [ARG]...]\n       %(prog)s run|record|who|history [OPTION]...\n"
        "       %(prog)s check|cost|counts|top [OPTION]...\n       %(prog)s ship|broker [OPTION]...\n"
        "       %(prog)s completions SHELL",
        description="Show who deletes or empties which file, live.",
        epilog=_EXAMPLES,
    )
    options.add_root(options.add_watched(parser))
    output.add_arguments(parser)
    group = parser.add_argument_group("when to end")
    group.add_argument(
        "-d", "--duration", type=types.seconds, metavar="TIME", help="end after this: seconds, or such as 2m or 1h30m"
    )
    group.add_argument("-c", "--count", type=types.positive, help="end after this many events")
    options.add_running(parser)
    parser.add_argument("-V", "--version", action="store_true", help="show the version and exit")
    return parser


def run(arguments: Sequence[str]) -> int:
    """Watch until the end is asked for; the exit code, as :func:`rawtp.cli.main` has it."""
    parser = add_parser()
    at = arguments.index("--") if "--" in arguments else len(arguments)
    args = parse(parser, arguments[:at])
    output.check(parser, args)
    words = list(arguments[at + 1 :])
    if at < len(arguments) and not any(words[:1]):
        parser.error("no command after --")
    filters = options.filters(parser, args, is_run=bool(words))
    wants_text = args.version or names.wants_help(args.fields)
    if sys.stdout is None and not (wants_text or args.output_file or args.quiet):
        raise CommandError("standard output is closed")
    if wants_text:
        return stderr.show(f"rawtp {rawtp.__version__}\n" if args.version else names.help_text())
    # Late: --help and --version do without it and what it imports, and take a seventh less time.
    from rawtp.cli import trace

    return trace.run(parser, args, filters, arguments, words)


def parse(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the options; exit with 2 at a word that belongs to none, and say what may have been meant."""
    # Take all from the first word that belongs to no option: options behind it may be those of a command.
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    args, unknown = parser.parse_known_args(arguments)
    if unknown:
        _refuse_options(parser, [*unknown, *args.words])
    if args.words:
        _refuse_words(parser, arguments[: len(arguments) - len(args.words)], args.words)
    return args


def _refuse_options(parser: Parser, unknown: list[str]) -> NoReturn:
    near = did_you_mean(unknown[0].partition("=")[0], parser.long_options()) if unknown[0].startswith("--") else None
    hint = f" (did you mean {near}?)" if near else ""
    parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")


def _refuse_words(parser: Parser, before: Sequence[str], words: list[str]) -> NoReturn:
    first = words[0]
    known = (*SUBCOMMANDS, "help", "version", "watch")
    if first in known:  # behind options
        parser.error(f"{first} comes first: {invocation.command(*words)}")
    run = f"to watch a program, put -- before it: {invocation.command(*before, '--', *words, as_root=True)}"
    if near := did_you_mean(first, known):
        parser.error(f"rawtp has no command {first!r}: did you mean {near}? Or, {run}")
    parser.error(f"rawtp has no command {first!r}; {run}")
