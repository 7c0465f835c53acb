"""Batches: the columns that readers of Arrow see are the dicts of the same events."""

from __future__ import annotations

import ctypes
import gc
import importlib
import math
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from support import HANG_S, assert_ledger, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

pytestmark = pytest.mark.kernel

Rows = list[dict[str, Any]]

NAMES = (
    b"/nonexistent/plain",
    b"/nonexistent/\xff\xfe not UTF-8 \xc3",
    rb"/nonexistent/\xff spelled out",
    b"/nonexistent/new\nline \x1b[31m",
    "/nonexistent/Grüße, 世界".encode(),
    b"",
    b"/" + b"x" * 4094,
    b"relative/\xff",
)
# Each tracer stamps and counts for itself.
OWN = ("ts_ns", "duration_ns", "start_ns", "seq")

libc = ctypes.CDLL(None, use_errno=True)


def delete(name: bytes | None) -> None:
    libc.unlink(name)


def hostile() -> None:
    """Deletions of all kinds, a name that cannot be read, and renames, which have two."""
    for name in (*NAMES, None):
        delete(name)
        libc.rename(name, b"/nonexistent/new \xff")


def taken(tracer: rawtp.Tracer, count: int, **options: int) -> rawtp.Batch:
    """All of ``count`` events in one batch."""
    wait_for(lambda: tracer.stats().buffered == count, f"{count} events")
    # Of what is in the ring and of what is in the queue ``buffered`` is the sum.
    batch = tracer.batch(**options, timeout=HANG_S)
    assert len(batch) == count
    return batch


@pytest.fixture
def settled(own: rawtp.Tracer) -> Callable[[int], rawtp.Batch]:
    """Makes a number of deletions, and gives them as a batch."""

    def make(count: int) -> rawtp.Batch:
        for _ in range(count):
            delete(NAMES[0])
        time.sleep(0.05)
        return taken(own, count)

    return make


@pytest.fixture
def renaming(tmp_path: Path) -> Iterator[rawtp.Tracer]:
    assert tmp_path.is_dir()
    with rawtp.Tracer(rawtp.DELETE + rawtp.RENAME, pid=os.getpid()) as tracer:
        yield tracer


def visible(text: str) -> str:
    return re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", text)


def expected(events: Sequence[Mapping[str, Any]]) -> Rows:
    """The rows that a reader must find: text that is text, and beside it the bytes where it is not all of them."""
    rows: Rows = []
    for event in events:
        row: dict[str, Any] = {}
        for key, value in event.items():
            row[key] = [*map(visible, value)] if isinstance(value, tuple) else value
            if isinstance(value, str):
                row[key] = visible(value)
            if key in WITH_BYTES:
                lossy = value is not None and row[key] != ([*value] if isinstance(value, tuple) else value)
                encoded = [*map(os.fsencode, value)] if isinstance(value, tuple) else os.fsencode(value or "")
                row[f"{key}_bytes"] = encoded if lossy else None
        rows.append(row)
    return rows


WITH_BYTES = {
    *("comm", "parent_comm", "exe", "argv"),
    *("filename", "new_filename", "path", "new_path", "host_path"),
}


def module(name: str) -> Any:
    """A reader. pandas 3 needs Python 3.11."""
    return pytest.importorskip(name) if sys.version_info < (3, 11) else importlib.import_module(name)


def by_pyarrow(source: object) -> Rows:
    pa = module("pyarrow")
    table = pa.table(source)
    table.validate(full=True)
    if "ts_ns" in table.column_names:
        at = table.column_names.index("ts_ns")
        assert table.schema.field(at).type == pa.timestamp("ns", "UTC")
        table = table.set_column(at, "ts_ns", table["ts_ns"].cast(pa.int64()))
    rows: Rows = table.to_pylist()
    return rows


