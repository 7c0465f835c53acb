"""The host's files, where the host's root is mounted at a directory: names of users, texts, and symbolic links.

``root`` is that directory; ``"/"``, the default of whoever takes one, is this process's own root. Links below it never
lead out of it.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_USERS = "/etc/passwd"
_MACHINE_ID = "/etc/machine-id"
_MAX_BYTES = 8 << 20
_MAX_LINKS = 40  # as many as the kernel follows (MAXSYMLINKS)


def is_own(root: str) -> bool:
    """Whether it is this process's own root."""
    return not root.strip("/")


def opened(root: str, path: str, flags: int) -> int:
    """Open a file by its path on the host, with flags of open(2); the descriptor.

    Raises:
        OSError: as os.open() does.
    """
    if is_own(root):
        return os.open(path, flags | os.O_CLOEXEC)
    from rawtp._core import _open_in

    return _open_in(root, path, flags)


def real_path(path: bytes, root: str = "/") -> bytes:
    """An absolute path of the host without its symbolic links, as far as it exists: os.path.realpath() of the host."""
    if is_own(root):
        return os.path.realpath(path)
    base = os.fsencode(root.rstrip("/"))
    found: list[bytes] = []
    rest = path.split(b"/")[::-1]
    links = 0
    while rest:
        name = rest.pop()
        if name in {b"", b"."}:
            continue
        if name == b"..":
            del found[-1:]
            continue
        found.append(name)
        if links == _MAX_LINKS:
            continue
        try:
            # What is above has no link any more, so that none leads out of the root.
            target = os.readlink(b"/".join([base, *found]))  # noqa: PTH115 - bytes
        except OSError:
            continue
        links += 1
        found = [] if target.startswith(b"/") else found[:-1]
        rest += target.split(b"/")[::-1]
    return b"/" + b"/".join(found)


def of_session(session: Mapping[str, Any]) -> str:
    """Where the root of the host that recorded is mounted: as its recorder said, if that host's root is there; else
    this process's own. ``session`` is one of :meth:`rawtp.History.sessions`."""
    try:
        root = json.loads(session["info"])["root"]
    except (ValueError, KeyError, TypeError):
        return "/"
    if not isinstance(root, str) or not root.startswith("/") or is_own(root) or "\0" in root:
        return "/"
    if not os.path.isdir(root):  # noqa: PTH112
        return "/"
    recorded, found = session.get("machine_id"), machine_id(root)
    return "/" if recorded and found and recorded != found else root


def machine_id(root: str = "/") -> str | None:
    """The host's id (machine-id(5)); None where it has none."""
    text = (read(root, _MACHINE_ID, 64) or b"").strip().decode("ascii", "replace")
    return text or None


def read(root: str, path: str, max_bytes: int = _MAX_BYTES) -> bytes | None:
    """The content of a regular file, up to so many bytes; None where it cannot be read."""
    try:
        # No FIFO that nobody writes to.
        fd = opened(root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        with open(fd, "rb", closefd=False) as file:
            return file.read(max_bytes)
    except OSError:
        return None
    finally:
        os.close(fd)


def user_name(uid: int, root: str = "/") -> str | None:
    """The name of a user. On the host only its file of users is asked; here, all that nsswitch.conf(5) names."""
    if not is_own(root):
        return next((name for name, number in _users(root) if number == uid), None)
    from pwd import getpwuid

    try:
        return getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return None


def user_id(name: str, root: str = "/") -> int | None:
    """The number of a user; None where there is none of this name."""
    if not is_own(root):
        return next((number for known, number in _users(root) if known == name), None)
    from pwd import getpwnam

    try:
        return getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None


def _users(root: str) -> Iterator[tuple[str, int]]:
    for line in (read(root, _USERS) or b"").split(b"\n"):
        name, *rest = line.split(b":")
        # Lines of NIS, such as "+user::::::", name nobody.
        if len(rest) > 1 and name and not name.startswith((b"+", b"-")) and rest[1].isdigit():
            yield os.fsdecode(name), int(rest[1])
