"""The names under which a path can stand in a history."""

from __future__ import annotations

import os


def names(path: str | bytes | os.PathLike[str] | os.PathLike[bytes]) -> tuple[bytes, ...]:
    """The path as it was given, absolute, and as symbolic links above it lead now, where that is another one.

    The last component is not followed: a symbolic link can be deleted, too. ``.``, ``..`` and double slashes are
    taken out. The path need not exist.

    Raises:
        TypeError: it is no path.
        ValueError: it is empty, or has a null byte.
        OSError: it is relative, and the working directory cannot be told.
    """
    given = os.fsencode(path)
    if not given:
        raise ValueError("the path is empty")
    if b"\0" in given:
        raise ValueError("the path has a null byte")
    absolute = given if given.startswith(b"/") else os.path.join(os.getcwdb(), given)  # noqa: PTH109, PTH118
    lexical = _normal(absolute)
    # Of `link/../x` the kernel leaves what `link` leads to; so the links are followed in the path as it was given.
    name = os.path.basename(lexical)  # noqa: PTH119
    trimmed = absolute.rstrip(b"/")
    is_plain = os.path.basename(trimmed) not in {b".", b"..", b""}  # noqa: PTH119
    if is_plain:
        directory = os.path.realpath(os.path.dirname(trimmed))  # noqa: PTH120
        resolved = _normal(os.path.join(directory, name))  # noqa: PTH118
    else:
        resolved = os.path.realpath(absolute)
    return (lexical,) if resolved == lexical else (lexical, resolved)


def _normal(path: bytes) -> bytes:
    # POSIX lets two slashes at the start mean something else, and normpath keeps them.
    return b"/" + os.path.normpath(path).lstrip(b"/")
