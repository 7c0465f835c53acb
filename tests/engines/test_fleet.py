"""Spark's cluster of processes asks what fifty hosts have shipped: the answers of a plain scan of all files.

Spark's own client of S3 is no Python package, so it reads a copy of the bucket.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pyspark.sql
import pytest

from helpers import receivers
from helpers.fleets import Fleet

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore")]


@pytest.mark.timeout(300)
def test_spark(tmp_path: Path) -> None:
    server = receivers.S3(tmp_path)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        fleet = Fleet(server, tmp_path / "h", tmp_path / "work")
        for name, content in server.objects().items():
            path = tmp_path / "copy" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    server.kill()
    builder = pyspark.sql.SparkSession.builder.master("local-cluster[1,2,1024]").appName("rawtp")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
    }
    for name, value in settings.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        spark.read.parquet(f"file://{tmp_path}/copy/fleet/events").createOrReplaceTempView("events")
        spark.read.json(f"file://{tmp_path}/copy/fleet/journal").createOrReplaceTempView("journal")
        wanted = spark.sql(f"SELECT host FROM events WHERE real_path = '{fleet.wanted}' AND action = 'delete'")  # noqa: S608
        expected = [row for row in fleet.rows if row["real_path"] == fleet.wanted and row["action"] == "delete"]
        assert sorted(row.host for row in wanted.collect()) == sorted(row["host"] for row in expected)
        top = spark.sql("SELECT date_trunc('hour', ts) AS hour, comm, count(*) AS count FROM events GROUP BY 1, 2")
        hours = Counter((row["ts"].replace(minute=0, second=0, microsecond=0), row["comm"]) for row in fleet.rows)
        assert sum(row["count"] for row in top.collect()) == sum(hours.values()) == len(fleet.rows)
        assert sorted(row["count"] for row in top.collect()) == sorted(hours.values())
        gaps = spark.sql("SELECT host, count(*) AS times FROM journal WHERE type = 'gap' GROUP BY host")
        assert {row.host: row.times for row in gaps.collect()} == Counter(
            line["host"] for line in fleet.journal if line["type"] == "gap"
        )
    finally:
        spark.stop()
