"""Globs of paths and of other texts, matched in time that is bounded by the product of the two lengths.

A regular expression of several stars takes a hostile name's length to the power of their number. So a glob is cut at
its stars into chunks of a fixed width, each of which is looked for where it can be first.
"""

from __future__ import annotations

import os
import re

_MAX_ALTERNATIVES = 256
_SPECIAL = re.compile(r"[*?[]")


class TextPattern:
    """A glob of a whole text: ``*`` is any characters, ``?`` one, ``[a-z]`` one of these; a backslash takes a meaning
    away. A text without these is itself.

    Raises:
        ValueError: the glob means nothing.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        chunks = _chunks(text)
        self._first, self._middle, self._last = chunks[0], chunks[1:-1], chunks[-1] if chunks[1:] else None
        self.shortest = sum(width for _, width in chunks)
        """The characters of the shortest text that it matches."""

    def matches(self, text: str) -> bool:
        """Tell whether it matches all of the text."""
        first, _ = self._first
        if self._last is None:
            return first.fullmatch(text) is not None
        last, width = self._last
        found = first.match(text)
        end = len(text) - width
        if found is None or end < found.end() or last.fullmatch(text, end) is None:
            return False
        at = found.end()
        for chunk, _ in self._middle:
            # The leftmost place leaves the most room for what comes after.
            found = chunk.search(text, at, end)
            if found is None:
                return False
            at = found.end()
        return True


class PathPattern:
    """A path or a glob of paths, as ``-P`` takes them: it matches what it names, and all below.

    Its beginning without special characters is followed through symbolic links, as they lead now: it matches by both
    names.

    Raises:
        ValueError: it is not absolute, or the glob means nothing.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if not text.startswith("/"):
            raise ValueError(f"{text!r} is not absolute")
        if "\0" in text:
            raise ValueError(f"{text!r} has a null byte in it")
        texts = _alternatives(text) if _SPECIAL.search(text) else [text]
        branches = [branch for one in texts for branch in _branches(one, is_glob=_SPECIAL.search(text) is not None)]
        self._branches = list({(branch.base, branch.key): branch for branch in branches}.values())

    def matches(self, path: str) -> bool:
        """Tell whether it matches the path, or a directory above it. ``path`` is absolute, and normal."""
        return any(branch.matches(path) for branch in self._branches)

    def is_below(self, path: str) -> bool:
        """Tell whether all that it matches is below the path: who moves that, moves it along."""
        above = path.rstrip("/") + "/"
        return any(branch.base.startswith(above) for branch in self._branches)

    def meets(self, path: str) -> bool:
        """Tell whether it can match the path, or anything below."""
        below = path.rstrip("/") + "/"
        return self.is_below(path) or any(below.startswith(branch.base.rstrip("/") + "/") for branch in self._branches)


class _Branch:
    """A directory by its name, and runs of components to be found below it, with any directories between the runs."""

    def __init__(self, base: str, runs: list[list[TextPattern]], *, needs_one_more: bool) -> None:
        self.base = base
        self.key = (tuple(tuple(part.text for part in run) for run in runs), needs_one_more)
        self._below = base.rstrip("/") + "/"
        self._runs = runs
        self._needs_one_more = needs_one_more

    def matches(self, path: str) -> bool:
        if not self.key[0] and path == self.base:
            return not self._needs_one_more
        if not path.startswith(self._below):
            return False
        if not self.key[0]:
            return True
        parts = [os.fsencode(part).decode("latin-1") for part in path[len(self._below) :].split("/")]
        at = 0
        for number, run in enumerate(self._runs):
            found = _place(run, parts, at, is_anchored=number == 0)
            if found is None:
                return False
            at = found + len(run)
        return len(parts) > at if self._needs_one_more else True


def _place(run: list[TextPattern], parts: list[str], first: int, *, is_anchored: bool) -> int | None:
    last = first if is_anchored else len(parts) - len(run)
    for at in range(first, last + 1):
        if at + len(run) <= len(parts) and all(
            pattern.matches(part) for pattern, part in zip(run, parts[at:], strict=False)
        ):
            return at
    return None


