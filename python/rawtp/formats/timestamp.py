"""A moment, in nanoseconds of Unix time, as text."""

from __future__ import annotations

import time

_NS = 1_000_000_000


class Clock:
    """Local time, or UTC. What a second looks like is worked out once for all events in it."""

    def __init__(self, *, utc: bool = False) -> None:
        self._broken_down = time.gmtime if utc else time.localtime
        self._utc = utc
        self._second: int | None = None
        self._iso = self._day = self._zone = ""

    def of_day(self, ts_ns: int) -> str:
        """``"22:13:20.123"``."""
        second, rest_ns = divmod(ts_ns, _NS)
        if second != self._second:
            self._turn(second)
        return f"{self._day}.{rest_ns // 1_000_000:03d}"

    def of_date(self, ts_ns: int) -> str:
        """``"2023-11-14 22:13:20.123"``."""
        second, rest_ns = divmod(ts_ns, _NS)
        if second != self._second:
            self._turn(second)
        return f"{self._iso[:-9]} {self._day}.{rest_ns // 1_000_000:03d}"

    def date(self, ts_ns: int) -> str:
        """``"2023-11-14"``."""
        second = ts_ns // _NS
        if second != self._second:
            self._turn(second)
        return self._iso[:-9]

    def iso(self, ts_ns: int) -> str:
        """ISO 8601 with all nanoseconds: ``"2023-11-14T22:13:20.123999999Z"``, or with an offset such as ``+01:00``."""
        second, rest_ns = divmod(ts_ns, _NS)
        if second != self._second:
            self._turn(second)
        return f"{self._iso}.{rest_ns:09d}{self._zone}"

    def _turn(self, second: int) -> None:
        moment = self._broken_down(second)
        self._day = time.strftime("%H:%M:%S", moment)
        self._iso = time.strftime("%Y-%m-%dT%H:%M:%S", moment)
        offset = time.strftime("%z", moment)
        self._zone = "Z" if self._utc else f"{offset[:3]}:{offset[3:]}"
        self._second = second
