"""Keys as ranges, waits, the wire format, and JSON of records."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.recorded import recorded
from rawtp._feed.position import Place, Position, Seen, compose, parse
from rawtp._ship.backoff import MOST_ASKED_S, MOST_S, Backoff
from rawtp._ship.credentials import check_url
from rawtp.sinks import protobuf
from rawtp.sinks.base import Origin
from rawtp.sinks.http import retry_after_s
from rawtp.sinks.journald import fields
from rawtp.sinks.otlp import headers
from rawtp.sinks.records import shortened, to_json
from rawtp.sinks.syslog import MAX_BYTES, line

ORIGIN = Origin("m", "b", 7, "web-1")
JOURNAL_REMOTE = Path("/lib/systemd/systemd-journal-remote")


def event(seq: int, cpu: int = 0, via: str = "syscall") -> dict[str, Any]:
    return {"seq": seq, "cpu": cpu, "via": via}


def record(**changes: Any) -> dict[str, Any]:
    made = recorded(**changes)
    return {"type": "event", "key": ORIGIN.event_key(made), **made}


@given(st.lists(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 2)), max_size=20), max_size=10))
def test_ranges_are_the_keys_that_were_added(batches: list[list[tuple[int, int]]]) -> None:
    seen, expected = Seen({}), set()
    for batch in batches:
        seen.add(event(seq, cpu) for seq, cpu in batch)
        expected |= {*batch}
    assert {(seq, cpu) for seq in range(62) for cpu in range(3) if event(seq, cpu) in seen} == expected
    for ranges in seen.ranges.values():
        assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(ranges))
    # As it comes back from the disk.
    again = Seen(json.loads(json.dumps(seen.ranges)))
    assert again.ranges == seen.ranges


def test_too_many_ranges_are_given_up() -> None:
    place = Place()
    place.seen.add(event(2 * seq) for seq in range(10_001))
    assert place.seen.is_given_up
    assert event(2) not in place.seen
    assert Place(json.loads(json.dumps(place.to_dict()))).seen.is_given_up


def test_a_flipped_bit_is_no_position() -> None:
    content = compose({"version": 1, "beat": 3, "position": Position().to_dict()})
    assert parse(content + b"   ") == parse(content) is not None
    for at in range(8 * (len(content) - 1)):
        flipped = bytearray(content)
        flipped[at // 8] ^= 1 << at % 8
        assert parse(bytes(flipped)) is None, at


def test_waits_grow_and_end() -> None:
    backoff = Backoff()
    waits = [backoff.after_failure() for _ in range(12)]
    assert 0.25 <= waits[0] <= 0.5
    assert all(MOST_S / 2 <= wait <= MOST_S for wait in waits[8:])
    assert 30.0 <= backoff.after_failure(30.0) <= 30.0 + MOST_S
    assert backoff.after_failure(1e9) <= MOST_ASKED_S + MOST_S
    backoff.after_success()
    assert backoff.after_failure() <= 0.5


def test_retry_after() -> None:
    assert retry_after_s({"retry-after": "120"}) == 120.0
    assert retry_after_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert retry_after_s({"retry-after": "soon"}) is None
    assert retry_after_s({}) is None


@given(st.integers(-(1 << 63), (1 << 64) - 1))
def test_varints(value: int) -> None:
    assert [*protobuf.fields(protobuf.integer(3, value))] == [(3, value & (1 << 64) - 1)]


def test_any_bytes_are_a_message_or_an_error() -> None:
    generator = random.Random(1)  # noqa: S311
    for _ in range(2000):
        with contextlib.suppress(ValueError):
            [*protobuf.fields(generator.randbytes(generator.randrange(30)))]


def test_headers_of_opentelemetry() -> None:
    assert headers("a=b, Authorization=Bearer%20x%3D") == {"a": "b", "Authorization": "Bearer x="}
    for wrong in ("a", "=b", "a=b%0d%0aHost: x"):
        with pytest.raises(ValueError, match="NAME=VALUE"):
            headers(wrong)


def test_hostile_names_in_json() -> None:
    made = json.loads(to_json(record(path="/srv/\udcff\x1b[31m\n", argv=("rm", "\udcfe"))))
    assert made["path"] == "/srv/\\xff\x1b[31m\n"
    assert made["path_bytes"] == "L3Nydi//G1szMW0K"
    assert made["argv"] == ["rm", "\\xfe"]
    assert made["argv_bytes"] == ["cm0=", "/g=="]
    assert [*made][:2] == ["type", "key"]
    assert made["key"] == "m:b:7:syscall:1:7"


def test_a_syslog_line_is_one_line_and_no_longer_than_it_may() -> None:
    long = record(argv=("x" * 9000,), path="/srv/a\n<13>1 forged")
    text = line(long, ORIGIN)
    assert len(text) <= MAX_BYTES
    assert b"\n" not in text
    assert text.startswith(b"<29>1 2023-11-14T22:13:20.123999Z web-1 rawtp 12345 delete - @cee:{")
    made = json.loads(text.partition(b"@cee:")[2])
    assert made["left_out"] == ["ancestors", "parent_argv", "argv"] or made["left_out"] == ["ancestors", "argv"]
    assert json.loads(shortened(record(), 100_000)).get("left_out") is None


def test_a_value_of_the_journal_is_no_field() -> None:
    made = fields(record(path="/srv/\udcff\nPRIORITY=0"))
    assert (
        b"\nRAWTP_PATH\n" + (len(b"/srv/\xff\nPRIORITY=0")).to_bytes(8, "little") + b"/srv/\xff\nPRIORITY=0\n" in made
    )
    assert made.count(b"PRIORITY=6\n") == 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://user@host", "can be seen by everybody"),
        ("ftp://host", "must begin with https://"),
        ("https://", "names no host"),
        ("https://host:99999", "is no URL"),
        ("https://host:0", "has the port 0"),
    ],
)
def test_urls(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_url(url, ("https",))


@pytest.mark.skipif(not JOURNAL_REMOTE.exists(), reason="no systemd-journal-remote")
def test_systemd_reads_what_the_journal_gets(tmp_path: Path) -> None:
    """The native protocol has the fields of the export format, which systemd-journal-remote reads."""
    made = record(path="/srv/\udcff\nPRIORITY=0")
    entry = b"__REALTIME_TIMESTAMP=1700000000000000\n_BOOT_ID=" + b"a" * 32 + b"\n" + fields(made) + b"\n"
    journal = tmp_path / "x.journal"
    subprocess.run([JOURNAL_REMOTE, "-o", journal, "-"], input=entry, check=True, capture_output=True, timeout=60)
    command = ["journalctl", "--file", str(journal), "--output", "json", "--all"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert bytes(found["RAWTP_PATH"]) == b"/srv/\xff\nPRIORITY=0"
    assert (found["RAWTP_KEY"], found["PRIORITY"], found["RAWTP_PID"]) == (made["key"], "6", "12345")
