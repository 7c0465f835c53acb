"""Names as text: what a terminal may get to see."""

from __future__ import annotations

import codecs
import io
import os
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawtp.formats.escape import escape_unencodable, pad, printable, width

NAMES = st.one_of(st.binary().map(os.fsdecode), st.text(st.characters(codec=None)))
ESCAPE = re.compile(r"\\(?:(\\)|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")


def unescaped(shown: str) -> str:
    def char(match: re.Match[str]) -> str:
        backslash, byte, *points = match.groups()
        if backslash:
            return "\\"
        if byte:
            return chr(int(byte, 16) + (0xDC00 if int(byte, 16) >= 0x80 else 0))
        return chr(int(points[0] or points[1], 16))

    return ESCAPE.sub(char, shown)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", ""),
        ("plain name.txt", "plain name.txt"),
        ("über/日本語", "über/日本語"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\tc\r\x00\x7f", r"a\x0ab\x09c\x0d\x00\x7f"),
        ("\x9b2J", r"\u009b2J"),
        ("invoice\u202efdp.exe", r"invoice\u202efdp.exe"),
        ("\u2066a\u2069\u200f\u061c", r"\u2066a\u2069\u200f\u061c"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("no\u00a0break", r"no\u00a0break"),
        ("filler\u3164\uffa0\u2800", r"filler\u3164\uffa0\u2800"),
        ("heart\u2764\ufe0f", "heart\u2764\\ufe0f"),
        ("\udcff\udc80", r"\xff\x80"),
        ("\ud800", r"\ud800"),
        (r"\xff", r"\\xff"),
        ("e\u0301", "e\u0301"),
        ("\u0301e", r"\u0301e"),
    ],
)
def test_printable(name: str, shown: str) -> None:
    assert printable(name) == shown


@given(NAMES)
def test_printable_has_only_characters_that_print(name: str) -> None:
    shown = printable(name)
    assert shown.isprintable()
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    shown.encode("utf-8")


@given(NAMES)
def test_printable_can_be_undone(name: str) -> None:
    assert unescaped(printable(name)) == name


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
def test_no_character_that_moves_the_cursor_passes(code: int) -> None:
    assert chr(code) not in printable(f"a{chr(code)}b")


@pytest.mark.parametrize(
    ("text", "cells"),
    [("", 0), ("abc", 3), ("日本", 4), ("Ａ", 2), ("é", 1), ("e\u0301", 1), ("\u1112\u1161\u11ab", 2), ("🦀", 2)],  # noqa: RUF001
)
def test_width(text: str, cells: int) -> None:
    assert width(text) == cells


@given(NAMES, st.integers(0, 40))
def test_pad_fills_up_and_never_cuts(name: str, cells: int) -> None:
    shown = printable(name)
    padded = pad(shown, cells)
    assert padded.rstrip(" ") == shown.rstrip(" ")
    assert width(padded) == max(width(shown), cells)


@pytest.mark.parametrize(
    ("encoding", "written"), [("ascii", rb"\u00e9 \u65e5 \U0001f980"), ("latin-1", b"\xe9 \\u65e5 \\U0001f980")]
)
def test_a_stream_that_lacks_a_character_gets_its_escape(encoding: str, written: bytes) -> None:
    codecs.register_error("rawtp.test", escape_unencodable)
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, errors="rawtp.test") as stream:
        stream.write("é 日 🦀")
        stream.flush()
        assert raw.getvalue() == written


def test_decoding_errors_are_not_ours() -> None:
    error = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    with pytest.raises(UnicodeDecodeError):
        escape_unencodable(error)
