"""Globs on paths, matched in time that a hostile name cannot blow up.

The language is that of ``-P``: ``*``, ``?`` and ``[a-z]`` within a name, ``**`` for any number of directories,
``{a,b}`` for either, and a backslash before a character that is meant as it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

_MAX_ALTERNATIVES = 256


class _Set(NamedTuple):
    """The characters of ``[...]``."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool

    def has(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges) != self.negated


if TYPE_CHECKING:
    from typing import TypeAlias

    Token: TypeAlias = tuple[str] | _Set | str

_STAR, _ANY = "*", "?"  # a character as it stands is a tuple of one, so that it is taken for none of these


class Glob:
    """A compiled pattern. ``**/`` at its beginning matches at any depth, and so needs no leading slash."""

    def __init__(self, pattern: str) -> None:
        """Compile.

        Raises:
            ValueError: a bracket or a brace is not closed, a backslash stands last, or there are too many alternatives.
        """
        self.pattern = pattern
        self._alternatives = [
            [None if name == "**" else _tokens(name) for name in text.strip("/").split("/")]
            for text in _expanded(pattern)
        ]

    def matches(self, path: str) -> bool:
        """Tell whether all of the path matches."""
        names = path.strip("/").split("/")
        return any(_match_names(parts, names) for parts in self._alternatives)

    def is_below(self, path: str) -> bool:
        """Tell whether all that it matches is below the path: who moves that, moves it along."""
        names = path.strip("/").split("/")
        return any(
            len(parts) > len(names) and None not in parts[: len(names)] and _match_names(parts[: len(names)], names)
            for parts in self._alternatives
        )


def _expanded(pattern: str) -> list[str]:
    """The patterns without braces that this one stands for."""
    done: list[str] = []
    waiting = [pattern]
    while waiting:
        if len(done) + len(waiting) > _MAX_ALTERNATIVES:
            raise ValueError(f"{pattern!r} has more than {_MAX_ALTERNATIVES} alternatives")
        text = waiting.pop()
        begin = _find(text, "{", 0)
        if begin < 0:
            done.append(text)
            continue
        depth, at, parts, start = 0, begin, [], begin + 1
        while at < len(text):
            char = text[at]
            if char == "\\":
                at += 1
            elif char == "{":
                depth += 1
            elif char in ",}" and depth == 1:
                parts.append(text[start:at])
                start = at + 1
            if char == "}":
                depth -= 1
                if not depth:
                    break
            at += 1
        else:
            raise ValueError(f"{pattern!r} has a {{ without }}")
        waiting += [text[:begin] + part + text[at + 1 :] for part in reversed(parts)]
    return done


def _find(text: str, wanted: str, at: int) -> int:
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == wanted:
            return at
        at += 1
    return -1


def _tokens(name: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(name):
        char = name[at]
        if char == "\\":
            at += 1
            if at == len(name):
                raise ValueError(f"{name!r} ends with a backslash")
            tokens.append((name[at],))
        elif char == "*":
            if tokens[-1:] != [_STAR]:
                tokens.append(_STAR)
        elif char == "?":
            tokens.append(_ANY)
        elif char == "[":
            found, at = _set(name, at)
            tokens.append(found)
        else:
            tokens.append((char,))
        at += 1
    return tokens


def _set(name: str, at: int) -> tuple[_Set, int]:
    """The set that begins at the bracket, and the place of its end."""
    begin = at + 1
    negated = name[begin : begin + 1] in {"!", "^"}
    begin += negated
    end = name.find("]", begin + 1)
    if end < 0:
        raise ValueError(f"{name!r} has a [ without ]")
    text, ranges, at = name[begin:end], [], 0
    while at < len(text):
        if text[at + 1 : at + 2] == "-" and at + 2 < len(text):
            ranges.append((text[at], text[at + 2]))
            at += 3
        else:
            ranges.append((text[at], text[at]))
            at += 1
    return _Set(tuple(ranges), negated), end


def _match_names(parts: list[list[Token] | None], names: list[str]) -> bool:
    """Names of a path; ``None`` among the parts is ``**``. Only the last ``**`` is ever gone back to."""
    part = name = 0
    back: tuple[int, int] | None = None
    while name < len(names):
        wanted = parts[part] if part < len(parts) else []
        if wanted is None:
            back = part, name
            part += 1
        elif part < len(parts) and _match_chars(wanted, names[name]):
            part += 1
            name += 1
        elif back is not None:
            part, name = back[0] + 1, back[1] + 1
            back = back[0], name
        else:
            return False
    return all(rest is None for rest in parts[part:])


def _match_chars(tokens: list[Token], text: str) -> bool:
    """One name. Only the last ``*`` is ever gone back to."""
    token = char = 0
    back: tuple[int, int] | None = None
    while char < len(text):
        wanted = tokens[token] if token < len(tokens) else ""
        if wanted == _STAR:
            back = token, char
            token += 1
        elif _fits(wanted, text[char]):
            token += 1
            char += 1
        elif back is not None:
            token, char = back[0] + 1, back[1] + 1
            back = back[0], char
        else:
            return False
    return all(rest == _STAR for rest in tokens[token:])


def _fits(token: Token, char: str) -> bool:
    if isinstance(token, _Set):
        return token.has(char)
    return token == _ANY or token == (char,)
