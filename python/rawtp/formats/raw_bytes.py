r"""Bytes that are no UTF-8, in text for programs: seen as ``\xNN``, and exact in base64.

:func:`os.fsdecode` leaves such a byte in the text as a lone surrogate, which no encoding has bytes for.
"""

from __future__ import annotations

import base64
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_UNDECODED = re.compile("[\udc80-\udcff]")


def visible(text: str) -> str:
    r"""The text with ``\xNN`` for every undecoded byte: UTF-8 can encode it."""
    return text if text.isascii() else _UNDECODED.sub(lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", text)


def in_base64(text: str) -> str:
    """The bytes that the text was made of."""
    return base64.b64encode(os.fsencode(text)).decode("ascii")


def each_text(change: Callable[[str], str], value: object) -> object:
    """The value with its text changed, in whatever tuples and dicts it is; tuples become lists, and bytes text."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, bytes):
        return change(os.fsdecode(value))
    if isinstance(value, dict):
        return {key: each_text(change, one) for key, one in value.items()}
    return [each_text(change, one) for one in value] if isinstance(value, tuple) else value


def exact(event: Mapping[str, object], keys: Iterable[str]) -> dict[str, object]:
    """``filename_bytes`` and such: the bytes, in base64, of those of these keys whose text :func:`visible` changes."""
    found = {}
    for key in keys:
        value = event[key]
        if value is None or (isinstance(value, str) and value.isascii()):
            continue
        if each_text(visible, value) != each_text(str, value):
            found[f"{key}_bytes"] = each_text(in_base64, value)
    return found
