"""What the subcommands that read a history have in common."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import rawtp
from rawtp import _root
from rawtp.cli import invocation, types
from rawtp.cli.errors import CommandError
from rawtp.cli.moments import moment, past
from rawtp.cli.stderr import reason
from rawtp.sinks.stdout import Standard
from rawtp.sinks.writer import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

DIRECTORY = "/var/lib/rawtp"

_READABLE_S, _POLL_S = 3.0, 0.05

# The keys whose text is made of the kernel's bytes: a column of their own has those that are no UTF-8.
_OF_BYTES = (
    *("comm", "parent_comm", "exe", "argv", "parent_argv", "cwd", "filename", "new_filename", "path", "new_path"),
    *("host_path", "real_path", "new_real_path", "user", "login"),
)


def add_directory(parser: argparse.ArgumentParser) -> None:
    """Add ``--directory``."""
    parser.add_argument(
        "--directory", default=DIRECTORY, metavar="DIR", help="where rawtp record records (default: %(default)s)"
    )


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add ``--root``."""
    parser.add_argument(
        "--root",
        type=types.root,
        metavar="DIR",
        help="where the root of the host that recorded is mounted, such as /host in a container (default: as its"
        " recorder had it, if it is there)",
    )


def check_root(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse a root that is not there."""
    try:
        if args.root is not None:
            types.check_root(args.root)
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument --root: {error}")


def add_window(parser: argparse.ArgumentParser) -> None:
    """Add ``--since``, ``--until`` and ``--utc``."""
    parser.add_argument(
        "--since", type=past, metavar="TIME", help="from then on: yesterday, 2h (ago), 02:30, 2026-11-26T02:30"
    )
    parser.add_argument("--until", type=moment, metavar="TIME", help="up to then")
    parser.add_argument("--utc", action="store_true", help="show times in UTC")


def check_window(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuse a window that ends before it begins."""
    if args.since is not None and args.until is not None and args.until < args.since:
        parser.error("--until is before --since")


def opened(directory: str, root: str | None = None) -> rawtp.History:
    """Open the history. ``root`` is where the root of the host that recorded is mounted.

    Raises:
        CommandError: it cannot be read; it says what to do.
    """
    try:
        return rawtp.History(directory, root=root)
    except FileNotFoundError:
        record = invocation.command("record", *where(directory), as_root=True)
        raise CommandError(f"{directory} has no history. To record one, run: {record}") from None
    except PermissionError:
        again = invocation.command(*sys.argv[1:], as_root=True)
        raise CommandError(f"{directory} can be read by root, and by its group: {again}") from None
    except (rawtp.RawtpError, OSError, ValueError) as error:
        raise CommandError(reason(error)) from None


@contextmanager
def reading() -> Iterator[None]:
    """Translate the errors of a history that cannot be read."""
    try:
        yield
    except (rawtp.RawtpError, OSError) as error:
        raise CommandError(reason(error)) from None


@contextmanager
def writing() -> Iterator[None]:
    """Take the leaving of the output's reader for an end like any other."""
    with suppress(BrokenPipeError):
        yield


def gaps_command(directory: str) -> str:
    """The command that shows all gaps and losses."""
    return invocation.command("history", "--gaps", *where(directory), as_root=True)


def wait_until_readable(history: rawtp.History, moment_ns: int) -> bool:
    """Wait until what happened before the moment can be read, as long as a recorder may take to write it; whether
    it can."""
    deadline = time.monotonic() + _READABLE_S
    while history.is_recording():
        coverage = history.coverage()
        if coverage and coverage[-1][1] >= moment_ns:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return False


def standard_output() -> Standard:
    """Standard output.

    Raises:
        CommandError: it is closed.
    """
    if sys.stdout is None:
        raise CommandError("standard output is closed")
    return Standard(sys.stdout, Patience())


def columns(keys: Sequence[str]) -> list[str]:
    """The columns that have the exact values of these keys."""
    exact = ((key, f"{key}_bytes") if key in _OF_BYTES else (key,) for key in keys)
    return list(dict.fromkeys(column for both in exact for column in both))


def within(coverage: Sequence[tuple[int, int]], since_ns: int, until_ns: int) -> list[tuple[int, int]]:
    """The stretches that were watched, as far as they are in the window."""
    return [
        (max(begin, since_ns), min(end, until_ns)) for begin, end in coverage if end > since_ns and begin < until_ns
    ]


def shows_files(session: Mapping[str, Any]) -> bool:
    """Whether a recording's kernel showed the files that calls were about."""
    try:
        return json.loads(session["info"])["coverage"]["truth"]["hook"] is not None
    except (ValueError, KeyError, TypeError):
        return True  # nothing says otherwise


def limits(session: Mapping[str, Any]) -> str:
    """What a recording's filters let through, in words; empty where they left out nothing that makes a file go."""
    try:
        info = json.loads(session["info"])
        found = {key: value for key, value in info.get("filters", {}).items() if value and value != "any"}
        found.pop("exclude_self", None)
        calls = info.get("syscalls")
        if isinstance(calls, list) and not {*rawtp.LOSS} <= {*calls}:
            found["syscalls"] = calls
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""  # nothing tells
    words = (
        f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}" for key, value in found.items()
    )
    return "; ".join(words)


def named(event: Mapping[str, Any], root: str) -> dict[str, Any]:
    """The event with the names of its users, as this host has them now, where they were not recorded. ``root`` is where
    the host's root is mounted."""
    is_own = event["host"] == os.uname().nodename
    named = {
        key: event.get(key) if event.get(key) is not None or not is_own else user_name(event[of], root)
        for key, of in (("user", "uid"), ("login", "auid"))
    }
    return {**event, **named}


@lru_cache(maxsize=1024)
def user_name(uid: object, root: str) -> str | None:
    """The name of a user, as this host has it now."""
    if not isinstance(uid, int):
        return None
    return _root.user_name(uid, root)


def where(directory: str) -> list[str]:
    """The option that names the directory, where it is not the default one."""
    return [] if directory == DIRECTORY else ["--directory", directory]
