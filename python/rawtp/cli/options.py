"""The options of the command line, and what is a wrong value of one."""

from __future__ import annotations

from rawtp.cli import types
from rawtp.cli.invocation import command
from rawtp.cli.parser import Parser, did_you_mean

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import NoReturn

SUBCOMMANDS = ("broker", "check", "cost")
"""What the first argument may be; ``help`` and ``version`` are options by another name."""

_EXAMPLES = """\
examples:
  sudo rawtp
      every deletion on this host, live
  sudo rawtp -p 1234
      by one process
  sudo rawtp -- make clean
      by a command and its descendants, from its first call on; it runs as you, not as root
  sudo rawtp -u www-data -P /srv --outcome ok
      what a user has deleted below a directory
  sudo rawtp -d 2m -O deleted.jsonl
      the next two minutes, for a program to read
  sudo rawtp -s delete,rename | grep --line-buffered app.log
      who deletes app.log, or renames something over it?
  sudo rawtp -c 1 -o csv -f comm,path
      who deletes next?
  sudo rawtp cost
      what watching costs here; cost --help says more
  rawtp check
      what this host allows, and what to do about the rest
  sudo rawtp broker --socket /run/rawtp.sock --group adm
      for users without root; broker --help says more
"""

_COST_EXAMPLES = """\
examples:
  sudo rawtp cost
      rawtp as it is by default
  sudo rawtp cost --fields basic --no-results
      as cheap as it gets
  sudo rawtp cost --json > cost.json
      for a program to read
"""

_CHECK_EPILOG = """\
Exits with 0 when nothing is blocked, else with 1. It needs no privilege, and shows what lacks it.

examples:
  rawtp check
      a line for each thing
  rawtp check --json
      for a program to read
"""


def parser() -> Parser:
    """The parser: exits with 2 and names the value that is wrong."""
    from rawtp.cli import output as output_options

    made = Parser(
        usage="%(prog)s [OPTION]... [-- COMMAND [ARG]...]",
        description="Show which process deletes which file, live.",
        epilog=_EXAMPLES,
    )
    option = made.add_argument
    _add_syscalls(made)
    _add_filters(made)
    option("--as-root", action="store_true", help="under sudo, run the command as root, not as the user who called")
    option(
        "-d", "--duration", type=types.seconds, metavar="TIME", help="end after this: seconds, or such as 2m or 1h30m"
    )
    option("-c", "--count", type=types.positive, help="end after this many events")
    option("--fail-on-loss", action="store_true", help="exit with 3 when anything was lost")
    option(
        "--ring-bytes",
        type=types.size,
        default=4 << 20,
        metavar="SIZE",
        help="the kernel's buffer, in bytes or such as 16MiB; larger rides out longer bursts (default: 4MiB)",
    )
    option(
        "--queue-bytes",
        type=types.size,
        default=64 << 20,
        metavar="SIZE",
        help="how much to hold for a slow reader of the output (default: 64MiB)",
    )
    option("--broker", metavar="PATH", help="without root: by the broker that listens there (broker --help says more)")
    output_options.add(made)
    option("-V", "--version", action="store_true", help="show the version and exit")
    return made


