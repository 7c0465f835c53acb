"""Moments as people give them, in nanoseconds of Unix time."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

Moment: TypeAlias = "datetime | timedelta | int"
"""A datetime, which is local without a tzinfo; a timedelta before now; or a Unix time in nanoseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LEAST_NS = 10**15  # 12 January 1970; a time of today in s, ms or µs is below 2 * 10**15
_LARGEST_NS = 2**63 - 1
_MICROSECOND = timedelta(microseconds=1)


def nanoseconds(moment: Moment | None, name: str, now_ns: int | None = None) -> int | None:
    """The moment as a Unix time in ns; None for None. ``name`` is the argument's, for errors.

    Raises:
        TypeError: it is none of the types of :data:`Moment`.
        ValueError: a time that no recorder can have seen.
    """
    if moment is None:
        return None
    if isinstance(moment, datetime):
        found = _of_datetime(moment)
    elif isinstance(moment, timedelta):
        if moment < timedelta(0):
            raise ValueError(f"{name}: {moment!r} is a time in the future: a timedelta counts back from now")
        now_ns = time.time_ns() if now_ns is None else now_ns
        # Times before 1970 are as good as 1970: nothing was recorded then.
        found = max(now_ns - moment // _MICROSECOND * 1000, 0)
    elif isinstance(moment, int) and not isinstance(moment, bool):
        if 0 < moment < _LEAST_NS:
            raise ValueError(f"{name}: {moment} is in January 1970: it must be a Unix time in nanoseconds")
        found = moment
    else:
        kind = type(moment).__name__
        raise TypeError(f"{name} must be a datetime, a timedelta or a Unix time in ns (int), not {kind}")
    if not 0 <= found <= _LARGEST_NS:
        raise ValueError(f"{name}: {moment!r} is not between the years 1970 and 2262")
    return found


def window(since: Moment | None, until: Moment | None) -> tuple[int | None, int | None]:
    """Both ends in ns.

    Raises:
        TypeError: as :func:`nanoseconds`.
        ValueError: as :func:`nanoseconds`, or ``until`` is before ``since``.
    """
    now_ns = time.time_ns()
    since_ns, until_ns = nanoseconds(since, "since", now_ns), nanoseconds(until, "until", now_ns)
    if since_ns is not None and until_ns is not None and until_ns < since_ns:
        raise ValueError("until is before since")
    return since_ns, until_ns


def _of_datetime(moment: datetime) -> int:
    # timestamp() gives a float, which has no room for microseconds of today.
    try:
        aware = moment.astimezone(timezone.utc)
    except (OverflowError, ValueError, OSError):  # the year 1 in a zone east of Greenwich
        return -1
    return (aware - _EPOCH) // _MICROSECOND * 1000
