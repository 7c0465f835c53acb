"""The filters of ``rawtp history``, and the events that they let through."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import rawtp
from rawtp._containers import table
from rawtp.cli import archive, names, types
from rawtp.cli.stderr import message, reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_AT_ONCE = 2048


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the filters, as a group."""
    group = parser.add_argument_group("filters: all that are given must hold; of several values of one, any")
    group.add_argument("-p", "--pid", type=types.pids, action="extend", metavar="PIDS", help="these processes")
    group.add_argument(
        "-u",
        "--user",
        type=types.users_or_names,
        action="extend",
        dest="uid",
        metavar="USERS",
        help="by name or number",
    )
    group.add_argument("--comm", action="append", metavar="NAME", help="tasks of this name; 'NAME*': of this beginning")
    group.add_argument("--container", action="append", metavar="ID", help="containers, by their ids or the beginning")
    group.add_argument("--under", metavar="DIR", help="this directory and all below")
    group.add_argument(
        "--glob", type=types.path, metavar="PATTERN", help="paths that this matches, such as '/srv/**/*.log'"
    )
    group.add_argument(
        "-s",
        "--syscalls",
        type=types.names,
        action="extend",
        metavar="NAMES",
        help="delete, rename, truncate, loss, or system calls",
    )
    group.add_argument(
        "--action",
        type=types.names,
        action="extend",
        metavar="NAMES",
        help="delete, rmdir, rename, truncate, punch, zero or collapse",
    )
    group.add_argument("--outcome", choices=("any", "ok", "failed"), default="any", help="by the result")


class Query:
    """The events that the options ask for, read as they are asked for. Damaged files are told, and counted."""

    def __init__(self, parser: argparse.ArgumentParser, args: argparse.Namespace, history: rawtp.History) -> None:
        self.history = history
        self.damaged = 0
        self._parser = parser
        if args.glob is not None and args.under is not None:
            parser.error("argument --glob: not with --under; the pattern says where it looks")
        root = history.root
        option = "-u/--user"
        try:
            uids = args.uid and [types.user(one, root) for one in args.uid]
            option = "--glob"
            glob = args.glob if args.glob is None or root == "/" else types.on_host(args.glob, root)
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument {option}: {error}")
        self._filters: dict[str, Any] = {
            "since": args.since,
            "until": args.until,
            "under": args.under,
            "glob": glob,
            "pid": args.pid,
            "uid": uids,
            "comm": args.comm,
            "container": args.container,
            "syscall": names.syscalls(args.syscalls) if args.syscalls else None,
            "action": args.action,
            "outcome": args.outcome,
            "newest_first": args.newest_first,
            "limit": args.limit,
        }

    def scan(self, keys: Sequence[str] | None) -> rawtp.HistoryScan:
        """Begin."""
        try:
            return self.history.scan(keys, **self._filters)
        except (ValueError, TypeError) as error:
            self._parser.error(reason(error))

    def events(self, keys: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
        """The events, with these keys. What is wrong with the options is told at once."""
        return self._dicts(self.scan(archive.columns(keys)))

    def named(self, keys: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
        """The events, with these keys, among them the names of containers."""
        asked = [key for key in keys if key not in names.CONTAINER_NAMES]
        if len(asked) == len(keys):
            return self.events(keys)
        find = table.finder(self.history.containers())
        found = self.events((*asked, *names.CONTAINER_IDS))
        return ([{**event, **find(event)._asdict()} for event in events] for events in found)

    def _dicts(self, scan: rawtp.HistoryScan) -> Iterator[list[dict[str, Any]]]:
        while True:
            try:
                batch = next(scan)
            except StopIteration:
                return
            except rawtp.RawtpError as error:
                self.damaged += 1
                message(reason(error))
                continue
            # A batch has up to 65,536 events. As dicts of all keys these would take some hundred MB.
            for first in range(0, len(batch), _AT_ONCE):
                yield batch._dicts(first, _AT_ONCE)
