"""``python -m rawtp -- COMMAND``: the command, as whom it runs, and how that ends."""

from __future__ import annotations

import errno
import os
import pwd
from typing import TYPE_CHECKING

import rawtp
from rawtp._child import Child, User, words_of
from rawtp.cli import _cannot_run, _one_line, _say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127  # as shells and env(1) have them
_LARGEST_ID = 2**32 - 2


def run(words: list[str], trace: Callable[[Child], int], *, as_root: bool) -> int:
    """Start the command, which waits, and have it traced; the exit code. Nothing that goes wrong here kills it."""
    environment: Mapping[bytes, bytes] = os.environb
    user = None
    # Not "is sudo's child": sudo -u somebody gives no root's rights away.
    if not as_root and os.geteuid() == 0 and "SUDO_UID" in os.environ:
        try:
            user = _caller(os.environ)
        except ValueError as error:
            return _cannot_run(f"{error}: whose command is it? (--as-root runs it as root)")
        environment = _environment(environment, user)
    try:
        with Child(words_of(words), environment, user) as child:
            try:
                return trace(child)
            except OSError as error:
                _cannot_run(_one_line(error))
                return child.wait() or 1
    except rawtp.RawtpError as error:
        return _cannot_run(_one_line(error))


def release(child: Child) -> int:
    """Let it run; 0, or the exit code that says why it cannot."""
    try:
        child.release()
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}")
        return _NOT_FOUND if error.errno == errno.ENOENT else _NOT_EXECUTABLE
    return 0


def _caller(environment: Mapping[str, str]) -> User:
    """Who called sudo."""
    uid, gid = (_id(name, environment.get(name)) for name in ("SUDO_UID", "SUDO_GID"))
    try:
        groups = os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:  # a user need not have an entry
        groups = [gid]
    return User(uid, gid, groups)


def _id(name: str, text: str | None) -> int:
    if text is None:
        raise ValueError(f"{name} is not set")
    if not (text.isascii() and text.isdecimal() and int(text) <= _LARGEST_ID):
        raise ValueError(f"{name} is {text!r}, which is no id")
    return int(text)


def _environment(environment: Mapping[bytes, bytes], user: User) -> dict[bytes, bytes]:
    """The same with that user's home and name; without any where they are not known, for root's are not his."""
    names = (b"HOME", b"USER", b"LOGNAME")
    changed = {name: value for name, value in environment.items() if name not in names}
    try:
        entry = pwd.getpwuid(user.uid)
    except KeyError:
        return changed
    values = (entry.pw_dir, entry.pw_name, entry.pw_name)
    return changed | {name: os.fsencode(value) for name, value in zip(names, values, strict=True)}
