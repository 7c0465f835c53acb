"""One event as one line of JSON."""

from __future__ import annotations

import base64
import json
import os
import re

TYPE_CHECKING = False  # as checkers know it, without the import of typing
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rawtp.event import Event

# A byte that os.fsdecode could not decode, and left in the text as a lone surrogate.
_UNDECODED = re.compile("[\udc80-\udcff]")

_encode = json.JSONEncoder(separators=(",", ":")).encode


def line(event: Event) -> str:
    r"""The event as one line of ASCII JSON, without the newline: every key, in the event's order.

    Bytes that are not valid UTF-8 are shown as ``\xNN``. That cannot be told from a name that holds those four
    characters, so a second key, ``filename_bytes`` after ``filename``, has the whole value's bytes in base64. It is
    there only when it is needed.
    """
    text = _encode(event)
    # The encoder writes an undecoded byte as \udcNN. Other text may hold that too, and costs only time.
    return _encode(_without_undecoded(event)) if "\\udc" in text else text


def _without_undecoded(event: Mapping[str, object]) -> dict[str, object]:
    shown: dict[str, object] = {}
    for key, value in event.items():
        shown[key] = _each_text(_visible, value)
        if shown[key] != _each_text(str, value):
            shown[f"{key}_bytes"] = _each_text(_encoded, value)
    return shown


def _each_text(change: Callable[[str], str], value: object) -> object:
    """The value with its text changed, in whatever tuples it is."""
    if isinstance(value, str):
        return change(value)
    return [_each_text(change, one) for one in value] if isinstance(value, tuple) else value


def _visible(text: str) -> str:
    return _UNDECODED.sub(lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", text)


def _encoded(text: str) -> str:
    return base64.b64encode(os.fsencode(text)).decode("ascii")
