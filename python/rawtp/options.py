"""The options of the command line, and what is a wrong value of one."""

from __future__ import annotations

import argparse
import math
import os
import sys
from functools import partial

_EXAMPLES = """\
examples:
  sudo python -m rawtp
      every deletion on this host, live
  sudo python -m rawtp -p 1234
      by one process
  sudo python -m rawtp -- make clean
      by a command and its descendants, from its first call on; it runs as you, not as root
  sudo python -m rawtp -u www-data -P /srv --outcome ok
      what a user has deleted below a directory
  sudo python -m rawtp -d 60 -O deleted.jsonl
      the next minute, for a program to read
  sudo python -m rawtp -s delete,rename | grep --line-buffered app.log
      who deletes app.log, or renames something over it?
  sudo python -m rawtp -c 1 | jq -r 'select(.type == "event").comm'
      who deletes next?
  sudo python -m rawtp cost
      what watching costs here; cost --help says more
  python -m rawtp check
      what this host allows, and what to do about the rest
  sudo python -m rawtp broker --socket /run/rawtp.sock --group rawtp
      for users without root; broker --help says more
"""

_COST_EXAMPLES = """\
examples:
  sudo python -m rawtp cost
      rawtp as it is by default
  sudo python -m rawtp cost --fields basic --no-results
      as cheap as it gets
  sudo python -m rawtp cost --json > cost.json
      for a program to read
"""


def parser() -> argparse.ArgumentParser:
    """The parser: exits with 2 and names the value that is wrong."""
    from rawtp import output_options  # which takes its types of arguments from here

    made = argparse.ArgumentParser(
        prog="rawtp",
        usage="%(prog)s [OPTION]... [-- COMMAND [ARG]...]",
        description="Show which process deletes which file, live.",
        epilog=_EXAMPLES,
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=_width()),
        allow_abbrev=False,
    )
    option = made.add_argument
    _add_syscalls(made)
    _add_filters(made)
    option("--as-root", action="store_true", help="under sudo, run the command as root, not as the user who called")
    option("-d", "--duration", type=_seconds, metavar="SECONDS", help="end after this time")
    option("-c", "--count", type=_positive, help="end after this many events")
    option("--fail-on-loss", action="store_true", help="exit with 3 when anything was lost")
    option(
        "--ring-bytes",
        type=_positive,
        default=4 << 20,
        metavar="BYTES",
        help="the kernel's buffer; larger rides out longer bursts (default: %(default)s)",
    )
    option(
        "--queue-bytes",
        type=_positive,
        default=64 << 20,
        metavar="BYTES",
        help="how much to hold for a slow reader of the output (default: %(default)s)",
    )
    option("--broker", metavar="PATH", help="without root: by the broker that listens there (broker --help says more)")
    output_options.add(made)
    option("-V", "--version", action="store_true", help="show the version and exit")
    return made


def _width() -> int:
    """What argparse would ask shutil for, which brings zlib, bz2 and lzma along."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns) - 2
    try:
        return (os.get_terminal_size(1).columns or 80) - 2
    except OSError:  # no terminal
        return 78


def cost_parser() -> argparse.ArgumentParser:
    """The parser of ``cost``, which is the first of the arguments."""
    made = argparse.ArgumentParser(
        prog="rawtp",
        description="Measure what system calls pay here while rawtp watches, beside what else can be attached.",
        epilog=_COST_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument("command", choices=("cost",))
    option = made.add_argument
    option("--seconds", type=_seconds, default=3.0, help="how long to measure, about (default: %(default)g)")
    option("--json", action="store_true", help="one JSON object in place of the table")
    _add_syscalls(made)
    option(
        "-f",
        "--fields",
        type=_names,
        default="all",
        metavar="KEYS",
        help="what is asked of an event, with commas between: all, basic, or keys (default: %(default)s)",
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


def check_parser() -> argparse.ArgumentParser:
    """The parser of ``check``, which is the first of the arguments."""
    made = argparse.ArgumentParser(
        prog="rawtp",
        description="Look at all that can stand in rawtp's way here: a line for each thing, and what to do about it.",
        epilog="Exits with 0 when nothing is blocked, else with 1. It needs no privilege, and shows what lacks it.",
        allow_abbrev=False,
    )
    made.add_argument("command", choices=("check",))
    made.add_argument("--json", action="store_true", help="one JSON object in place of the lines")
    return made


def _add_syscalls(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "-s",
        "--syscalls",
        type=_names,
        default="delete",
        metavar="NAMES",
        help="what to watch, with commas between: delete, rename, truncate, or system calls (default: %(default)s)",
    )


_FILTERS = ("pid", "follow", "uid", "comm", "cgroup", "path", "exclude_self", "outcome")


def _add_filters(made: argparse.ArgumentParser) -> None:
    option = made.add_argument_group("filters: all that are given must hold").add_argument
    option("-p", "--pid", type=_pids, action="extend", metavar="PIDS", help="only these processes; commas between")
    option("--follow", action="store_true", help="with -p: their descendants too, if born from now on")
    option(
        "-u", "--user", type=_users, action="extend", dest="uid", metavar="USERS", help="only these, by name or number"
    )
    option("--comm", action="append", metavar="NAME", help="only tasks of this name; 'NAME*': of this beginning")
    option(
        "--cgroup", type=_cgroup, action="append", metavar="PATH", help="only in this cgroup, or below; an id will do"
    )
    option(
        "-P",
        "--path",
        type=_path,
        action="append",
        help="only this path and all below; a glob such as '/srv/*.log' will do",
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


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name in it")
    return names


def _positive(text: str) -> int:
    return _whole(text, sys.maxsize, "a whole number from 1 up")


def _pids(text: str) -> list[int]:
    return [_whole(part, 2**31 - 1, "a process id") for part in text.split(",")]


def _users(text: str) -> list[int]:
    return [_user(part.strip()) for part in text.split(",")]


def _user(text: str) -> int:
    if text.isascii() and text.isdecimal():
        return int(text)
    from pwd import getpwnam

    try:
        return getpwnam(text).pw_uid
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError(f"there is no user {text!r}") from None


def _cgroup(text: str) -> str | int:
    return int(text) if text.isascii() and text.isdecimal() else text


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r} must be absolute")
    return text


def _whole(text: str, largest: int, kind: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= largest:
        raise argparse.ArgumentTypeError(f"{text!r} is not {kind}")
    return number


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
