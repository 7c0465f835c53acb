"""Moments of --since and --until."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawtp.cli.moments import moment, parse

NS = 1_000_000_000
NOW = int(datetime(2026, 11, 27, 21, 0, 0, tzinfo=timezone.utc).timestamp()) * NS + 123_456_789


@pytest.fixture(autouse=True, scope="module", params=["UTC", "Europe/Berlin"])
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield request.param
    time.tzset()


def local(*parts: int) -> int:
    return int(datetime(*parts).timestamp()) * NS  # type: ignore[arg-type]


def utc(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=timezone.utc).timestamp()) * NS  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("2h", 7200), ("30m", 1800), ("30min", 1800), ("1h30m", 5400), ("1h 30m", 5400), ("90s", 90), ("90 sec", 90)),
        *(("7d", 604800), ("1w", 604800), ("2h ago", 7200), ("1.5h", 5400), ("0s", 0), (" 2H ", 7200)),
    ],
)
def test_a_length_of_time_is_so_long_ago(text: str, seconds: int) -> None:
    assert parse(text, NOW) == NOW - seconds * NS


def test_words() -> None:
    assert parse("now", NOW) == NOW
    day = datetime.fromtimestamp(NOW // NS)
    before = day - timedelta(days=1)
    assert parse("today", NOW) == local(day.year, day.month, day.day)
    assert parse("Yesterday", NOW) == local(before.year, before.month, before.day)
    assert parse("yesterday 22:05", NOW) == local(before.year, before.month, before.day, 22, 5)
    assert parse("02:30", NOW) == local(day.year, day.month, day.day, 2, 30)
    assert parse("02:30:15.5", NOW) == local(day.year, day.month, day.day, 2, 30, 15) + NS // 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-26T02:30:00Z", utc(2026, 11, 26, 2, 30)),
        ("2026-11-26 02:30:00.123456789Z", utc(2026, 11, 26, 2, 30) + 123_456_789),
        ("2026-11-26 02:30:00,5 UTC", utc(2026, 11, 26, 2, 30) + NS // 2),
        ("2026-11-26T02:30+01:00", utc(2026, 11, 26, 1, 30)),
        ("2026-11-26T02:30-0530", utc(2026, 11, 26, 8, 0)),
        ("@1700000000", 1_700_000_000 * NS),
        ("@1700000000.000000001", 1_700_000_000 * NS + 1),
    ],
)
def test_exact_times(text: str, expected: int) -> None:
    assert parse(text, NOW) == expected


def test_a_date_is_its_beginning_here() -> None:
    assert parse("2026-07-01", NOW) == local(2026, 7, 1)
    assert parse("2026-07-01 12:00", NOW) == local(2026, 7, 1, 12)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "5", "-2y", "2y", "2h3", "1M", "2 M ago", "tomorrow"),
        *("2026-02-30", "2026-13-01", "2026-11-26T25:00", "25:00"),
        *("2026-11-26T02:30+01:60", "2026-11-26T02:30+99:00", "٢h", "yesterday25:00", "0000-01-01", "@", "@1.", "@-1"),
        *("1969-01-01", "9999-12-31", "2026-11-26T", "2h ago ago", "ago", "nan", "infs", "1e3s"),
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a time: such as yesterday"):
        moment(text)


def test_a_length_of_time_has_no_sign() -> None:
    with pytest.raises(
        argparse.ArgumentTypeError, match=r"^' -2h' is not a time: '2h' is that long ago, without a sign$"
    ):
        moment(" -2h")


@given(st.text())
def test_any_text_is_a_time_or_is_refused(text: str) -> None:
    try:
        found = moment(text)
    except argparse.ArgumentTypeError:
        return
    assert 0 <= found < 2**63


@given(st.integers(0, 2**33), st.integers(0, NS - 1))
def test_what_iso_prints_is_read_back(second: int, rest_ns: int) -> None:
    exact = second * NS + rest_ns
    text = datetime.fromtimestamp(second, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest_ns:09d}Z"
    assert parse(text, NOW) == exact
    assert parse(f"@{second}.{rest_ns:09d}", NOW) == exact


@given(st.integers(0, 10**9), st.sampled_from(["s", "m", "h", "d", "w"]))
def test_lengths(count: int, unit: str) -> None:
    seconds = count * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
    found = parse(f"{count}{unit}", NOW)
    assert found is not None
    assert abs(found - max(NOW - seconds * NS, 0)) <= 256  # a float's room at most
