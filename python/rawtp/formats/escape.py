r"""Hostile names as text that a terminal shows and never obeys.

One notation is used wherever a name is shown to a person:

* ``\xNN`` is one byte of the name: an ASCII control character, or a byte that is not part of valid UTF-8;
* ``\uNNNN`` and ``\UNNNNNNNN`` are one character by its code point;
* ``\\`` is a backslash.

Bash reads all of these inside ``$'...'``, so that a name can be taken from the screen back to a shell.
"""

from __future__ import annotations

import re
import unicodedata

# isprintable() lets these pass, because Unicode files them under letters, marks and symbols; yet they leave no ink
# (variation selectors, Hangul fillers, the blank Braille cell), and two names that differ by one would look the same.
_INKLESS = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U0001d159\U000e0100-\U000e01ef"
)
_UNSAFE = re.compile(rf"[\\{_INKLESS}]")

# The vowels and final consonants of a decomposed Hangul syllable are drawn inside the cells of its first consonant.
_JOINING_JAMO = re.compile("[\u1160-\u11ff\ud7b0-\ud7fb]")


def printable(text: str) -> str:
    """``text`` without any character that acts on a terminal, reorders its line, or cannot be seen.

    Equal results mean equal arguments: the escapes (see the module) can be undone. Takes any ``str``.
    """
    # A mark at the start would be drawn onto whatever stands before the name.
    start = 1 if text and _cells(text[0]) == 0 else 0
    if not start and text.isprintable() and not _UNSAFE.search(text):
        return text
    return "".join(
        char if at >= start and char.isprintable() and not _UNSAFE.match(char) else escape(char)
        for at, char in enumerate(text)
    )


def escape(char: str) -> str:
    """The escape for one character, in the notation of this module."""
    code = ord(char)
    if char == "\\":
        return r"\\"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def width(text: str) -> int:
    """The number of terminal cells that ``text``, as :func:`printable` returns it, takes up."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def pad(text: str, cells: int) -> str:
    """``text`` with blanks after it, up to ``cells`` terminal cells; longer text stays whole."""
    return text + " " * (cells - width(text))


def quoted_name(text: str) -> str:
    """:func:`printable`, in quotes where it would look like nothing, like another name, or like a mark of ours."""
    return quoted(text) if text.strip(" ") != text or text[:1] in {"", "<", '"'} else printable(text)


def quoted(text: str) -> str:
    """:func:`printable`, in quotes."""
    return '"' + printable(text).replace('"', '\\"') + '"'


def shortened(text: str, cells: int) -> str:
    """Shorten what :func:`printable` returned to so many cells: the beginning and the end of a longer text."""
    if width(text) <= cells:
        return text
    end = cells // 2
    return f"{_fitting(text, cells - 1 - end)}…{_fitting(text[::-1], end)[::-1]}"


def size(count: int) -> str:
    """A number of bytes for people: ``"0"``, ``"999 B"``, ``"4.0 KiB"``."""
    if -1024 < count < 1024:
        return f"{count} B" if count else "0"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB", "PiB"):
        amount /= 1024
        if abs(amount) < 999.95:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} EiB"


def _fitting(text: str, cells: int) -> str:
    used = 0
    for at, char in enumerate(text):
        used += _cells(char)
        if used > cells:
            return text[:at]
    return text


def escape_unencodable(error: UnicodeError) -> tuple[str, int]:
    """A :func:`codecs.register_error` handler: what the stream's encoding has no bytes for is written as its escape.

    ``backslashreplace`` would write U+00E9 as ``\\xe9``, which in this notation is the byte E9. Raises ``error`` when
    it is not about encoding.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(escape, error.object[error.start : error.end])), error.end


def encodable(text: str, encoding: str) -> bool:
    """Tell whether the encoding has bytes for all of the text."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _cells(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me"} or unicodedata.combining(char) or _JOINING_JAMO.match(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
