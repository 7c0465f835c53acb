"""The types of options' values, for argparse: each parses a text or raises ArgumentTypeError."""

from __future__ import annotations

import argparse
import os
import re
import sys
from typing import TYPE_CHECKING

from rawtp import _root, _units

if TYPE_CHECKING:
    from rawtp._metrics.publisher import Target

_GLOB, _SPECIAL = re.compile(r"[*?[]"), re.compile(r"[]*?[{}\\]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def names(text: str) -> list[str]:
    """Parse names with commas between."""
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name in it")
    return found


def positive(text: str) -> int:
    """Parse a whole number from 1 up."""
    return _whole(text, sys.maxsize, "a whole number from 1 up")


def size(text: str) -> int:
    """Parse a number of bytes, KiB, MiB or GiB; gives bytes."""
    try:
        return _units.size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def seconds(text: str) -> float:
    """Parse a duration above 0, in seconds or with units; gives seconds."""
    try:
        return _units.seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def metrics(text: str) -> Target:
    """Parse where metrics are published."""
    from rawtp._metrics.publisher import target

    try:
        return target(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def pids(text: str) -> list[int]:
    """Parse process ids with commas between."""
    return [_whole(part, 2**31 - 1, "a process id") for part in text.split(",")]


def users_or_names(text: str) -> list[int | str]:
    """Parse users with commas between; names are for :func:`user` to look up."""
    parts = [part.strip() for part in text.split(",")]
    return [int(part) if part.isascii() and part.isdecimal() else part for part in parts]


def user(one: int | str, root: str = "/") -> int:
    """The id of a user of the host whose root is mounted at ``root``."""
    found = one if isinstance(one, int) else _root.user_id(one, root)
    if found is None:
        raise argparse.ArgumentTypeError(f"there is no user {one!r}")
    return found


def root(text: str) -> str:
    """Parse the directory at which the host's root is mounted."""
    if not text.startswith("/"):
        raise argparse.ArgumentTypeError(f"{text!r} is not an absolute path")
    return text


def check_root(text: str) -> None:
    """Check that the directory is there; it need not where a command line is only read."""
    try:
        os.close(os.open(text, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {getattr(error, 'strerror', None) or error}") from None


def cgroup(text: str) -> str | int:
    """Parse a cgroup's path or its id."""
    return int(text) if text.isascii() and text.isdecimal() else text


class PathFromHere(str):
    """A path that was relative, as :func:`path` gives it."""

    __slots__ = ("given",)

    given: str


def path(text: str) -> str:
    """Parse a path or a glob. A relative one is below the working directory, as the kernel names that.

    ``.`` and ``..`` are the filter's to take out.
    """
    if text.startswith("/"):
        return text
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    if text.startswith("~"):
        raise argparse.ArgumentTypeError(f"{text!r}: the shell puts a home in place of ~ only outside of quotes")
    try:
        directory = os.getcwd()  # noqa: PTH109 - start-up time
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is relative, and the working directory: {error.strerror}") from None
    found = PathFromHere(_below(directory, text))
    found.given = text
    return found


def on_host(path: str, root: str) -> str:
    """A path of :func:`path` as the host has it whose root is mounted at ``root``."""
    if not isinstance(path, PathFromHere):
        return path
    from rawtp._core import _host_path

    here = os.getcwd()  # noqa: PTH109 - start-up time
    directory = _host_path(root, here)
    if directory is None:
        raise argparse.ArgumentTypeError(
            f"{path.given!r} is relative, and the working directory {here!r} is not below --root {root!r}"
        )
    return _below(directory, path.given)


def _below(directory: str, text: str) -> str:
    start = f"{directory.rstrip('/')}/"
    if _GLOB.search(text):
        return _literally(start) + text
    # Brackets in the directory's own name are no glob.
    return _literally(start + text) if _GLOB.search(start) else start + text


def literal(path: str) -> str | None:
    """The only name that a path of :func:`path` matches; None for a glob that matches several."""
    if not _GLOB.search(path):
        return path
    if re.search(r"[*?[{]", _ESCAPED.sub("", path)):
        return None
    return _ESCAPED.sub(r"\1", path)


def _literally(text: str) -> str:
    """The text as a glob that matches just that."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def _whole(text: str, largest: int, kind: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= largest:
        raise argparse.ArgumentTypeError(f"{text!r} is not {kind}")
    return number
