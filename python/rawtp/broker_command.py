"""``rawtp broker``."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import socket
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from rawtp.argument_types import size
from rawtp.messages import reason, say
from rawtp.parser import Parser

if TYPE_CHECKING:
    from collections.abc import Sequence

_CANNOT_RUN = 1
_FIRST_PASSED = 3  # sd_listen_fds(3)
_DESCRIPTORS = 8192

_EXAMPLES = """\
examples:
  sudo rawtp broker --socket /run/rawtp.sock --group adm
      who is in the group adm sees what their own processes delete:
      rawtp.Tracer(broker="/run/rawtp.sock")
  sudo rawtp broker --socket /run/rawtp.sock --group adm --allow all
      the same, and all that anybody deletes: for those who may know
"""


def parser() -> Parser:
    """The parser of ``broker``, which is the first of the arguments."""
    made = Parser(
        description="Load and attach for others, who need no privilege: each gets a ring and counters of its own.",
        epilog=_EXAMPLES,
    )
    made.add_argument("command", choices=("broker",))
    option = made.add_argument
    option("--socket", metavar="PATH", help="where to listen, unless systemd passes a socket")
    option("--group", metavar="GROUP", help="who may connect (default: only who runs the broker)")
    option(
        "--allow",
        choices=("own", "all"),
        default="own",
        help="whose calls a client may see: its own user's, or all (default: %(default)s)",
    )
    option("--max-tracers", type=_count, default=64, metavar="N", help="at a time (default: %(default)s)")
    option("--max-tracers-per-user", type=_count, default=8, metavar="N", help="of them (default: %(default)s)")
    option("--max-ring-bytes", type=_ring_bytes, default=16 << 20, metavar="SIZE", help="of one (default: 16MiB)")
    option(
        "--accept-unpatched-kernel",
        action="store_true",
        help="serve other users although the kernel has CVE-2024-41009, or where that cannot be told",
    )
    return made


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
    made = parser()
    chosen = made.parse_args(arguments)
    passed = _passed()
    if (passed is None) == (chosen.socket is None):
        made.error("--socket says where to listen" if passed is None else "systemd passes a socket: no --socket")
    if passed is not None and chosen.group is not None:
        made.error("the socket that systemd passes has its group: SocketGroup= in its unit")
    from rawtp import _core
    from rawtp._broker import Broker
    from rawtp._policy import Policy

    try:
        _core.Tracer(pid=os.getpid(), ring_bytes=1 << 16).close()  # whether it can be done at all
        unsafe = None if chosen.accept_unpatched_kernel else _unsafe()
        listener = passed or _listen(chosen.socket, chosen.group)
    except (_core.RawtpError, OSError, LookupError) as error:
        say(f"the broker cannot run: {reason(error)}")
        return _CANNOT_RUN
    policy = Policy(
        own_uid=os.geteuid(),
        allow=chosen.allow,
        max_tracers=chosen.max_tracers,
        max_tracers_per_user=chosen.max_tracers_per_user,
        max_ring_bytes=chosen.max_ring_bytes,
        unsafe=unsafe,
    )
    _more_descriptors()
    mine = None if passed else os.stat(chosen.socket)  # noqa: PTH116
    broker = Broker(listener, policy, say)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: broker.stop("the broker was stopped"))
    say(f"broker: listens at {listener.getsockname()!r}, allow={policy.allow}, max_tracers={policy.max_tracers}")
    if unsafe:
        say(f"broker: other users are refused: {unsafe}")
    try:
        broker.run()
    finally:
        listener.close()
        if mine is not None:
            _unlink(chosen.socket, mine)
    say("broker: stopped")
    return 0


def _more_descriptors() -> None:
    """Each tracer takes up to a dozen, and each client one: a shell's limit of 1024 is soon reached."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, _DESCRIPTORS)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _unsafe() -> str | None:
    from rawtp import _core
    from rawtp._policy import UNPATCHED

    try:
        return UNPATCHED if _core._overlaps() else None
    except (_core.RawtpError, OSError) as error:
        return f"it cannot be told whether this kernel has CVE-2024-41009: {error}"


def _passed() -> socket.socket | None:
    """The socket that systemd has made; ``None`` when this process was started by something else."""
    count = os.environ.get("LISTEN_FDS")
    if count is None or os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    if count != "1":
        say(f"the broker serves one socket, and systemd passes {count}")
        sys.exit(_CANNOT_RUN)
    os.set_inheritable(_FIRST_PASSED, False)
    made = socket.socket(fileno=_FIRST_PASSED)
    if (made.family, made.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
        say("the socket that systemd passes is not of ListenSequentialPacket=")
        sys.exit(_CANNOT_RUN)
    return made


def _listen(path: str, group: str | None) -> socket.socket:
    """A socket that its group may connect to; before, only its owner."""
    gid = -1
    if group is not None:
        import grp

        try:
            gid = grp.getgrnam(group).gr_gid
        except KeyError:
            raise LookupError(f"there is no group {group!r}") from None
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    before = os.umask(0o177)
    try:
        _remove_dead(path)
        listener.bind(path)
        if group is not None:
            os.chown(path, -1, gid)
            os.chmod(path, 0o660)  # noqa: PTH101
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen at {path}: {error.strerror}") from None
    finally:
        os.umask(before)
    return listener


def _remove_dead(path: str) -> None:
    """A socket that was left by a broker that was killed."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "there is a file of another kind")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            _unlink(path, found)
            return
    raise OSError(errno.EADDRINUSE, "another broker listens there")


def _unlink(path: str, mine: os.stat_result) -> None:
    try:
        found = os.lstat(path)
        if (found.st_dev, found.st_ino) == (mine.st_dev, mine.st_ino):
            os.unlink(path)  # noqa: PTH108
    except OSError:
        pass
