"""Moments on the command line: ``yesterday``, ``2h``, ``2026-11-26T02:30``."""

from __future__ import annotations

import argparse
import re
import time
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS_S = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_LENGTH = re.compile(r"(?:\d+(?:\.\d+)? ?(?:sec|min|[smhdw]) ?)+")
_PART = re.compile(r"(\d+(?:\.\d+)?) ?(sec|min|[smhdw])")
_CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
_TIME = re.compile(_CLOCK)
_DAY = re.compile(rf"(today|yesterday)(?: {_CLOCK})?")
_DATE = re.compile(rf"(\d{{4}})-(\d{{2}})-(\d{{2}})(?:[t ]{_CLOCK}(?: ?(z|utc|[+-]\d{{2}}:?\d{{2}}))?)?")
_UNIX = re.compile(r"@(\d{1,12})(?:\.(\d{1,9}))?")
_NS = 1_000_000_000
_LARGEST_NS = 2**63 - 1
_LEAST_NS = 10**15  # what is below in ns is no time at which anything was recorded


def moment(text: str) -> int:
    """Parse a moment; gives a Unix time in ns.

    A time without a zone is local. A length of time is that long ago. A day, or a word for one, is its beginning.
    """
    found = parse(text, time.time_ns())
    sign, unsigned = text.strip()[:1], text.strip()[1:]
    if sign == "-" and parse(unsigned, 0) is not None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: {unsigned!r} is that long ago, without a sign")
    if found is None or not 0 <= found <= _LARGEST_NS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time: such as yesterday, 'yesterday 22:00', 30m, 2h, 7d, 02:30, 2026-11-26 or"
            " 2026-11-26T02:30"
        )
    if 0 < found < _LEAST_NS:
        raise argparse.ArgumentTypeError(f"{text!r} is in January 1970: behind an @ comes a Unix time in seconds")
    return found


def past(text: str) -> int:
    """Parse a moment that has been; gives a Unix time in ns."""
    found = moment(text)
    if found > time.time_ns():
        words = text.strip()
        advice = f"; of the day before, it is 'yesterday {words}'" if _TIME.fullmatch(words) else ""
        raise argparse.ArgumentTypeError(f"{text!r} is a time in the future{advice}")
    return found


def parse(text: str, now_ns: int) -> int | None:
    """The moment in ns, which may be out of all bounds; None where the text has none."""
    words = " ".join(text.lower().split())
    if not words.isascii():
        return None
    if words == "now":
        return now_ns
    # An M could be meant for months.
    if (found := _LENGTH.fullmatch(words.removesuffix(" ago"))) and "M" not in text:
        ago_ns = sum(round(float(count) * _UNITS_S[unit] * _NS) for count, unit in _PART.findall(found[0]))
        return max(now_ns - ago_ns, 0)
    if found := _UNIX.fullmatch(words):
        return int(found[1]) * _NS + _fraction(found[2])
    try:
        return _by_calendar(words, now_ns)
    except (ValueError, OverflowError, OSError):  # the 31st of February, or a year that no clock has
        return None


def _by_calendar(words: str, now_ns: int) -> int | None:
    today = datetime.fromtimestamp(now_ns // _NS)
    if found := _TIME.fullmatch(words):
        return _at(today.year, today.month, today.day, found.groups())
    if found := _DAY.fullmatch(words):
        day = today - timedelta(days=int(found[1] == "yesterday"))
        return _at(day.year, day.month, day.day, found.groups()[1:])
    if found := _DATE.fullmatch(words):
        year, month, day_of_month, *clock, zone = found.groups()
        return _at(int(year), int(month), int(day_of_month), clock, None if zone is None else _zone(zone))
    return None


def _at(year: int, month: int, day: int, clock: Sequence[str | None], zone: tzinfo | None = None) -> int:
    hour, minute, second = (int(part or 0) for part in clock[:3])
    # A whole second is exact in a float.
    return int(datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp()) * _NS + _fraction(clock[3])


def _fraction(digits: str | None) -> int:
    return int((digits or "").ljust(9, "0"))


def _zone(text: str) -> tzinfo:
    if text in {"z", "utc"}:
        return timezone.utc
    hours, minutes = int(text[1:3]), int(text[-2:])
    if minutes > 59:
        raise ValueError(text)
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)
