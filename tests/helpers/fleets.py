"""Hosts of other names in a bucket, with real files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from helpers.recordings import HANG_S, recording, sealed
from rawtp.sinks.base import Delivery, File, Origin
from rawtp.sinks.s3 import S3

if TYPE_CHECKING:
    from helpers import receivers

HOSTS = 50
WANTED = "/srv/data/report.txt"


class Fleet:
    """Hosts of different names, whose files a recorder has sealed on this one."""

    def __init__(self, server: receivers.S3, directory: Path, work: Path) -> None:
        self.server = server
        self.rows: list[dict[str, Any]] = []
        self.journal: list[dict[str, Any]] = []
        # What every third host has lost; on this one the wanted name is below the working directory.
        self.wanted = f"{work}{WANTED}"
        with recording(directory, sync_s=0.02) as recorder:
            for number in range(HOSTS):
                place = Path(self.wanted).parent
                place.mkdir(parents=True, exist_ok=True)
                for name in [f"build-{one}" for one in range(number % 7 + 1)] + ["report.txt"] * (number % 3 == 0):
                    (place / name).touch()
                    (place / name).unlink()
                recorder.seal(HANG_S)
        files = sealed(directory)
        assert len(files) == HOSTS
        sink = S3("s3://bucket/fleet", os.environ)
        for number, path in enumerate(files):
            self.add(sink, f"web-{number:02}", path, number)

    def add(self, sink: S3, host: str, path: Path, number: int) -> None:
        import pyarrow.parquet  # type: ignore[import-untyped]

        session = int(path.name.partition("-")[0])
        origin = Origin(f"machine-{number}", "boot", session, host)
        name = re.sub(r"host=[^/]+", f"host={host}", "/".join(path.parts[-4:]))
        sink.put(File(origin, name, path.read_bytes()))
        rows = pyarrow.parquet.read_table(pyarrow.BufferReader(path.read_bytes())).to_pylist()
        self.rows += [{**row, "host": host} for row in rows]
        lines: list[dict[str, Any]] = [{"type": "session", "line": 1}]
        if number % 5 == 0:
            lines.append({"type": "gap", "line": 2, "from_ns": 10**9, "to_ns": 3 * 10**9, "reason": "died"})
        if number % 10 == 0:
            lines.append({"type": "loss", "line": 3, "from_ns": 10**9, "to_ns": 10**9, "count": 7, "kind": "ring"})
        records = [{**line, "key": origin.line_key(line["line"]), **origin._asdict()} for line in lines]
        sink.send(Delivery(origin, records))
        self.journal += records