def by_polars(source: object) -> Rows:
    pl = module("polars")
    frame = pl.DataFrame(source)
    if "ts_ns" in frame.columns:
        assert frame.schema["ts_ns"] == pl.Datetime("ns", "UTC")
        frame = frame.with_columns(pl.col("ts_ns").dt.epoch("ns"))
    rows: Rows = frame.to_dicts()
    return rows


def by_pandas(source: object) -> Rows:
    pd = module("pandas")
    frame = pd.DataFrame.from_arrow(source)

    def value(cell: Any) -> Any:
        if hasattr(cell, "tolist"):
            cell = cell.tolist()
        return None if not isinstance(cell, list) and pd.isna(cell) else cell

    if "ts_ns" in frame:
        assert str(frame["ts_ns"].dtype) == "datetime64[ns, UTC]"
        frame["ts_ns"] = frame["ts_ns"].astype("int64")
    return [{key: value(cell) for key, cell in row.items()} for row in frame.to_dict("records")]


def by_duckdb(source: object) -> Rows:
    duckdb = module("duckdb")
    assert source is not None  # duckdb finds it by its name
    with duckdb.connect() as connection:
        found = connection.sql("from source")
        if "ts_ns" in found.columns:
            found = connection.sql("select * replace (epoch_ns(ts_ns) as ts_ns) from source")
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


READERS = (by_pyarrow, by_polars, by_pandas, by_duckdb)
reader = pytest.mark.parametrize("read", READERS)


def test_dicts_are_those_of_get_many(renaming: rawtp.Tracer) -> None:
    with rawtp.Tracer(rawtp.DELETE + rawtp.RENAME, pid=os.getpid()) as other:
        hostile()
        count = 2 * (len(NAMES) + 1)
        wait_for(lambda: other.stats().buffered == renaming.stats().buffered == count, "the events")
        time.sleep(0.05)
        dicts = other.get_many(timeout=HANG_S)
        events = taken(renaming, count).to_dicts()
    assert [list(event) for event in events] == [list(rawtp.ALL_FIELDS)] * count
    for event, known in zip(events, dicts, strict=True):
        assert {**event, **dict.fromkeys(OWN)} == {**known, **dict.fromkeys(OWN)}
        assert {key: type(value) for key, value in event.items()} == {key: type(known[key]) for key in known}  # type: ignore[literal-required]
        assert abs(event["start_ns"] - known["start_ns"]) < 1e9
        assert abs(event["ts_ns"] - time.time_ns()) < 60e9
    assert events[2]["filename"] == os.fsdecode(NAMES[1])
    assert [event["filename"] for event in events[::2]] == [*map(os.fsdecode, NAMES), None]
    assert events[0]["errno"] == "ENOENT"


@reader
def test_a_reader_sees_the_events(renaming: rawtp.Tracer, read: Callable[[object], Rows]) -> None:
    hostile()
    time.sleep(0.05)
    batch = taken(renaming, 2 * (len(NAMES) + 1))
    rows = read(batch)
    assert rows == expected(batch.to_dicts())
    assert rows[2]["filename"] == r"/nonexistent/\xff\xfe not UTF-8 \xc3"
    assert rows[2]["path_bytes"] == NAMES[1]
    assert (rows[4]["filename"], rows[4]["filename_bytes"]) == (NAMES[2].decode(), None)
    assert (rows[-2]["filename"], rows[-2]["name_status"]) == (None, "fault")
    assert list(rows[0]) == [
        name for key in rawtp.ALL_FIELDS for name in ((key, f"{key}_bytes") if key in WITH_BYTES else (key,))
    ]


@reader
def test_an_empty_batch(own: rawtp.Tracer, read: Callable[[object], Rows]) -> None:
    batch = own.batch(timeout=0)
    assert (len(batch), batch.to_dicts(), read(batch)) == (0, [], [])
    assert repr(batch) == f"<rawtp.Batch 0 rows of {len(rawtp.ALL_FIELDS)} fields>"