def _branches(text: str, *, is_glob: bool) -> list[_Branch]:
    parts = [part for part in text.split("/") if part and part != "."]
    if ".." in parts:
        raise ValueError(f"{text!r} has .. in it")
    literal: list[str] = []
    while parts and (name := _literal(parts[0]) if is_glob else parts[0]) is not None:
        literal.append(name)
        parts = parts[1:]
    runs: list[list[TextPattern]] = [[]]
    for part in parts:
        if part == "**":
            runs.append([])
        else:
            # Byte by byte, as -P compares.
            runs[-1].append(TextPattern(part.encode().decode("latin-1")))
    needs_one_more = parts[-1:] == ["**"]
    if not parts:
        runs = []
    given = "/" + "/".join(literal)
    bases = {given, os.path.realpath(given)}
    if not parts and literal:
        # A symbolic link at the end is what is deleted itself.
        directory, name = os.path.split(given)
        bases.add(os.path.join(os.path.realpath(directory), name))  # noqa: PTH118
    return [_Branch(base, runs, needs_one_more=needs_one_more) for base in sorted(bases)]


def _literal(part: str) -> str | None:
    """The only name that a component matches."""
    if re.search(r"[*?[]", re.sub(r"\\.", "", part, flags=re.DOTALL)):
        return None
    return re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL)


def _chunks(text: str) -> list[tuple[re.Pattern[str], int]]:
    """The parts between stars as expressions, each with its width."""
    chunks: list[tuple[list[str], int]] = [([], 0)]
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if char == "*":
            chunks.append(([], 0))
            continue
        if char == "?":
            one = "."
        elif char == "[":
            one, at = _set(text, at)
        else:
            if char == "\\":
                if at == len(text):
                    raise ValueError(f"{text!r} ends in a backslash")
                char = text[at]
                at += 1
            one = re.escape(char)
        pieces, width = chunks[-1]
        pieces.append(one)
        chunks[-1] = (pieces, width + 1)
    return [(re.compile("".join(pieces), re.DOTALL), width) for pieces, width in chunks]


def _set(text: str, at: int) -> tuple[str, int]:
    """The expression of a set whose ``[`` is behind, and the place behind its ``]``."""
    begin = at
    is_negated = text[at : at + 1] in {"!", "^"}
    at += is_negated
    # A bracket right at the beginning is one of the set.
    end = text.find("]", at + 1)
    if end < 0:
        raise ValueError(f"{text!r}: no ] closes the [ at character {begin}")
    members = text[at:end]
    for low, high in re.findall(r"(.)-(.)", members, re.DOTALL):
        if low > high:
            raise ValueError(f"{text!r}: the range {low}-{high} is empty")
    escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", members)
    return f"[{'^' if is_negated else ''}{escaped}]", end + 1


def _alternatives(text: str) -> list[str]:
    """The texts that ``{a,b}`` stands for."""
    done: list[str] = []
    left = [text]
    while left:
        one = left.pop()
        group = _first_group(one, text)
        if group is None:
            done.append(one)
        else:
            begin, ends = group
            starts = [begin + 1, *(end + 1 for end in ends[:-1])]
            choices = [one[start:end] for start, end in zip(starts, ends, strict=True)]
            left += [one[:begin] + choice + one[ends[-1] + 1 :] for choice in choices]
        if len(done) + len(left) > _MAX_ALTERNATIVES:
            raise ValueError(f"{text!r} stands for more than {_MAX_ALTERNATIVES} globs; give several paths instead")
    return done


def _first_group(text: str, whole: str) -> tuple[int, list[int]] | None:
    """The place of the first brace, and those of its commas and its end."""
    begin: int | None = None
    depth, at = 0, 0
    ends: list[int] = []
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif char == "[":
            at = max(text.find("]", at + 2), at)
        elif char == "{":
            depth += 1
            if begin is None:
                begin = at
        elif char == "," and depth == 1:
            ends.append(at)
        elif char == "}" and depth:
            depth -= 1
            if not depth and begin is not None:
                return begin, [*ends, at]
        at += 1
    if begin is not None:
        raise ValueError(f"{whole!r}: no }} closes the {{ at character {begin}")
    return None
