"""Batches: the columns that readers of Arrow see are the dicts of the same events."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.frames import READERS, WITH_BYTES, Rows, by_polars, by_pyarrow, expected, module, visible
from helpers.support import HANG_S, assert_ledger_of, of_own_family, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.kernel

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
    settle(tracer, count)
    batch = tracer.batch(**options, timeout=HANG_S)
    assert len(batch) == count
    return batch


@pytest.fixture
def settled(own: rawtp.Tracer) -> Callable[[int], rawtp.Batch]:
    """Makes a number of deletions, and gives them as a batch."""

    def make(count: int) -> rawtp.Batch:
        for _ in range(count):
            delete(NAMES[0])
        return taken(own, count)

    return make


@pytest.fixture
def renaming(tmp_path: Path) -> Iterator[rawtp.Tracer]:
    assert tmp_path.is_dir()
    with rawtp.Tracer(rawtp.DELETE + rawtp.RENAME, pid=os.getpid()) as tracer:
        yield tracer


reader = pytest.mark.parametrize("read", READERS)


def test_dicts_are_those_of_get_many(renaming: rawtp.Tracer) -> None:
    with rawtp.Tracer(rawtp.DELETE + rawtp.RENAME, pid=os.getpid()) as other:
        hostile()
        count = 2 * (len(NAMES) + 1)
        settle(other, count)
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
    with of_own_family(["unlinkat"]) as tracer:
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
    settle(own, 10)
    assert len(own.batch(max_rows=3)) == 3
    assert len(own.batch(4)) == 4
    assert own.stats().delivered == 7
    assert len(own.batch(10**12)) == 3
    assert len(own.batch(timeout=0.01)) == 0
    assert (own.stats().delivered, own.stats().discarded) == (10, 0)
    assert_ledger_of(own)


def test_batches_and_dicts_take_turns(own: rawtp.Tracer) -> None:
    for count in range(1, 7):
        delete(f"/nonexistent/{count}".encode())
    settle(own, 6)
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


@pytest.mark.slow
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


def test_ancestors_are_those_of_get_many() -> None:
    fields = ("filename", "ancestors")
    with rawtp.Tracer(fields=fields, pid=os.getpid()) as one, rawtp.Tracer(fields=fields, pid=os.getpid()) as other:
        delete(NAMES[0])
        delete(NAMES[1])
        rows = taken(one, 2).to_dicts()
        assert rows == other.get_many(timeout=HANG_S)
    pid, comm, argv = rows[0]["ancestors"][0]
    assert (pid, comm) == (os.getppid(), Path(f"/proc/{pid}/comm").read_text().rstrip("\n"))
    shown = Path(f"/proc/{pid}/cmdline").read_bytes()[:1023].removesuffix(b"\0").split(b"\0")
    assert argv is None or [os.fsencode(word) for word in argv] == shown
