"""Secrets of receivers: from the environment or from a file, never from the command line, which everybody sees."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_MAX_BYTES = 65_536
_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")


def load(path: str, environment: MutableMapping[str, str]) -> None:
    """Put the lines ``NAME=value`` of a file into the environment. Names that are there already keep their values.

    Raises:
        OSError: the file cannot be read, or others can read it.
        ValueError: a line is of another form.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(fd, encoding="utf-8") as file:  # noqa: PTH123
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{path} is no regular file")
        if status.st_mode & 0o007:
            raise ValueError(f"everybody may read {path}: chmod o= {path}")
        text = file.read(_MAX_BYTES)
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not _NAME.fullmatch(name.strip()):
            # Without the line itself, which may be a secret.
            raise ValueError(f"{path}: line {number} is not NAME=value")
        environment.setdefault(name.strip(), value.strip().strip('"'))


def check_url(url: str, schemes: tuple[str, ...]) -> str:
    """A URL of one of these schemes, without a user or a password in it.

    Raises:
        ValueError: it is of another form.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r} is no URL: {error}") from None
    if "@" in parts.netloc:
        raise ValueError("a URL with a user or a password can be seen by everybody: give them by --credentials")
    if parts.scheme not in schemes:
        raise ValueError(f"{url!r} must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if parts.scheme != "unix" and not parts.hostname:
        raise ValueError(f"{url!r} names no host")
    if port == 0:
        raise ValueError(f"{url!r} has the port 0")
    return url