def parse(made: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """The options; exits with 2 where there is a word that belongs to none, and says how it was meant."""
    from argparse import REMAINDER, SUPPRESS

    # From the first word that is no option's on, so that what follows it is not taken for options of ours.
    made.add_argument("words", nargs=REMAINDER, help=SUPPRESS)
    chosen, unknown = made.parse_known_args(arguments)
    if unknown:
        _refuse_options(made, [*unknown, *chosen.words])
    if chosen.words:
        _refuse_words(made, arguments[: len(arguments) - len(chosen.words)], chosen.words)
    return chosen


def _refuse_options(made: Parser, unknown: list[str]) -> NoReturn:
    near = did_you_mean(unknown[0].partition("=")[0], made.options()) if unknown[0].startswith("--") else None
    hint = f" (did you mean {near}?)" if near else ""
    made.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")


def _refuse_words(made: Parser, options: Sequence[str], words: list[str]) -> NoReturn:
    first = words[0]
    known = (*SUBCOMMANDS, "help", "version")
    if first in known:  # behind options
        made.error(f"{first} comes first: {command(*words)}")
    run = f"to watch a program, put -- before it: {command(*options, '--', *words, as_root=True)}"
    if near := did_you_mean(first, known):
        made.error(f"rawtp has no command {first!r}: did you mean {near}? Or, {run}")
    made.error(f"rawtp has no command {first!r}; {run}")


def cost_parser() -> Parser:
    """The parser of ``cost``, which is the first of the arguments."""
    made = Parser(
        description="Measure what system calls pay here while rawtp watches, beside what else can be attached.",
        epilog=_COST_EXAMPLES,
    )
    made.add_argument("command", choices=("cost",))
    option = made.add_argument
    option("--seconds", type=types.seconds, default=3.0, help="how long to measure, about (default: %(default)g)")
    option("--json", action="store_true", help="one JSON object in place of the table")
    _add_syscalls(made)
    option(
        "-f",
        "--fields",
        type=types.names,
        action="extend",
        metavar="KEYS",
        help="what is asked of an event, with commas between: all, basic, or keys (default: all)",
    )
    option("--no-results", action="store_true", help="without what the calls return")
    _add_filters(made)
    option(
        "--hook",
        choices=("auto", "raw_tp", "tracepoint"),
        default="auto",
        help="by which tracepoints (default: %(default)s)",
    )
    return made


def check_parser() -> Parser:
    """The parser of ``check``, which is the first of the arguments."""
    made = Parser(
        description="Look at all that can stand in rawtp's way here: a line for each thing, and what to do about it.",
        epilog=_CHECK_EPILOG,
    )
    made.add_argument("command", choices=("check",))
    made.add_argument("--json", action="store_true", help="one JSON object in place of the lines")
    return made


def _add_syscalls(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "-s",
        "--syscalls",
        type=types.names,
        action="extend",
        metavar="NAMES",
        help="what to watch, with commas between: delete, rename, truncate, or system calls (default: delete)",
    )


_FILTERS = ("pid", "follow", "uid", "comm", "cgroup", "path", "exclude_self", "outcome")


def _add_filters(made: argparse.ArgumentParser) -> None:
    option = made.add_argument_group("filters: all that are given must hold").add_argument
    option("-p", "--pid", type=types.pids, action="extend", metavar="PIDS", help="only these processes; commas between")
    option("--follow", action="store_true", help="with -p: their descendants too, if born from now on")
    option(
        "-u",
        "--user",
        type=types.users,
        action="extend",
        dest="uid",
        metavar="USERS",
        help="only these, by name or number",
    )
    option("--comm", action="append", metavar="NAME", help="only tasks of this name; 'NAME*': of this beginning")
    option(
        "--cgroup",
        type=types.cgroup,
        action="append",
        metavar="PATH",
        help="only in this cgroup, or below; an id will do",
    )
    option(
        "-P",
        "--path",
        type=types.path,
        action="append",
        help="only this path and all below, from here if it is relative; a glob such as '/srv/*.log' will do",
    )
    option("--exclude-self", action="store_true", help="not what rawtp itself deletes")
    option("--outcome", choices=("any", "ok", "failed"), help="only with this result (default: any)")


def filters(made: argparse.ArgumentParser, chosen: argparse.Namespace, *, is_run: bool = False) -> dict[str, object]:
    """The filters that were chosen, as :class:`rawtp.Tracer` takes them; ``is_run``: for a command of our own."""
    if is_run and (chosen.pid or chosen.follow):
        made.error("-p/--pid and --follow are not for a command: it is followed as it is")
    if chosen.follow and not chosen.pid:
        made.error("--follow needs -p/--pid: whose descendants are to be followed?")
    return {name: value for name in _FILTERS if (value := getattr(chosen, name))}