@reader
@pytest.mark.parametrize(
    "fields",
    [
        ("pid",),
        ("filename", "comm"),
        ("host_path", "argv"),
        ("duration_ns", "ret", "errno", "exe", "argv_truncated", "unit"),
        rawtp.BASIC_FIELDS,
    ],
)
def test_some_fields(tmp_path: Path, read: Callable[[object], Rows], fields: tuple[str, ...]) -> None:
    assert tmp_path.is_dir()
    with rawtp.Tracer(pid=os.getpid(), fields=fields) as own:
        delete(NAMES[0])
        delete(NAMES[1])
        time.sleep(0.05)
        batch = taken(own, 2)
        dicts = batch.to_dicts()
        assert set(dicts[0]) == set(fields)
        assert read(batch) == expected(dicts)
        assert module("pyarrow").schema(own) == module("pyarrow").schema(batch)


def test_arguments_and_an_executable_that_are_not_text(tmp_path: Path) -> None:
    program = os.fsencode(tmp_path) + b"/\xffprogram"
    os.symlink("/bin/rm", program)  # noqa: PTH211 - a path of bytes
    copied = os.fsencode(tmp_path) + b"/\xfe"
    Path(os.fsdecode(copied)).write_bytes(Path("/bin/rm").read_bytes())
    os.chmod(copied, 0o755)  # noqa: PTH101 - a path of bytes
    with rawtp.Tracer(["unlinkat"]) as tracer:
        child = subprocess.Popen([copied, b"-f", b"/nonexistent/\xc3"])
        child.wait(timeout=HANG_S)
        tracer.close()
        stream = module("pyarrow").RecordBatchReader.from_stream(tracer)
        rows = [row for row in by_pyarrow(stream.read_all()) if row["pid"] == child.pid]
    assert len(rows) == 1
    assert rows[0]["exe_bytes"] == copied
    assert rows[0]["comm_bytes"] == b"\xfe"
    assert rows[0]["argv"] == [visible(os.fsdecode(copied)), "-f", r"/nonexistent/\xc3"]
    assert rows[0]["argv_bytes"] == [copied, b"-f", b"/nonexistent/\xc3"]


def test_it_takes_what_is_there_up_to_max_rows(own: rawtp.Tracer) -> None:
    for _ in range(10):
        delete(NAMES[0])
    wait_for(lambda: own.stats().buffered == 10, "ten events")
    time.sleep(0.05)
    assert len(own.batch(max_rows=3)) == 3
    assert len(own.batch(4)) == 4
    assert own.stats().delivered == 7
    assert len(own.batch(10**12)) == 3
    assert len(own.batch(timeout=0.01)) == 0
    assert (own.stats().delivered, own.stats().discarded) == (10, 0)
    assert_ledger(own.stats())


def test_batches_and_dicts_take_turns(own: rawtp.Tracer) -> None:
    for count in range(1, 7):
        delete(f"/nonexistent/{count}".encode())
    wait_for(lambda: own.stats().buffered == 6, "six events")
    time.sleep(0.05)
    names = [event["filename"] for event in own.batch(2).to_dicts()]
    names.append(own.get(timeout=HANG_S)["filename"])
    names += [event["filename"] for event in own.batch(2).to_dicts()]
    names += [event["filename"] for event in own.get_many(timeout=HANG_S)]
    assert names == [f"/nonexistent/{count}" for count in range(1, 7)]


@pytest.mark.parametrize("max_rows", [0, -1])
def test_a_wrong_max_rows(own: rawtp.Tracer, max_rows: int) -> None:
    with pytest.raises(ValueError, match=f"^max_rows must be at least 1, not {max_rows}$"):
        own.batch(max_rows)


@pytest.mark.parametrize("max_rows", [1.5, "7", True])
def test_a_max_rows_of_another_type(own: rawtp.Tracer, max_rows: Any) -> None:
    with pytest.raises(TypeError, match=f"^max_rows must be an int, not {type(max_rows).__name__}$"):
        own.batch(max_rows)


def test_a_max_rows_beyond_all_numbers(own: rawtp.Tracer) -> None:
    with pytest.raises(ValueError, match=f"^max_rows is out of range: {2**64}$"):
        own.batch(2**64)


