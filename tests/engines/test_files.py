"""Engines that know nothing of rawtp read a recorder's sealed files, unchanged: equal counts and values."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import deltalake
import pyarrow  # type: ignore[import-untyped]
import pyspark.sql
import pytest
from pyarrow import dataset
from pyiceberg.catalog.sql import SqlCatalog

import rawtp
from helpers.recordings import HANG_S, delete, events, sealed
from rawtp import _core

if TYPE_CHECKING:
    from collections.abc import Iterator

# Spark leaves sockets and processes to the end.
pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore")]

KEYS: tuple[str, ...] = (
    "session",
    "ts_ns",
    "ts",
    "pid",
    "uid",
    "comm",
    "seq",
    "cpu",
    "lost",
    "via",
    "syscall",
    "errno",
    "ret",
    "path",
)
KEYS += ("path_bytes", "real_path", "argv", "argv_truncated", "ancestors", "ino", "size", "dfd")
Row = tuple[Any, ...]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sealed files, with names that are no text."""
    place = tmp_path_factory.mktemp("history")
    directory, work = place / "h", place / "work"
    work.mkdir()
    fields = (*rawtp.ALL_FIELDS, "ancestors")
    with (
        rawtp.Tracer(rawtp.LOSS, pid=os.getpid(), fields=fields) as tracer,
        _core.Recorder(tracer, directory, sync_s=0.05) as recorder,
    ):
        delete(work, *range(200))
        recorder.seal(HANG_S)
        raw = os.fsencode(work) + b"/\xff\x1b"
        os.close(os.open(raw, os.O_CREAT))
        Path(os.fsdecode(raw)).unlink()
        (work / "missing").unlink(missing_ok=True)
        delete(work, *range(99))
    assert len(sealed(directory)) == 2
    return directory


@pytest.fixture(scope="module")
def expected(history: Path) -> list[Row]:
    """The rows as the history itself gives them."""
    found = rows(pyarrow.table(_core.HistoryReader(history).scan(list(KEYS))).to_pylist())
    assert len(found) == len(events(history)) == 301
    return found


def rows(dicts: list[dict[str, Any]]) -> list[Row]:
    """What engines give, as the same plain values, in one order."""
    made = [tuple(plain(one[key]) for key in KEYS) for one in dicts]
    return sorted(made, key=lambda row: (row[KEYS.index("ts_ns")], row[KEYS.index("seq")]))


def plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc)
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


@pytest.fixture(scope="module")
def spark() -> Iterator[pyspark.sql.SparkSession]:
    """A cluster on this machine: executors are processes of their own."""
    os.environ["TZ"] = "UTC"
    builder = pyspark.sql.SparkSession.builder.master("local-cluster[1,2,1024]").appName("rawtp")
    for name, value in (("ui.enabled", "false"), ("sql.session.timeZone", "UTC"), ("driver.host", "127.0.0.1")):
        builder = builder.config(f"spark.{name}", value)
    session = builder.getOrCreate()
    yield session
    session.stop()


def test_spark(spark: pyspark.sql.SparkSession, history: Path, expected: list[Row]) -> None:
    frame = spark.read.parquet(str(history / "events"))
    assert frame.count() == len(expected)
    assert {*KEYS, "host", "date"} <= {*frame.columns}
    found = [row.asDict(recursive=True) for row in frame.select(*KEYS).collect()]
    for one in found:
        # Python's timestamps of Spark are local, without a zone.
        one["ts"] = one["ts"].replace(tzinfo=timezone.utc)
    assert rows(found) == expected
    [host] = {row["host"] for row in frame.select("host").distinct().collect()}
    assert host == os.uname().nodename
    path = frame.where(frame.errno.isNull()).orderBy("ts_ns").first()["path"]
    assert frame.where(frame.path == path).count() == 2


def test_delta(history: Path, expected: list[Row], tmp_path: Path) -> None:
    """The files become a table where they are. Only its log is new."""
    events = tmp_path / "events"
    shutil.copytree(history / "events", events)
    before = {path: path.read_bytes() for path in events.rglob("*.parquet")}
    strings = pyarrow.schema([("host", pyarrow.string()), ("date", pyarrow.string())])
    parts = deltalake.Schema.from_arrow(strings)
    deltalake.convert_to_deltalake(str(events), partition_by=parts, partition_strategy="hive")
    assert {path: path.read_bytes() for path in events.rglob("*.parquet") if "_delta_log" not in path.parts} == before
    table = pyarrow.table(deltalake.DeltaTable(str(events)).to_pyarrow_table())
    assert rows(table.to_pylist()) == expected
    assert {*table["host"].to_pylist()} == {os.uname().nodename}


def test_iceberg(history: Path, expected: list[Row], tmp_path: Path) -> None:
    catalog = SqlCatalog("rawtp", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"file://{tmp_path}")
    catalog.create_namespace("rawtp")
    files = [str(file) for file in sealed(history)]
    schema = dataset.dataset(files[0]).schema
    table = catalog.create_table("rawtp.events", schema=schema)
    table.add_files([f"file://{file}" for file in files])
    assert rows(table.scan().to_arrow().to_pylist()) == expected
    path = expected[0][KEYS.index("path")]
    found = table.scan(row_filter=f"path = '{path}'").to_arrow()
    assert len(found) == len([row for row in expected if row[KEYS.index("path")] == path]) == 2
