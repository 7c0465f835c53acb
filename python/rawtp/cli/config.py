"""Defaults of options from files: ``/etc/rawtp.toml``, ``~/.config/rawtp.toml``, or the one of ``--config``.

The files are TOML, as far as options need it: tables, and keys with texts, numbers, booleans and lists of these. It is
read here, since CPython has a reader from 3.11 on only, and that one does not say in which line a key stands.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import NamedTuple

SYSTEM = "/etc/rawtp.toml"
_USER = ".config/rawtp.toml"
_MAX_BYTES = 1 << 20

_TABLE = re.compile(r"\[\s*([A-Za-z0-9_-]+)\s*\]")
_KEY = re.compile(r"([A-Za-z0-9_-]+)[ \t]*=[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_WORD = re.compile(r"[+-]?[0-9][0-9_]*(?:\.[0-9_]+)?|true|false")
_BASIC = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_LITERAL = re.compile(r"'([^'\n]*)'")
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


class Setting(NamedTuple):
    """One key, and where it stands."""

    table: str
    """The subcommand; empty before the first table."""
    key: str
    values: list[str | bool]
    """Texts as an option takes them, numbers too."""
    file: str
    line: int

    @property
    def place(self) -> str:
        """The place of it, for errors."""
        return f"{self.file}:{self.line}"


class ConfigError(ValueError):
    """A file cannot be used; the message says where and why."""


def settings(given: str | None) -> list[Setting]:
    """Read the file that was given, or those that are there.

    Raises:
        ConfigError: one cannot be read, is not to be trusted, or has something else in it than options.
    """
    if given is not None:
        return parse(_read(given, must_exist=True) or "", given)
    home = os.environ.get("HOME", "")
    files = [SYSTEM, *([os.path.join(home, _USER)] if home.startswith("/") else [])]  # noqa: PTH118 - start-up time
    found = []
    for file in files:
        text = _read(file, must_exist=False)
        if text is not None:
            found += parse(text, file)
    return found


def _read(file: str, *, must_exist: bool) -> str | None:
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if not must_exist and isinstance(error, (FileNotFoundError, NotADirectoryError, PermissionError)):
            return None
        raise ConfigError(f"{file}: {error.strerror}") from None
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise ConfigError(f"{file}: {os.strerror(errno.EISDIR)}")
    with os.fdopen(fd, "rb") as opened:
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            # Options name files that are written, so whoever writes here writes there as this user.
            trusted = {0, os.geteuid(), int(os.environ["SUDO_UID"]) if _is_id("SUDO_UID") else 0}
            if status.st_uid not in trusted or status.st_mode & stat.S_IWOTH:
                raise ConfigError(f"{file}: another user can write it, so it is not read")
        try:
            data = opened.read(_MAX_BYTES + 1) or b""
        except OSError as error:
            raise ConfigError(f"{file}: {error.strerror}") from None
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{file}: it has more than {_MAX_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{file}:{line}: this is no UTF-8") from None


def _is_id(name: str) -> bool:
    text = os.environ.get(name, "")
    return text.isascii() and text.isdecimal()


def parse(text: str, file: str) -> list[Setting]:
    """Parse the text of a file.

    Raises:
        ConfigError: with the line.
    """
    found: list[Setting] = []
    table = ""
    seen: dict[tuple[str, str], int] = {}
    at = _skip(text, 0)
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        place = f"{file}:{line}"
        if header := _TABLE.match(text, at):
            table, at = header[1], header.end()
        elif key := _KEY.match(text, at):
            if before := seen.get((table, key[1])):
                raise ConfigError(f"{place}: {key[1]} stands in line {before} already")
            seen[table, key[1]] = line
            values, at = _value(text, key.end(), place)
            found.append(Setting(table, key[1], values, file, line))
        else:
            raise ConfigError(f"{place}: this is neither [SUBCOMMAND] nor OPTION = VALUE")
        if not (rest := _REST.match(text, at)):
            raise ConfigError(f"{file}:{text.count(chr(10), 0, at) + 1}: there is something behind the value")
        at = _skip(text, rest.end())
    return found


def _value(text: str, at: int, place: str) -> tuple[list[str | bool], int]:
    if not text.startswith("[", at):
        value, at = _scalar(text, at, place)
        return [value], at
    values: list[str | bool] = []
    at = _skip(text, at + 1)
    while not text.startswith("]", at):
        value, at = _scalar(text, at, place)
        values.append(value)
        at = _skip(text, at)
        if text.startswith(",", at):
            at = _skip(text, at + 1)
        elif not text.startswith("]", at):
            raise ConfigError(f"{place}: the list has no end, or no comma between two values")
    return values, at + 1


def _scalar(text: str, at: int, place: str) -> tuple[str | bool, int]:
    if literal := _LITERAL.match(text, at):
        return literal[1], literal.end()
    if basic := _BASIC.match(text, at):
        return _ESCAPE.sub(lambda found: _unescaped(found, place), basic[1]), basic.end()
    if word := _WORD.match(text, at):
        plain = {"true": True, "false": False}.get(word[0])
        return word[0].replace("_", "") if plain is None else plain, word.end()
    raise ConfigError(f"{place}: this is no value: a text in quotes, a number, true, false, or a list of these")


def _unescaped(found: re.Match[str], place: str) -> str:
    if code := found[1] or found[2]:
        number = int(code, 16)
        if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            raise ConfigError(f"{place}: {found[0]} is no character")
        return chr(number)
    if found[3] not in _ESCAPED:
        raise ConfigError(f"{place}: {found[0]} is no escape; in single quotes a backslash is itself")
    return _ESCAPED[found[3]]


def _skip(text: str, at: int) -> int:
    """The place behind blanks, ends of lines and comments."""
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at
