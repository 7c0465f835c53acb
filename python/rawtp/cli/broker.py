"""``rawtp broker``: loads and attaches for users without privilege."""

from __future__ import annotations

import argparse
import os
import signal
from typing import TYPE_CHECKING

from rawtp import _core
from rawtp.cli.errors import CommandError
from rawtp.cli.parser import Parser
from rawtp.cli.stderr import reason
from rawtp.cli.types import size

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Sequence

    from rawtp._privilege.limits import Limits
    from rawtp._privilege.policy import Policy

_EXAMPLES = """\
examples:
  sudo rawtp broker --socket /run/rawtp.sock --group adm
      who is in the group adm sees what their own processes delete:
      rawtp.Tracer(broker="/run/rawtp.sock")
  sudo rawtp broker --socket /run/rawtp.sock --group adm --allow all
      the same, and all that anybody deletes: for those who may know
"""


def add_parser() -> Parser:
    """Make the parser of ``broker``, which is the first of the arguments."""
    parser = Parser(
        usage="%(prog)s broker [OPTION]...",
        description="Load and attach for others, who need no privilege: each gets a ring and counters of its own.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("command", choices=("broker",), help=argparse.SUPPRESS)
    parser.add_argument("--socket", metavar="PATH", help="where to listen, unless systemd passes a socket")
    parser.add_argument("--group", metavar="GROUP", help="who may connect (default: only who runs the broker)")
    parser.add_argument(
        "--allow",
        choices=("own", "all"),
        default="own",
        help="whose calls a client may see: its own user's, or all (default: %(default)s)",
    )
    parser.add_argument(
        "--allow-raw-tracepoints",
        action="store_true",
        help="with --allow all: clients may attach to raw tracepoints, too. Their fields lead to most of the kernel's"
        " memory, so this is as much as root may read",
    )
    parser.add_argument("--max-tracers", type=_count, default=64, metavar="N", help="at a time (default: %(default)s)")
    parser.add_argument("--max-tracers-per-user", type=_count, metavar="N", help="of them (default: 8, or all)")
    parser.add_argument(
        "--max-ring-bytes",
        type=_ring_bytes,
        metavar="SIZE",
        help="of one (default: 16MiB; less where that many tracers would take more than half of the memory)",
    )
    parser.add_argument(
        "--accept-unpatched-kernel",
        action="store_true",
        help="serve other users although the kernel has CVE-2024-41009, or where that cannot be told",
    )
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 1 << 32):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 up")
    return int(text)


def _ring_bytes(text: str) -> int:
    if (number := size(text)) >= 1 << 32:
        raise argparse.ArgumentTypeError(f"{text!r} is 4GiB or more: no ring is as large")
    return number


def run(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit code."""
    parser = add_parser()
    args = parser.parse_args(arguments)
    if args.allow_raw_tracepoints and args.allow != "all":
        parser.error("--allow-raw-tracepoints: only with --allow all, because they show what all users do")
    from rawtp._privilege import broker_socket, limits
    from rawtp._privilege.policy import Policy

    try:
        passed = broker_socket.passed()
    except OSError as error:
        raise CommandError(f"the broker cannot run: {error.strerror}") from None
    if (passed is None) == (args.socket is None):
        parser.error("--socket says where to listen" if passed is None else "systemd passes a socket: no --socket")
    if passed is not None and args.group is not None:
        parser.error("the socket that systemd passes has its group: SocketGroup= in its unit")
    try:
        granted = limits.limits(
            tracers=args.max_tracers, per_user=args.max_tracers_per_user, ring_bytes=args.max_ring_bytes
        )
        limits.allow_descriptors(granted.descriptors)
        _core.Tracer(pid=os.getpid(), ring_bytes=1 << 16).close()  # fails where nothing can be loaded
        unsafe = None if args.accept_unpatched_kernel else _unsafe()
        listener = passed or broker_socket.listen(args.socket, args.group)
    except ValueError as error:
        parser.error(str(error))
    except (_core.RawtpError, OSError, LookupError) as error:
        raise CommandError(f"the broker cannot run: {reason(error)}") from None
    policy = Policy(
        own_uid=os.geteuid(),
        allow=args.allow,
        max_tracers=granted.max_tracers,
        max_tracers_per_user=granted.max_tracers_per_user,
        max_ring_bytes=granted.max_ring_bytes,
        allow_raw_tracepoints=args.allow_raw_tracepoints,
        state_bytes=limits.state_bytes(),
        unsafe=unsafe,
    )
    return _serve(listener, policy, granted)


def _serve(listener: socket.socket, policy: Policy, limits: Limits) -> int:
    from rawtp._privilege.broker import Broker
    from rawtp._privilege.broker_log import Writer

    _keep_standard_descriptors()
    log = Writer(2)
    list_maps, uncounted = _list_maps()
    broker = Broker(listener, policy, log.write, list_maps)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: broker.stop("the broker was stopped"))
    log.write(
        f"broker: listens at {listener.getsockname()!r}, allow={policy.allow}"
        f"{', raw tracepoints' if policy.allow_raw_tracepoints else ''}, max_tracers={policy.max_tracers}, "
        f"{policy.max_tracers_per_user} of a user, max_ring_bytes={policy.max_ring_bytes}: "
        f"at most {limits.memory_bytes >> 20} MiB"
    )
    if policy.unsafe:
        log.write(f"broker: other users are refused: {policy.unsafe}")
    if uncounted:
        log.write(f"broker: what clients keep of tracers that have ended is not counted to that: {uncounted}")
    try:
        have_all_ended = broker.run()
    finally:
        listener.close()
        log.write("broker: stopped")
        log.close()
    if not have_all_ended:
        # A thread that returns from a load during the interpreter's exit could abort the process.
        os._exit(0)
    return 0


def _keep_standard_descriptors() -> None:
    """Open those of 0, 1 and 2 that are closed, or the log would go to whatever is opened next."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _list_maps() -> tuple[Callable[[], Iterable[int]] | None, str | None]:
    """The function that lists the ids of this host's BPF maps; or the reason why there is none."""
    try:
        iterator = _core._list_maps()
    except (_core.RawtpError, OSError) as error:
        return None, str(error)
    return lambda: _core._map_ids(iterator), None


def _unsafe() -> str | None:
    from rawtp._privilege.policy import UNPATCHED

    try:
        return UNPATCHED if _core._overlaps() else None
    except (_core.RawtpError, OSError) as error:
        return f"it cannot be told whether this kernel has CVE-2024-41009: {error}"
