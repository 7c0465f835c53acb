"""Options that several subcommands have: what to watch, and the filters."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from rawtp.cli import types
from rawtp.cli.stderr import message

if TYPE_CHECKING:
    from collections.abc import Iterable

_FILTERS = ("pid", "follow", "uid", "comm", "cgroup", "path", "exclude_self", "outcome", "root")


def add_watched(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add what says which calls to watch, and the filters, as groups; the first one."""
    group = parser.add_argument_group("what to watch")
    add_syscalls(group)
    add_all(group)
    add_calls(group)
    add_hook(group)
    add_filters(parser)
    return group


def add_running(parser: argparse.ArgumentParser) -> None:
    """Add what says whom to tell, and how to run, as groups."""
    group = parser.add_argument_group("whom to tell")
    add_alert(group)
    add_metrics(group)
    group = parser.add_argument_group("how to run")
    add_command(group)
    add_buffers(group)


def add_syscalls(parser: argparse._ActionsContainer) -> None:
    """Add ``--syscalls``."""
    parser.add_argument(
        "-s",
        "--syscalls",
        type=types.names,
        action="extend",
        metavar="NAMES",
        help="what to watch, with commas between: delete, rename, truncate, loss, which is all that makes names or"
        " content go, file_changes, file, process, network, memory, system calls by name, or all of them"
        " (default: loss)",
    )


def add_all(parser: argparse._ActionsContainer) -> None:
    """Add ``--all``."""
    parser.add_argument(
        "--all",
        action="append_const",
        const="all",
        dest="syscalls",
        help="every system call, of a command or with a filter by process, as -s all; -o strace has their arguments",
    )


def add_selection(parser: argparse._ActionsContainer) -> None:
    """Add what leaves some of these calls out."""
    parser.add_argument(
        "--exclude", type=types.names, action="extend", metavar="NAMES", help="not these of them; names and groups"
    )
    parser.add_argument(
        "--when",
        choices=("loss", "change", "always"),
        help="which opens, and calls of fallocate and ioctl, are events: those that make something go, those that"
        " change a file, or each (default: loss; change with -s file_changes, always with -s all and the like)",
    )


def add_calls(parser: argparse._ActionsContainer) -> None:
    """Add what says more about the calls to watch."""
    add_selection(parser)
    parser.add_argument(
        "--buffers",
        type=types.size,
        default=0,
        metavar="SIZE",
        help="with -f args: so many bytes of what is read and written, at most 4KiB (default: none)",
    )


def add_hook(parser: argparse._ActionsContainer) -> None:
    """Add ``--hook``."""
    parser.add_argument(
        "--hook",
        choices=("auto", "raw_tp", "tracepoint", "vfs"),
        default="auto",
        help="by which hooks: tracepoints of system calls, or with vfs only the kernel's functions that remove, which"
        " see what reaches a file and slow down no other call (default: %(default)s)",
    )


def add_alert(parser: argparse._ActionsContainer) -> None:
    """Add ``--alert``."""
    parser.add_argument(
        "--alert",
        metavar="RULES",
        help="compare what is seen with the rules of this TOML file, and run its commands, call its webhooks or write"
        " to the journal",
    )


def add_metrics(parser: argparse._ActionsContainer) -> None:
    """Add ``--metrics``."""
    parser.add_argument(
        "--metrics",
        type=types.metrics,
        metavar="WHERE",
        help="metrics for Prometheus: PORT on this host alone, or ADDRESS:PORT, at /metrics; or FILE.prom, for"
        " node_exporter",
    )


def add_command(parser: argparse._ActionsContainer) -> None:
    """Add what is about the command, and about losses."""
    parser.add_argument(
        "--as-root", action="store_true", help="under sudo, run the command as root, not as the user who called"
    )
    parser.add_argument("--fail-on-loss", action="store_true", help="exit with 3 when anything was lost")


