"""Reads TOML, and finds the line of what is wrong in it."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Key = str | int
    """A step into a document: the name of a key, or the number of a table in an array."""

MAX_BYTES = 1 << 20


class RuleError(ValueError):
    """Raised for rules that cannot be. ``line`` counts from 1; None where there is no one line."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason if line is None else f"line {line}: {reason}")
        self.reason = reason
        self.line = line


class Document:
    """A TOML document that knows where its keys are.

    Raises:
        RuleError: it is no TOML, or larger than a megabyte.
    """

    def __init__(self, data: bytes) -> None:
        self._parse = _parser()
        if len(data) > MAX_BYTES:
            raise RuleError(f"it is larger than {MAX_BYTES} bytes")
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise RuleError("it is not UTF-8", data.count(b"\n", 0, error.start) + 1) from None
        self._lines = text.splitlines()
        try:
            self.values = self._parse(text)
        except ValueError as error:
            raise _syntax_error(error) from None
        except RecursionError:
            raise RuleError("it is nested too deeply") from None

    def line(self, *keys: Key) -> int | None:
        """The line at which a key's value begins, or the header of a table; None when it cannot be told.

        The libraries keep no places. So the document is cut off behind each line that could bring the key: the first
        cut that has it ends with the line that is looked for.
        """
        if not keys:
            return None
        name = next((key for key in reversed(keys) if isinstance(key, str)), "")
        # A key stands at the beginning of its line, or in an inline table.
        candidate = re.compile(rf"\b{re.escape(name)}\b|^\s*\[")
        begin: int | None = None
        for number, text in enumerate(self._lines, 1):
            if begin is None and not candidate.search(text):
                continue
            begin = begin or number
            cut = "\n".join(self._lines[:number])
            try:
                found = self._parse(cut)
            except ValueError:  # in the middle of a value
                continue
            if _has(found, keys):
                return begin
            begin = None
        return None


def _has(document: Any, keys: tuple[Key, ...]) -> bool:
    for key in keys:
        if isinstance(document, list):
            if not isinstance(key, int) or key >= len(document):
                return False
        elif not isinstance(document, dict) or key not in document:
            return False
        document = document[key]
    return True


def _syntax_error(error: ValueError) -> RuleError:
    text = str(error)
    found = re.search(r"^(.*?)\s*\(at (?:line (\d+), column \d+|(end of document))\)$", text, re.DOTALL)
    if found is None:
        return RuleError(text)
    if found[3]:
        return RuleError(f"{found[1]}, at the end of the file")
    return RuleError(found[1], int(found[2]))


def _parser() -> Callable[[str], dict[str, Any]]:
    for name in ("tomllib", "tomli"):  # from Python 3.11 on; before
        try:
            loads: Callable[[str], dict[str, Any]] = import_module(name).loads
        except ImportError:
            continue
        return loads
    raise RuleError("this Python reads no TOML: use Python 3.11 or later, or install the package tomli")
