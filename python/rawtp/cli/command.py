"""The command behind ``--``, which runs as the user who called sudo."""

from __future__ import annotations

import errno
import os
import pwd
from typing import TYPE_CHECKING

import rawtp
from rawtp._run.child import Child, User, words_of
from rawtp.cli.errors import NOT_EXECUTABLE, NOT_FOUND, CommandError, report
from rawtp.cli.stderr import message, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LARGEST_ID = 2**32 - 2


class Command(Child):
    """A child that tells the user how it goes."""

    def start(self) -> None:
        """Let it run.

        Raises:
            CommandError: it cannot be run.
        """
        try:
            self.release()
        except OSError as error:
            code = NOT_FOUND if error.errno == errno.ENOENT else NOT_EXECUTABLE
            raise CommandError(reason(error), code=code) from None

    def finish(self, *, quiet: bool = False) -> int:
        """Wait for its end, which can be long after that of the watching; its exit code."""
        if self.is_running() and not quiet:
            message("no longer watching; waiting for the command to end")
        return self.wait()


def run(words: list[str], trace: Callable[[Command], int], *, as_root: bool) -> int:
    """Start the command, which waits, and have it traced; the exit code. Nothing that goes wrong here kills it."""
    environment: Mapping[bytes, bytes] = os.environb
    user = user_of(as_root=as_root)
    if user is not None:
        environment = _environment(environment, user)
    try:
        with Command(words_of(words), environment, user) as command:
            try:
                return trace(command)
            except OSError as error:
                if not command.is_released:
                    raise
                failed = report(CommandError(reason(error)))
                return command.finish() or failed
    except rawtp.RawtpError as error:
        raise CommandError(reason(error)) from None


def user_of(*, as_root: bool) -> User | None:
    """The user that a command runs as; ``None``: this process's own."""
    # Only where sudo has made us root: after `sudo -u somebody` there are no root's rights to give up.
    if as_root or os.geteuid() or "SUDO_UID" not in os.environ:
        return None
    try:
        return _caller(os.environ)
    except ValueError as error:
        raise CommandError(f"{error}: whose command is it? (--as-root runs it as root)") from None


def _caller(environment: Mapping[str, str]) -> User:
    """The user who called sudo."""
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
    """The environment with that user's home and name; without any where they are not known, in place of root's."""
    names = (b"HOME", b"USER", b"LOGNAME")
    changed = {name: value for name, value in environment.items() if name not in names}
    try:
        entry = pwd.getpwuid(user.uid)
    except KeyError:
        return changed
    values = (entry.pw_dir, entry.pw_name, entry.pw_name)
    return changed | {name: os.fsencode(value) for name, value in zip(names, values, strict=True)}
