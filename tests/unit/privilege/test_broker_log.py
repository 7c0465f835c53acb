"""A broker's log: so much of each user, and no reader who could hold it up."""

from __future__ import annotations

import fcntl
import os
import threading
from typing import TYPE_CHECKING

import pytest

from helpers.support import wait_for
from rawtp._privilege import broker_log
from rawtp._privilege.broker_log import UserLog, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

HANG_S = 60.0


def test_more_refusals_of_a_user_are_counted_and_told_at_the_end_of_the_window() -> None:
    lines: list[str] = []
    log = UserLog(lines.append)
    for number in range(22_870):
        log.line(100.0 + number / 1000, 1000, "refuse", f"uid=1000 why={number}")
    log.line(123.0, 1001, "refuse", "uid=1001 why=x")
    assert lines == [*(f"refuse uid=1000 why={number}" for number in range(10)), "refuse uid=1001 why=x"]
    assert log.until() == 160.0
    log.tell(159.9)
    assert len(lines) == 11
    log.tell(160.0)
    assert lines[11:] == ["and 22,860 more refusals of uid 1000 in 60 s"]
    assert log.until() is None
    log.line(161.0, 1000, "refuse", "uid=1000 why=again")
    log.close()
    assert lines[12:] == ["refuse uid=1000 why=again"]


def test_grants_and_ends_are_counted_each_for_itself() -> None:
    lines: list[str] = []
    log = UserLog(lines.append)
    for _ in range(150):
        for word in ("grant", "end", "refuse"):
            log.line(0.0, 7, word, "x")
    assert [lines.count(f"{word} x") for word in ("grant", "end", "refuse")] == [100, 100, 10]
    log.close()
    assert lines[210:] == ["and 140 more refusals, 50 more grants, 50 more ends of uid 7 in 60 s"]


def test_all_users_together_have_a_bound_too() -> None:
    """One person can have 65,536 user ids."""
    lines: list[str] = []
    log = UserLog(lines.append)
    for uid in range(65_536):
        log.line(0.0, uid, "refuse", "x")
    log.close()
    # 256 users are told apart; the others have the lines of one.
    assert lines == ["refuse x"] * 266 + ["and 65,270 more refusals of other users in 60 s"]
    lines.clear()
    for uid in range(200):
        for _ in range(10):
            log.line(60.0, uid, "refuse", "x")
    log.close()
    assert lines.count("refuse x") == broker_log.LINES_OF_ALL
    assert lines[1000:] == [f"and 10 more refusals of uid {uid} in 60 s" for uid in range(100, 200)]


def test_a_line_has_a_bound() -> None:
    lines: list[str] = []
    UserLog(lines.append).line(0.0, 7, "refuse", "x" * 4096)
    assert lines == ["refuse " + "x" * 300 + "..."]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def read(reader: int, until: bytes) -> bytes:
    text = b""
    while until not in text:
        more = os.read(reader, 1 << 16)
        assert more
        text += more
    return text


@pytest.mark.timeout(2 * HANG_S)
def test_a_reader_who_stops_holds_up_nobody_and_is_told_what_he_missed(pipe: tuple[int, int]) -> None:
    reader, descriptor = pipe
    writer = Writer(descriptor)
    os.write(descriptor, b"x" * 4096)  # the pipe is full
    writer.write("line 0")
    wait_for(lambda: not writer._lines, "it is in the hands of the thread, which cannot write it")
    for number in range(1, 5000):  # a queue of 2,000 lines
        writer.write(f"line {number}")
    writer.close()  # returns, though nobody reads
    assert writer._thread.is_alive()
    text = read(reader, b"are missing here: nobody took them\n").decode().lstrip("x")
    there = [f"rawtp: line {number}\n" for number in range(2001)]
    assert text.splitlines(keepends=True) == [
        *there,
        "rawtp: 2,999 lines of this log are missing here: nobody took them\n",
    ]
    writer._thread.join(HANG_S)
    assert not writer._thread.is_alive()


@pytest.mark.timeout(2 * HANG_S)
def test_the_gap_is_where_the_lines_would_be(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_log, "_QUEUE_LINES", 2)
    reader, descriptor = pipe
    os.write(descriptor, b"x" * 4096)
    writer = Writer(descriptor)
    writer.write("0")
    wait_for(lambda: not writer._lines, "it is in the hands of the thread, which cannot write it")
    for number in range(1, 6):
        writer.write(str(number))
    text = read(reader, b"nobody took them\n").decode().lstrip("x")
    assert text == "rawtp: 0\nrawtp: 1\nrawtp: 2\nrawtp: 3 lines of this log are missing here: nobody took them\n"
    writer.write("6")
    assert read(reader, b"\n") == b"rawtp: 6\n"
    writer.close()
    assert not writer._thread.is_alive()


def test_a_reader_who_is_gone() -> None:
    reader, descriptor = os.pipe()
    os.close(reader)
    writer = Writer(descriptor)
    for number in range(5000):
        writer.write(str(number))
    writer.close()
    assert not writer._thread.is_alive()
    os.close(descriptor)


@pytest.mark.timeout(2 * HANG_S)
def test_a_descriptor_that_somebody_else_has_made_non_blocking(pipe: tuple[int, int]) -> None:
    reader, descriptor = pipe
    os.set_blocking(descriptor, False)
    writer = Writer(descriptor)
    text: list[bytes] = []
    thread = threading.Thread(target=lambda: text.append(read(reader, b"line 999\n")), daemon=True)
    for number in range(1000):
        writer.write(f"line {number}")
    thread.start()
    thread.join(HANG_S)
    assert text == [b"".join(b"rawtp: line %d\n" % number for number in range(1000))]
    writer.close()
    assert not writer._thread.is_alive()
