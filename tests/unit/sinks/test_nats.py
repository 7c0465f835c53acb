"""Columns with names beside those of a batch."""

from __future__ import annotations

from typing import Any

import pytest

from rawtp.sinks.nats import with_names


def test_names_are_columns_of_the_rows_that_have_a_record() -> None:
    """A row that was acknowledged before has none, and keeps what was recorded."""
    pa: Any = pytest.importorskip("pyarrow")
    keys = {"via": ["syscall"] * 3, "cpu": [0, 0, 1], "seq": [1, 2, 1]}
    recorded = {"user": pa.array(["old", None, None], pa.string()), "user_bytes": pa.nulls(3, pa.binary())}
    table = pa.record_batch({**keys, **recorded})
    records = [
        {"via": "syscall", "cpu": 0, "seq": 2, "user": "an\udcffn", "login": "ann", "pod": "web-1", "image": "web:1"},
        {"via": "syscall", "cpu": 1, "seq": 1, "user": None, "pod": None},
    ]
    found = with_names(pa, table, records).to_pydict()
    assert found["user"] == ["old", "an\\xffn", None]
    assert found["user_bytes"] == [None, b"an\xffn", None]
    assert found["login"] == [None, "ann", None]
    assert (found["pod"], found["image"]) == ([None, "web-1", None], [None, "web:1", None])
    assert found["namespace"] == found["container_name"] == [None] * 3
    assert {key: found[key] for key in keys} == keys
