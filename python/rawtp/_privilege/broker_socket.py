"""The listening socket of a broker, made at a path or passed by systemd."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS_BYTES = 107
BACKLOG = 4096
"""The number of clients that the kernel lets wait for the accept. ``net.core.somaxconn`` may allow less."""
_FIRST_PASSED = 3  # sd_listen_fds(3)


class Listener(socket.socket):
    """A socket with a path that it removes."""

    directory = -1
    name = b""
    made: os.stat_result | None = None

    def close(self) -> None:
        """Close it, and remove its path unless that is another's by now."""
        super().close()
        if self.directory >= 0:
            if self.made is not None:
                _unlink(self.directory, self.name, self.made)
            os.close(self.directory)
            self.directory = -1


def passed() -> socket.socket | None:
    """The socket that systemd has made; ``None`` when this process was started by something else."""
    count = os.environ.get("LISTEN_FDS")
    if count is None or os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    if count != "1":
        raise OSError(errno.EINVAL, f"the broker serves one socket, and systemd passes {count}")
    os.set_inheritable(_FIRST_PASSED, False)
    made = socket.socket(fileno=_FIRST_PASSED)
    if (made.family, made.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
        raise OSError(errno.EPROTOTYPE, "the socket that systemd passes is not of ListenSequentialPacket=")
    return made


def listen(path: str, group: str | None) -> Listener:
    """A socket to which its group may connect; without a group only its owner."""
    address = os.fsencode(path)
    if not 0 < len(address) <= ADDRESS_BYTES:
        raise OSError(errno.ENAMETOOLONG, f"--socket must be a path of 1 to {ADDRESS_BYTES} bytes, not {path!r}")
    gid = None
    if group is not None:
        import grp

        try:
            gid = grp.getgrnam(group).gr_gid
        except KeyError:
            raise LookupError(f"there is no group {group!r}") from None
    listener = Listener(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        directory, listener.name = os.path.split(address)
        # A user who can write above the directory can replace it, but not what this descriptor refers to.
        listener.directory = os.open(directory or b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        _remove_dead(listener.directory, listener.name, address)
        # It is made with its group and its mode: between a bind and a chmod(2) by the path, whoever can write to the
        # directory could put a link to something else there.
        with _umask(0o177 if gid is None else 0o117), _group(gid):
            listener.bind(address)
        _take_over(listener, gid)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen at {path}: {error.strerror}") from None
    return listener


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _group(gid: int | None) -> Iterator[None]:
    """Give what is made meanwhile this group. Without CAP_SETGID it keeps the process's, for now."""
    before = os.getegid()
    if gid is None or gid == before:
        yield
        return
    with suppress(PermissionError):
        os.setegid(gid)
    try:
        yield
    finally:
        os.setegid(before)


def _take_over(listener: Listener, gid: int | None) -> None:
    """Note what was made, by a descriptor of it. Its group is set where it could not be made with it: by a process
    without CAP_SETGID, or in a directory that gives all in it its own."""
    made = os.open(listener.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=listener.directory)
    try:
        found = os.fstat(made)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
            raise OSError(errno.EEXIST, "somebody else has put another file there meanwhile")
        listener.made = found
        if gid is not None and found.st_gid != gid:
            os.chown(f"/proc/self/fd/{made}", -1, gid)
    finally:
        os.close(made)


def _remove_dead(directory: int, name: bytes, address: bytes) -> None:
    """A socket that was left by a broker that was killed."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise OSError(errno.EEXIST, "there is a file of another kind")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)  # a full backlog, too, means that a broker listens
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            _unlink(directory, name, found)
            return
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
            raise OSError(errno.EEXIST, "there is a socket of something else") from None
    raise OSError(errno.EADDRINUSE, "another broker listens there")


def _unlink(directory: int, name: bytes, made: os.stat_result) -> None:
    """Remove it if it is still what was made."""
    with suppress(OSError):
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if (found.st_dev, found.st_ino) == (made.st_dev, made.st_ino):
            os.unlink(name, dir_fd=directory)