@pytest.mark.parametrize("timeout", [-1, math.nan])
def test_a_wrong_timeout(own: rawtp.Tracer, timeout: float) -> None:
    with pytest.raises(ValueError, match=r"^timeout must be None or a number of seconds >= 0, not "):
        own.batch(timeout=timeout)


def test_a_closed_tracer(own: rawtp.Tracer) -> None:
    own.close()
    with pytest.raises(ValueError, match=r"^the tracer is closed$"):
        own.batch()


def test_a_close_ends_a_wait(own: rawtp.Tracer) -> None:
    threading.Timer(0.1, own.close).start()
    with pytest.raises(ValueError, match=r"^the tracer is closed$"):
        own.batch(timeout=HANG_S)


def test_it_is_a_value(settled: Callable[[int], rawtp.Batch], own: rawtp.Tracer) -> None:
    """It can be read again and again, in every way, and outlives its tracer."""
    batch = settled(3)
    dicts = batch.to_dicts()
    own.close()
    gc.collect()
    pa = module("pyarrow")
    for rows in (by_pyarrow(batch), by_polars(batch), by_pyarrow(batch)):
        assert rows == expected(dicts)
    whole = pa.record_batch(batch)
    assert whole.num_rows == 3
    assert whole.equals(pa.table(batch).to_batches()[0])
    assert pa.schema(batch) == whole.schema
    assert batch.to_dicts() == dicts
    del batch
    gc.collect()
    assert by_pyarrow(whole) == expected(dicts)


def test_a_capsule_that_nobody_reads_is_released(settled: Callable[[int], rawtp.Batch], own: rawtp.Tracer) -> None:
    def use() -> None:
        batch = settled(2000)
        capsules = [batch.__arrow_c_stream__(), *batch.__arrow_c_array__(), batch.__arrow_c_schema__()]
        capsules += [own.__arrow_c_stream__(), own.__arrow_c_schema__()]
        assert {str(capsule).split('"')[1] for capsule in capsules} == {
            "arrow_array",
            "arrow_array_stream",
            "arrow_schema",
        }

    for _ in range(10):
        use()
    before = resident_bytes()
    for _ in range(50):
        use()
    # A leak of the 50 batches would be more than 25 MB.
    assert resident_bytes() - before < 10e6
    assert sys.getrefcount(own) < 20


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


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
    assert_ledger(own.stats())
    names = module("pyarrow").table(found)["filename"].to_pylist()
    assert names == [f"/nonexistent/{number}" for number in range(3) for _ in range(100)] + ["/nonexistent/last"]


def test_a_stream_of_a_closed_tracer_is_the_rest(own: rawtp.Tracer) -> None:
    for _ in range(5):
        delete(NAMES[0])
    own.close()
    assert len(by_polars(own)) == 5
    assert by_polars(own) == []


def test_a_stream_gathers(own: rawtp.Tracer) -> None:
    """Events that come one by one do not make a batch each."""
    stream = iter(module("pyarrow").RecordBatchReader.from_stream(own))

    def work() -> None:
        for _ in range(200):
            delete(NAMES[0])
            time.sleep(0.002)
        own.close()

    thread = threading.Thread(target=work)
    thread.start()
    sizes = [len(batch) for batch in stream]
    thread.join(timeout=HANG_S)
    assert sum(sizes) == 200
    assert len(sizes) < 100, sizes


def test_two_streams_share_the_events(own: rawtp.Tracer) -> None:
    rows: list[Rows] = []
    threads = [threading.Thread(target=lambda: rows.append(by_pyarrow(own))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(1000):
        delete(NAMES[0])
    own.close()
    for thread in threads:
        thread.join(timeout=HANG_S)
    assert sorted(row["seq"] for part in rows for row in part) == sorted({row["seq"] for part in rows for row in part})
    assert sum(map(len, rows)) == own.stats().delivered == 1000


def test_ctrl_c_ends_a_stream() -> None:
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
