"""A tracer as a stream of batches, for readers that take all until it is closed."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.frames import Rows, by_polars, by_pyarrow, module
from helpers.support import HANG_S, assert_ledger_of

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

NAME = b"/nonexistent/plain"

libc = ctypes.CDLL(None, use_errno=True)


def delete(name: bytes) -> None:
    libc.unlink(name)


@pytest.mark.parametrize(
    "collect",
    [
        lambda tracer: module("pyarrow").RecordBatchReader.from_stream(tracer).read_all(),
        lambda tracer: module("pyarrow").table(tracer),
        lambda tracer: module("polars").DataFrame(tracer),
        lambda tracer: module("pandas").DataFrame.from_arrow(tracer),
        lambda tracer: module("duckdb").sql("from tracer").to_arrow_table(),
    ],
    ids=["reader", "table", "polars", "pandas", "duckdb"],
)
def test_a_stream_lasts_until_the_close(own: rawtp.Tracer, collect: Callable[[rawtp.Tracer], Any]) -> None:
    """The reader waits without the GIL: the other thread deletes and closes."""

    def work() -> None:
        for number in range(3):
            for _ in range(100):
                delete(f"/nonexistent/{number}".encode())
            time.sleep(0.15)
        delete(b"/nonexistent/last")
        own.close()

    thread = threading.Thread(target=work)
    thread.start()
    found = collect(own)
    thread.join(timeout=HANG_S)
    assert own.stats().delivered == 301
    assert_ledger_of(own)
    names = module("pyarrow").table(found)["filename"].to_pylist()
    assert names == [f"/nonexistent/{number}" for number in range(3) for _ in range(100)] + ["/nonexistent/last"]


def test_a_stream_of_a_closed_tracer_is_the_rest(own: rawtp.Tracer) -> None:
    for _ in range(5):
        delete(NAME)
    own.close()
    assert len(by_polars(own)) == 5
    assert by_polars(own) == []


def test_a_stream_gathers(own: rawtp.Tracer) -> None:
    """Events that come one by one do not make a batch each."""
    stream = iter(module("pyarrow").RecordBatchReader.from_stream(own))

    def work() -> None:
        for _ in range(200):
            delete(NAME)
            time.sleep(0.002)
        own.close()

    thread = threading.Thread(target=work)
    thread.start()
    sizes = [len(batch) for batch in stream]
    thread.join(timeout=HANG_S)
    assert sum(sizes) == 200
    assert len(sizes) < 100, sizes


def test_two_streams_share_the_events(own: rawtp.Tracer) -> None:
    module("pyarrow")
    rows: list[Rows] = []
    threads = [threading.Thread(target=lambda: rows.append(by_pyarrow(own))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(1000):
        delete(NAME)
    own.close()
    for thread in threads:
        thread.join(timeout=HANG_S)
    places = [(row["cpu"], row["seq"]) for part in rows for row in part]
    assert sorted(places) == sorted(set(places))
    assert sum(map(len, rows)) == own.stats().delivered == 1000


def test_ctrl_c_ends_a_stream() -> None:
    module("pyarrow")
    source = """
import os, rawtp, pyarrow
tracer = rawtp.Tracer(pid=os.getpid())
print("ready", flush=True)
try:
    pyarrow.RecordBatchReader.from_stream(tracer).read_all()
except OSError as error:
    print(error, tracer.closed)
"""
    with subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=HANG_S)
    assert re.fullmatch(r".*KeyboardInterrupt:.* False\n", out), out
    assert process.returncode == 0


def test_a_forked_child_gets_no_stream(own: rawtp.Tracer) -> None:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            for use in (own.batch, own.__arrow_c_stream__):
                with pytest.raises(RuntimeError, match=r"^this tracer belongs to the process that created it"):
                    use()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