def add_buffers(parser: argparse._ActionsContainer) -> None:
    """Add the sizes of buffers, and ``--broker``."""
    parser.add_argument(
        "--ring-bytes",
        type=types.size,
        default=4 << 20,
        metavar="SIZE",
        help="the kernel's buffer, in bytes or such as 16MiB; larger rides out longer bursts (default: 4MiB)",
    )
    parser.add_argument(
        "--queue-bytes",
        type=types.size,
        default=64 << 20,
        metavar="SIZE",
        help="how much to hold for a slow reader of the output (default: 64MiB)",
    )
    parser.add_argument(
        "--broker", metavar="PATH", help="without root: by the broker that listens there (broker --help says more)"
    )


def add_process_filters(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the filters by who calls, as a group."""
    group = parser.add_argument_group("filters: all that are given must hold")
    group.add_argument(
        "-p", "--pid", type=types.pids, action="extend", metavar="PIDS", help="only these processes; commas between"
    )
    group.add_argument("--follow", action="store_true", help="with -p: their descendants too, if born from now on")
    group.add_argument(
        "-u",
        "--user",
        type=types.users_or_names,
        action="extend",
        dest="uid",
        metavar="USERS",
        help="only these, by name or number",
    )
    group.add_argument(
        "--comm", action="append", metavar="NAME", help="only tasks of this name; 'NAME*': of this beginning"
    )
    group.add_argument(
        "--cgroup",
        type=types.cgroup,
        action="append",
        metavar="PATH",
        help="only in this cgroup, or below; an id will do",
    )
    return group


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the filters, as a group."""
    group = add_process_filters(parser)
    group.add_argument(
        "-P",
        "--path",
        type=types.path,
        action="append",
        help="only this path and all below, from here if it is relative; a glob such as '/srv/*.log' will do;"
        " what cannot be told to be elsewhere comes, too",
    )
    group.add_argument("--exclude-self", action="store_true", help="not what rawtp itself deletes")
    group.add_argument("--outcome", choices=("any", "ok", "failed"), help="only with this result (default: any)")


def add_root(group: argparse._ActionsContainer) -> None:
    """Add ``--root``."""
    group.add_argument(
        "--root",
        type=types.root,
        metavar="DIR",
        help="where the host's root is mounted, such as /host in a container: real paths, --path and names of users are"
        " the host's (default: /)",
    )


def filters(parser: argparse.ArgumentParser, args: argparse.Namespace, *, is_run: bool = False) -> dict[str, object]:
    """The filters that were given, and ``root``, as :class:`rawtp.Tracer` takes them; ``is_run``: for a command of our
    own. Users and paths in ``args`` become the host's."""
    if is_run and (args.pid or args.follow):
        parser.error("-p/--pid and --follow are not for a command: it is followed as it is")
    if args.follow and not args.pid:
        parser.error("--follow needs -p/--pid: whose descendants are to be followed?")
    root = getattr(args, "root", None) or "/"
    option = "--root"
    try:
        types.check_root(root)
        option = "-u/--user"
        if args.uid:
            args.uid = [types.user(one, root) for one in args.uid]
        option = "-P/--path"
        if root != "/" and args.path:
            args.path = [types.on_host(path, root) for path in args.path]
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument {option}: {error}")
    except (OSError, ValueError) as error:
        parser.error(f"argument --root: {error}")
    return {name: value for name in _FILTERS if (value := getattr(args, name, None))}


def add_tls(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the files of TLS to receivers."""
    parser.add_argument("--ca", metavar="FILE", help="trust these authorities for TLS, in place of the system's")
    parser.add_argument("--client-cert", metavar="FILE", help="show this certificate to a receiver that asks for one")
    parser.add_argument("--client-key", metavar="FILE", help="its key (default: in the same file)")


def tell_absent(pids: Iterable[int]) -> None:
    """Say which of the processes that are watched are not there."""
    for pid in pids:
        if not os.access(f"/proc/{pid}", os.F_OK):
            message(f"no process has pid {pid} now; waiting for one")
