"""The page about a fleet: its queries on fifty hosts in a bucket have the answers of a plain scan of all files."""

from __future__ import annotations

import importlib
import json
import os
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers import receivers
from helpers.fleets import HOSTS, WANTED, Fleet
from rawtp.sinks.base import File, Origin
from rawtp.sinks.s3 import S3

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.kernel, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "fleet.md"
SQL = [
    block for block in re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL) if not block.startswith("CREATE")
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    place = tmp_path_factory.mktemp("fleet")
    server = receivers.S3(place)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield Fleet(server, place / "h", place / "work")
    server.kill()


def is_deletion(row: dict[str, Any]) -> bool:
    return row["action"] in {"delete", "rmdir"} and row["ret"] is not None and row["ret"] >= 0


def test_duckdb(fleet: Fleet) -> None:
    """The queries of the page, as they stand, on the files in the bucket."""
    import duckdb
    from pyarrow import dataset, fs  # type: ignore[import-untyped]

    address = fleet.server.environment["AWS_ENDPOINT_URL"].removeprefix("http://")
    bucket = fs.S3FileSystem(
        access_key="key",
        secret_key="secret",  # noqa: S106
        endpoint_override=address,
        scheme="http",
        region="us-east-1",
    )
    events = dataset.dataset("bucket/fleet/events", filesystem=bucket, partitioning="hive")
    objects = fleet.server.objects()
    lines = [json.loads(line) for key, text in objects.items() if "/journal/" in key for line in text.splitlines()]
    assert sorted(line["key"] for line in lines) == sorted(line["key"] for line in fleet.journal)
    journal = importlib.import_module("pyarrow").Table.from_pylist(
        [{key: line.get(key) for key in ("host", "type", "from_ns", "to_ns")} for line in lines]
    )
    connection = duckdb.connect()
    connection.register("events", events)
    connection.register("journal", journal)
    who, top, gaps = SQL
    assert WANTED in who
    found = connection.execute(who.replace(WANTED, fleet.wanted)).fetchall()
    expected = [row for row in fleet.rows if is_deletion(row) and row["real_path"] == fleet.wanted]
    assert [one[0] for one in found] == [row["host"] for row in sorted(expected, key=lambda row: row["ts_ns"])]
    assert len(found) == len([number for number in range(HOSTS) if number % 3 == 0])
    counts: Counter[tuple[Any, str]] = Counter()
    hosts: dict[tuple[Any, str], set[str]] = defaultdict(set)
    for row in filter(is_deletion, fleet.rows):
        place = row["ts"].replace(minute=0, second=0, microsecond=0), row["comm"]
        counts[place] += 1
        hosts[place].add(row["host"])
    connection.execute("SET TimeZone = 'UTC'")
    top_found = {(hour, comm): (deleted, seen) for hour, comm, deleted, seen in connection.execute(top).fetchall()}
    assert top_found == {place: (count, len(hosts[place])) for place, count in counts.items()}
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for line in fleet.journal:
        if line["type"] != "session":
            seconds[line["host"], line["type"]].append((line["to_ns"] - line["from_ns"]) / 1e9)
    expected_gaps = [(host, kind, len(times), sum(times)) for (host, kind), times in sorted(seconds.items())]
    assert connection.execute(gaps).fetchall() == expected_gaps
    assert len(expected_gaps) == 15


def test_polars(fleet: Fleet) -> None:
    import polars

    events = polars.scan_parquet(
        "s3://bucket/fleet/events/",
        hive_partitioning=True,
        storage_options={
            "aws_access_key_id": "key",
            "aws_secret_access_key": "secret",
            "aws_region": "us-east-1",
            "aws_endpoint_url": fleet.server.environment["AWS_ENDPOINT_URL"],
            "aws_allow_http": "true",
        },
    )
    assert events.select(polars.len()).collect().item() == len(fleet.rows)
    found = events.filter(polars.col("real_path") == fleet.wanted).collect()
    expected = [row for row in fleet.rows if row["real_path"] == fleet.wanted]
    assert sorted(found["host"]) == sorted(row["host"] for row in expected)
    assert len(expected) >= 17


def test_clones_of_one_name(fleet: Fleet) -> None:
    """A second host of the same name does not replace the first one's file."""
    sink = S3("s3://bucket/clones", os.environ)
    name = "events/host=web/date=2026-11-27/1795740000000000000-000001.parquet"
    for machine, content in (("aaaaaaaaaaaa", b"1"), ("bbbbbbbbbbbb", b"2"), ("bbbbbbbbbbbb", b"2")):
        sink.put(File(Origin(machine, "boot", 1, "web"), name, content))
    found = {key: text for key, text in fleet.server.objects().items() if key.startswith("clones/")}
    assert found == {f"clones/{name}": b"1", f"clones/{name.replace('000001', '000001-bbbbbbbb')}": b"2"}
