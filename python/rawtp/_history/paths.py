"""The names under which a path can stand in a history."""

from __future__ import annotations

import os

from rawtp import _root


def names(path: str | bytes | os.PathLike[str] | os.PathLike[bytes], root: str = "/") -> tuple[bytes, ...]:
    """The path as it was given, absolute, and as symbolic links above it lead now, where that is another one.

    The last component is not followed: a symbolic link can be deleted, too. ``.``, ``..`` and double slashes are
    taken out. The path need not exist. It is one of the host whose root is mounted at ``root``.

    Raises:
        TypeError: it is no path.
        ValueError: it is empty, has a null byte, or is relative where the host does not have the working directory.
        OSError: it is relative, and the working directory cannot be told.
    """
    given = os.fsencode(path)
    if not given:
        raise ValueError("the path is empty")
    if b"\0" in given:
        raise ValueError("the path has a null byte")
    absolute = given if given.startswith(b"/") else os.path.join(_here(given, root), given)  # noqa: PTH118
    lexical = _normal(absolute)
    # Of `link/../x` the kernel leaves what `link` leads to; so the links are followed in the path as it was given.
    name = os.path.basename(lexical)  # noqa: PTH119
    trimmed = absolute.rstrip(b"/")
    is_plain = os.path.basename(trimmed) not in {b".", b"..", b""}  # noqa: PTH119
    if is_plain:
        directory = _root.real_path(os.path.dirname(trimmed), root)  # noqa: PTH120
        resolved = _normal(os.path.join(directory, name))  # noqa: PTH118
    else:
        resolved = _root.real_path(absolute, root)
    return (lexical,) if resolved == lexical else (lexical, resolved)


def _here(given: bytes, root: str) -> bytes:
    """The working directory, as the host has it."""
    if _root.is_own(root):
        return os.getcwdb()  # noqa: PTH109
    from rawtp._core import _host_path

    here = os.getcwd()  # noqa: PTH109
    if (found := _host_path(root, here)) is None:
        raise ValueError(
            f"{os.fsdecode(given)!r} is relative, and the working directory {here!r} is not below the host's root,"
            f" {root!r}"
        )
    return os.fsencode(found)


def _normal(path: bytes) -> bytes:
    # POSIX lets two slashes at the start mean something else, and normpath keeps them.
    return b"/" + os.path.normpath(path).lstrip(b"/")
