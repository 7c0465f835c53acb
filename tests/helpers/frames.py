"""The readers of Arrow's columns, and the rows that each of them must find."""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Rows = list[dict[str, Any]]


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
    *("filename", "new_filename", "path", "new_path", "host_path", "real_path", "new_real_path"),
}


def module(name: str) -> Any:
    """A reader. pandas 3 needs Python 3.11; a machine of `make test-vm` has none of them."""
    may_lack = sys.version_info < (3, 11) or "RAWTP_VM_KERNEL" in os.environ
    return pytest.importorskip(name) if may_lack else importlib.import_module(name)


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
