"""The conditions of ``--fail-if``: a small closed grammar, which nothing evaluates as code.

::

    outside=DIR    something went that is not in the directory; of several, that is in none of them
    path=GLOB      something went that the glob matches, or a rename moved a directory above
    count>N        more than so many calls made something go
    bytes>SIZE     more content went than that, or the sizes of some of it are not known
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from rawtp._report.glob import Glob

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rawtp._report.losses import Loss, Losses

_CONDITION = re.compile(r"\s*(outside|path)\s*=(.+)|\s*(count|bytes)\s*>\s*(\S+)\s*", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,18}")
_SIZE = re.compile(r"([0-9]{1,15})(?:([kmgt])i?b?)?", re.IGNORECASE)
_SHIFTS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
GRAMMAR = "outside=DIR, path=GLOB, count>N or bytes>SIZE"


class Conditions:
    """Conditions, each of which fails a command by itself, but for ``outside``, whose directories add up."""

    def __init__(self, texts: Iterable[str] = (), directory: str | None = None) -> None:
        """Parse. ``directory`` is what relative paths begin at, the working directory by default.

        Raises:
            ValueError: a text is no condition.
            OSError: there is no working directory.
        """
        self.texts = tuple(texts)
        self._inside: list[str] = []
        self._outside: list[str] = []
        self._globs: list[tuple[str, Glob]] = []
        self._limits: list[tuple[str, str, int]] = []
        for text in self.texts:
            self._parse(text, directory)

    def _parse(self, text: str, directory: str | None) -> None:
        found = _CONDITION.fullmatch(text)
        if not found:
            raise ValueError(f"{text!r} is no condition: {GRAMMAR}")
        name, path, quantity, amount = found.groups()
        if quantity:
            self._limits.append((text, quantity, _count(text, amount) if quantity == "count" else _size(text, amount)))
            return
        if "\0" in path:
            raise ValueError(f"{text!r} has a NUL in it, and no path has one")
        start = os.getcwd() if directory is None else directory  # noqa: PTH109 - as real_path names it
        if name == "outside":
            self._outside.append(text)
            self._inside.append(os.path.realpath(os.path.join(start, path)))  # noqa: PTH118
            return
        is_anywhere = path.startswith(("/", "**/"))
        # Real paths have no "." and ".." in them.
        self._globs.append((text, Glob(os.path.normpath(path if is_anywhere else f"{_literally(start)}/{path}"))))

    def of(self, loss: Loss) -> list[str]:
        """The conditions that this loss meets. A path that is not known as a whole is outside of every directory."""
        paths = [path for path in (loss.path, loss.other) if path is not None]
        met = []
        if self._outside and not (loss.is_whole and all(self._is_inside(path) for path in paths)):
            met += self._outside
        is_move = loss.kind in {"moved", "overwritten"}
        met += [
            text
            for text, glob in self._globs
            if any(glob.matches(path) or (is_move and glob.is_below(path)) for path in paths)
        ]
        return met

    def of_all(self, losses: Losses) -> list[str]:
        """The conditions on sums that hold."""
        return [text for text, name, limit in self._limits if getattr(losses, name) > limit]

    def undecided(self, losses: Losses) -> list[str]:
        """The conditions that may hold, since sizes are not known."""
        held = self.of_all(losses)
        return [text for text, name, _ in self._limits if name == "bytes" and losses.unknown_sizes and text not in held]

    def _is_inside(self, path: str) -> bool:
        return any(path == top or path.startswith(f"{top.rstrip('/')}/") for top in self._inside)


def in_order(texts: Sequence[str], found: Iterable[str]) -> list[str]:
    """Those that were found, each once, in the order in which they were given."""
    met = {*found}
    return [text for text in dict.fromkeys(texts) if text in met]


def _count(text: str, amount: str) -> int:
    if not _NUMBER.fullmatch(amount):
        raise ValueError(f"{text!r}: {amount!r} is not a whole number from 0 up")
    return int(amount)


def _size(text: str, amount: str) -> int:
    found = _SIZE.fullmatch(amount)
    if not found:
        raise ValueError(f"{text!r}: {amount!r} is not a number of bytes from 0 up, such as 4096, 64KiB or 1GiB")
    return int(found[1]) << _SHIFTS[(found[2] or "").lower()]


def _literally(directory: str) -> str:
    """The directory as a glob that matches only that."""
    return re.sub(r"[*?[\]{},\\]", r"\\\g<0>", directory.rstrip("/"))
