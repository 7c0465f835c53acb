"""All that comes in a while, as one batch."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.frames import READERS, Rows, expected
from helpers.support import HANG_S, assert_ledger_of, settle, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

libc = ctypes.CDLL(None, use_errno=True)


def delete(first: int, last: int) -> None:
    for number in range(first, last):
        libc.unlink(f"/nonexistent/{number}".encode())


def numbers(batch: rawtp.Batch) -> list[int]:
    return [int((event["filename"] or "").removeprefix("/nonexistent/")) for event in batch.to_dicts()]


def test_it_takes_all_that_comes_in_its_time(own: rawtp.Tracer) -> None:
    """What was there before, too, and not only the first that come."""

    def work() -> None:
        for number in range(5):
            time.sleep(0.15)
            delete(10 + number * 100, 10 + (number + 1) * 100)

    delete(0, 10)
    thread = threading.Thread(target=work)
    start = time.monotonic()
    thread.start()
    batch = own.to_arrow(duration=3)
    assert time.monotonic() - start >= 3
    thread.join(HANG_S)
    assert numbers(batch) == list(range(510))
    assert own.stats().delivered == 510
    assert_ledger_of(own)


@pytest.mark.parametrize("read", READERS)
def test_a_reader_sees_the_events(own: rawtp.Tracer, read: Callable[[object], Rows]) -> None:
    delete(0, 3)
    libc.unlink(b"/nonexistent/\xff")
    own.close()
    batch = own.to_arrow()
    assert len(batch) == 4
    assert read(batch) == expected(batch.to_dicts())


@pytest.mark.parametrize("duration", [None, HANG_S, math.inf, 1e300])
def test_a_close_ends_it(own: rawtp.Tracer, duration: float | None) -> None:
    def work() -> None:
        for number in range(4):
            delete(number * 100, (number + 1) * 100)
            time.sleep(0.05)
        delete(400, 500)
        own.close()

    thread = threading.Thread(target=work)
    start = time.monotonic()
    thread.start()
    batch = own.to_arrow(duration)
    thread.join(HANG_S)
    assert numbers(batch) == list(range(500))
    assert time.monotonic() - start < HANG_S
    assert (own.stats().delivered, own.stats().discarded) == (500, 0)


def test_of_a_closed_tracer_it_is_the_rest(own: rawtp.Tracer) -> None:
    delete(0, 5)
    own.close()
    assert numbers(own.to_arrow()) == list(range(5))
    assert len(own.to_arrow()) == len(own.to_arrow(duration=HANG_S)) == 0
    assert_ledger_of(own)


def test_it_waits_no_longer_than_for_max_rows(own: rawtp.Tracer) -> None:
    """And the others wait for the next call."""
    delete(0, 250)
    assert numbers(own.to_arrow(max_rows=100)) == list(range(100))
    assert numbers(own.to_arrow(HANG_S, max_rows=100)) == list(range(100, 200))
    own.close()
    assert numbers(own.to_arrow(max_rows=100)) == list(range(200, 250))


def test_no_time_at_all(own: rawtp.Tracer) -> None:
    assert len(own.to_arrow(0)) == 0
    delete(0, 5)
    settle(own, 5)
    assert numbers(own.to_arrow(0)) == list(range(5))


def test_the_ledger_is_exact_meanwhile(own: rawtp.Tracer) -> None:
    found: list[rawtp.Batch] = []
    thread = threading.Thread(target=lambda: found.append(own.to_arrow()))
    thread.start()
    delete(0, 1000)
    wait_for(lambda: own.stats().delivered == 1000, "all are taken")
    assert_ledger_of(own)
    assert own.stats().discarded == 0
    own.close()
    thread.join(HANG_S)
    assert numbers(found[0]) == list(range(1000))


def test_what_an_exception_takes_away_is_counted() -> None:
    source = """
import os, rawtp
tracer = rawtp.Tracer(pid=os.getpid())
for number in range(7):
    try:
        os.remove(f"/nonexistent/{number}")
    except OSError:
        pass
print("ready", flush=True)
import threading, time
def tell():
    while tracer.stats().delivered < 7:
        time.sleep(0.01)
    print("taken", flush=True)
threading.Thread(target=tell).start()
try:
    tracer.to_arrow()
except KeyboardInterrupt:
    print(tracer.closed, tracer.stats().delivered, tracer.stats().discarded, tracer.stats().matched)
"""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "taken\n"]
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=HANG_S)
    closed, delivered, discarded, matched = out.split()
    assert (closed, delivered, discarded) == ("False", "0", "7")
    assert int(matched) >= 7
    assert process.returncode == 0


@pytest.mark.parametrize("duration", [-1, math.nan, -math.inf])
def test_a_wrong_duration(own: rawtp.Tracer, duration: float) -> None:
    with pytest.raises(ValueError, match=r"^duration must be None or a number of seconds >= 0, not "):
        own.to_arrow(duration)


def test_a_duration_that_is_no_number(own: rawtp.Tracer) -> None:
    with pytest.raises(TypeError, match=r"^duration must be None or a number of seconds >= 0, not list$"):
        own.to_arrow([])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("max_rows", "error", "message"),
    [
        (0, ValueError, "max_rows must be at least 1, not 0"),
        (True, TypeError, "max_rows must be an int, not bool"),
        (2**64, ValueError, f"max_rows is out of range: {2**64}"),
    ],
)
def test_a_wrong_max_rows(own: rawtp.Tracer, max_rows: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        own.to_arrow(0, max_rows)


def test_a_forked_child(own: rawtp.Tracer) -> None:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            with pytest.raises(RuntimeError, match=r"^this tracer belongs to the process that created it"):
                own.to_arrow(0)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
