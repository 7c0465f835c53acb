"""``who`` over a directory of many events, beside engines that ask the same files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.measure import Row, ratios
from benches.record import RATE, is_installed, lose, recording, sealed
from benches.xxh64 import xxh64

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benches.build import Programs
    from benches.scale import Scale

BASE_S = 8.0
"""Recorded in so much time; copies of that make the rest."""

# Prints the milliseconds of each question, and the most memory.
ASK = """
import json, sys, time
source, directory, path, times, cold = sys.argv[1:6]
files = sys.argv[6:]
{setup}
found = []
for _ in range(int(times)):
    if cold == "cold":
        import os
        for file in files:
            fd = os.open(file, os.O_RDONLY)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)
    start = time.perf_counter()
    rows = ask()
    found.append((time.perf_counter() - start) * 1e3)
    assert rows == 1, rows
with open("/proc/self/status") as status:
    most = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024 / 1e6
print(json.dumps([found, most]))
"""
SETUPS = {
    "rawtp": "import rawtp\ndef ask(): return len(rawtp.History(directory).who(path))",
    "duckdb": """
import duckdb
glob = directory + "/events/*/*/*.parquet"
def ask(): return len(duckdb.sql(f"select * from '{glob}' where real_path = $path", params={"path": path}).fetchall())
""",
    "polars": """
import polars
glob = directory + "/events/*/*/*.parquet"
def ask(): return polars.scan_parquet(glob).filter(polars.col("real_path") == path).collect().height
""",
}


def _ask(source: str, directory: Path, path: Path, times: int, *, cold: bool = False) -> tuple[list[float], float]:
    files = [str(file) for file in sealed(directory)] if cold else []
    script = ASK.replace("{setup}", SETUPS[source])
    command = [sys.executable, "-c", script, source, directory, path, times, "cold" if cold else "warm", *files]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    found, most = json.loads(done.stdout)
    return found, most


def _sealed_lines(directory: Path) -> list[dict[str, Any]]:
    lines = map(json.loads, (directory / "journal.jsonl").read_text().splitlines())
    return [line for line in lines if line["type"] == "sealed"]


def grow(directory: Path, events: int, without: set[str]) -> int:
    """Copies sealed files, and their lines of the journal, until there are so many events. Returns how many."""
    described = [file for line in _sealed_lines(directory) for file in line["files"]]
    base = [file for file in described if file["file"] not in without]
    count, number = sum(int(file["rows"]) for file in described), 0
    with (directory / "journal.jsonl").open("a") as journal:
        while count < events:
            of = base[number % len(base)]
            number += 1
            source = directory / of["file"]
            # A session of its own, so that no two lines have one number.
            session = int(source.name.split("-")[0]) - number
            copy = source.with_name(f"{session:019}-000001.parquet")
            shutil.copyfile(source, copy)
            line = {
                "type": "sealed",
                "log": f"{session:019}-000001",
                "first_batch": 0,
                "files": [of | {"file": str(copy.relative_to(directory))}],
                "session": session,
                "line": 1,
            }
            text = json.dumps(line, separators=(",", ":"))[:-1]
            journal.write(f'{text},"xxh64":"{xxh64(text.encode()):016x}"}}\n')
            count += int(of["rows"])
    # Else the first one to drop them from the cache cannot.
    os.sync()
    return count


def who(programs: Programs, scale: Scale) -> Iterator[Row]:
    """A path of one event, among others of the same directories."""
    with tempfile.TemporaryDirectory() as root, tempfile.TemporaryDirectory(dir="/dev/shm") as work:
        directory = Path(root, "history")
        path = Path(work, "node", "db", "pg_wal", "obj-8888888.o")
        path.parent.mkdir(parents=True)
        with recording(directory) as recorder:
            path.touch()
            path.unlink()
            recorder.ask("seal")
            without = {str(file.relative_to(directory)) for file in sealed(directory)}
            lose(programs, Path(work), min(BASE_S, scale.who_events / RATE))
            recorder.ask("seal")
        events = grow(directory, scale.who_events, without)
        size = sum(file.stat().st_size for file in sealed(directory))
        what = f"{events / 1e6:.0f} million events, {len(sealed(directory))} files of {size / 1e6:,.0f} MB"
        cold, _ = _ask("rawtp", directory, path, scale.who_times, cold=True)
        warm, most = _ask("rawtp", directory, path, scale.who_times)
        yield Row("who_warm", "who", f"who: {what}", "ms", tuple(warm))
        yield Row("who_cold", "who", "who: none of them in the page cache", "ms", tuple(cold))
        yield Row("who_rss", "who", "who: the most memory", "MB", (most,))
        for source in filter(is_installed, ("duckdb", "polars")):
            found, most = _ask(source, directory, path, scale.who_times)
            to_own = {"floor": ratios(found, warm)}
            yield Row(f"who_{source}", "who", f"{source}: the same; ÷ who", "ms", tuple(found), to_own)
            yield Row(f"who_{source}_rss", "who", f"{source}: the most memory", "MB", (most,))
