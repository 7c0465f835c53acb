"""Moments as text."""

from __future__ import annotations

import datetime
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawtp.formats.timestamp import Clock


@pytest.mark.parametrize(
    ("zone", "iso", "day"),
    [
        ("UTC", "2023-11-14T22:13:20.123999999+00:00", "22:13:20.123"),
        ("NPT-05:45", "2023-11-15T03:58:20.123999999+05:45", "03:58:20.123"),
        ("EST5", "2023-11-14T17:13:20.123999999-05:00", "17:13:20.123"),
    ],
)
def test_local_time(zone: str, iso: str, day: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        clock = Clock()
        assert (clock.iso(1_700_000_000_123_999_999), clock.of_day(1_700_000_000_123_999_999)) == (iso, day)
        assert Clock(utc=True).iso(1_700_000_000_000_000_001) == "2023-11-14T22:13:20.000000001Z"
    time.tzset()


@given(st.lists(st.integers(0, 4_000_000_000_000_000_000), min_size=1, max_size=5))
def test_every_nanosecond_is_there(moments: list[int]) -> None:
    clock = Clock(utc=True)
    for ts_ns in moments:
        text = clock.iso(ts_ns)
        whole = datetime.datetime.fromisoformat(text[:19] + "+00:00")
        assert int(whole.timestamp()) * 1_000_000_000 + int(text[20:29]) == ts_ns
        assert clock.of_day(ts_ns) == text[11:23]
