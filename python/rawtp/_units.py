"""Sizes and durations as people write them."""

from __future__ import annotations

import math
import re
import sys

_UNITS_S = {"ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|m|h|d|w)")
_SIZE = re.compile(r"(\d+)(?:([kmg])(?:ib)?)?", re.IGNORECASE)


def size(text: str) -> int:
    """Parse a number of bytes, KiB, MiB or GiB from 1 up; gives bytes.

    Raises:
        ValueError: it is none.
    """
    found = _SIZE.fullmatch(text) if text.isascii() else None
    number = int(found[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[(found[2] or "").lower()] if found else 0
    if not 1 <= number <= sys.maxsize:
        raise ValueError(f"{text!r} is not a number of bytes from 1 up, such as 4194304, 4096KiB or 4MiB")
    return number


def seconds(text: str) -> float:
    """Parse a duration above 0, in seconds or with units; gives seconds.

    Raises:
        ValueError: it is none.
    """
    try:
        number = float(text)
    except ValueError:
        parts = _DURATION.findall(text) if text.isascii() else []
        is_whole = "".join(map("".join, parts)) == text
        number = sum(float(count) * _UNITS_S[unit] for count, unit in parts) if is_whole else 0.0
    if not 0 < number < math.inf:
        raise ValueError(f"{text!r} is not a time above 0: seconds, or such as 500ms, 2m, 1h30m or 90d")
    return number
