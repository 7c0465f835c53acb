"""The flight recorder: what recording costs, what it leaves on the disk, and how soon it is there."""

from __future__ import annotations

import importlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rawtp
from benches.measure import Row, percentile, ratios

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benches.build import Programs
    from benches.scale import Scale

RATE = 35_000
THREADS = {"drain": "reading the ring", "writer": "events to rows, and their log", "sealer": "the sealing; ÷ pyarrow's"}
COMMS = ("postgres", "cc1", "node")
HANG_S = 120.0

CHILD = """
import json, sys, rawtp
from rawtp import _core
directory, sync_s = sys.argv[1], float(sys.argv[2])
with rawtp.Tracer(rawtp.LOSS, fields=(*rawtp.ALL_FIELDS, "ancestors")) as tracer:
    with _core.Recorder(tracer, directory, sync_s=sync_s) as recorder:
        print("ready", flush=True)
        for line in sys.stdin:
            if line == "seal\\n":
                recorder.seal(120.0)
            print(json.dumps(recorder.status(), default=str), flush=True)
"""


class Recording:
    """A recorder in a process of its own."""

    def __init__(self, directory: Path, sync_s: float = 1.0) -> None:
        command = [sys.executable, "-c", CHILD, str(directory), str(sync_s)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._line()

    def _line(self) -> str:
        assert self._process.stdout
        if not (line := self._process.stdout.readline()):
            raise RuntimeError("the recorder ended")
        return line

    def ask(self, what: str) -> dict[str, Any]:
        """Its status, after it did that: ``"status"`` or ``"seal"``."""
        assert self._process.stdin
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        status: dict[str, Any] = json.loads(self._line())
        return status

    def cpu_ns(self) -> dict[str, int]:
        """What its threads have run so far, by their names."""
        found: dict[str, int] = {}
        for task in Path(f"/proc/{self._process.pid}/task").iterdir():
            name = (task / "comm").read_text().strip()
            found[name] = found.get(name, 0) + int((task / "schedstat").read_text().split()[0])
        return found

    def memory_mb(self, what: str) -> float:
        """``"VmRSS"``, or ``"VmHWM"``, which is the most so far."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(what)) * 1024 / 1e6

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(HANG_S)


@contextmanager
def recording(directory: Path, sync_s: float = 1.0) -> Iterator[Recording]:
    """A recorder, closed at the end."""
    made = Recording(directory, sync_s)
    try:
        yield made
    finally:
        made.close()


def lose(programs: Programs, work: Path, seconds: float) -> None:
    """Removes files at :data:`RATE`, by several processes."""
    with ExitStack() as stack:
        started = []
        for comm in COMMS:
            command = [programs.losses, work / comm, RATE / len(COMMS), seconds, comm]
            process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            started.append(stack.enter_context(process))
        for process in started:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        for process in started:
            process.communicate()
            if process.returncode:
                raise RuntimeError(f"the load ended with {process.returncode}")


def sealed(directory: Path) -> list[Path]:
    """The sealed files of a recorder's directory."""
    return sorted((directory / "events").glob("*/*/*.parquet"))


def is_installed(module: str) -> bool:
    """Whether there is something to compare with."""
    return importlib.util.find_spec(module) is not None


def _sorted_by_pyarrow(files: list[Path]) -> float:
    """Microseconds of CPU in which pyarrow sorts and writes the same rows, for each."""
    pa, pq = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    rows = pa.concat_tables([pq.read_table(file, partitioning=None) for file in files])
    with tempfile.TemporaryDirectory() as directory:
        before = time.process_time()
        ordered = rows.sort_by([("real_path", "ascending"), ("ts_ns", "ascending")])
        target = Path(directory, "rows.parquet")
        pq.write_table(ordered, target, compression="zstd", compression_level=1, write_page_index=True)
        return float((time.process_time() - before) * 1e6 / rows.num_rows)


def _visible(directory: Path, work: Path, times: int) -> list[float]:
    """Milliseconds from an unlink to its event in ``who``."""
    history = rawtp.History(directory)
    late = []
    for number in range(times):
        path = work / f"visible-{number}"
        path.touch()
        # At any moment of the recorder's cycle.
        time.sleep(0.137 * (number % 7))
        start = time.perf_counter()
        path.unlink()
        while not history.who(path):
            if time.perf_counter() - start > HANG_S:
                raise RuntimeError("the event does not come")
            time.sleep(0.005)
        late.append((time.perf_counter() - start) * 1e3)
    return late


def record(programs: Programs, scale: Scale) -> Iterator[Row]:
    """All fields, of the whole host; the load makes real files on a tmpfs."""
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(scale.record_runs):
        with tempfile.TemporaryDirectory() as root, tempfile.TemporaryDirectory(dir="/dev/shm") as work:
            directory = Path(root, "history")
            with recording(directory) as recorder:
                before, status = recorder.cpu_ns(), recorder.ask("status")
                found["rest"].append(recorder.memory_mb("VmRSS"))
                lose(programs, Path(work), scale.record_s)
                after_load = recorder.ask("seal")
                used = {name: ns - before.get(name, 0) for name, ns in recorder.cpu_ns().items()}
                found["most"].append(recorder.memory_mb("VmHWM"))
            events = after_load["acknowledged"] - status["acknowledged"]
            found["cpu"].append(sum(used.values()) / 1e3 / events)
            for thread in THREADS:
                found[thread].append(used[f"rawtp-{thread}"] / 1e3 / events)
            found["lost"].append(float(after_load["lost"]))
            files = sealed(directory)
            found["size"].append(sum(file.stat().st_size for file in files) / after_load["acknowledged"])
            if is_installed("pyarrow"):
                found["peer"].append(_sorted_by_pyarrow(files))
    yield Row("record_cpu", "record", f"recording {RATE:,} events/s, all threads", "µs CPU", tuple(found["cpu"]))
    yield Row("record_pyarrow", "record", "pyarrow: sorts and writes the same rows", "µs CPU", tuple(found["peer"]))
    to_peer = {"floor": ratios(found["sealer"], found["peer"])} if found["peer"] else {}
    for thread, text in THREADS.items():
        extra = to_peer if thread == "sealer" else {}
        yield Row(f"record_{thread}", "record", f"of that {text}", "µs CPU", tuple(found[thread]), extra)
    yield Row("record_lost", "record", "events lost meanwhile", "events", tuple(found["lost"]))
    yield Row("record_bytes", "record", "sealed", "bytes/event", tuple(found["size"]))
    yield Row("record_rss", "record", "memory of the recorder's process, at rest", "MB", tuple(found["rest"]))
    yield Row("record_rss_sealing", "record", "the most, while sealing", "MB", tuple(found["most"]))
    for sync_s, key in ((1.0, "record_visible_1s"), (0.25, "record_visible_250ms")):
        with tempfile.TemporaryDirectory() as root:
            directory, work_directory = Path(root, "history"), Path(root, "work")
            work_directory.mkdir()
            with recording(directory, sync_s) as recorder:
                late = _visible(directory, work_directory, scale.record_visible)
                before_ns, start = sum(recorder.cpu_ns().values()), time.perf_counter()
                time.sleep(scale.record_s)
                idle = (sum(recorder.cpu_ns().values()) - before_ns) / 1e7 / (time.perf_counter() - start)
        yield Row(key, "record", f"unlink to `who`, sync {sync_s:g} s, p50", "ms", (percentile(late, 50),))
        yield Row(key.replace("visible", "idle"), "record", f"idle, sync {sync_s:g} s", "% CPU", (idle,))
