"""What readers find: ours, and engines that know nothing of it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import rawtp
from helpers.recordings import HANG_S, delete, events, key, paths, recording, sealed
from helpers.unprivileged import python
from rawtp import _core

pytestmark = pytest.mark.kernel

RAW = b"\xff\x1b"


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with two sealed files of several hundred events."""
    place = tmp_path_factory.mktemp("history")
    directory, work = place / "h", place / "work"
    (work / "sub").mkdir(parents=True)
    fields = (*rawtp.ALL_FIELDS, "ancestors", "parent_argv", "user", "cwd")
    with (
        rawtp.Tracer(rawtp.LOSS, pid=os.getpid(), fields=fields) as tracer,
        _core.Recorder(tracer, directory, sync_s=0.05) as recorder,
    ):
        delete(work, *range(300))
        raw = os.fsencode(work) + b"/" + RAW
        os.close(os.open(raw, os.O_CREAT))
        Path(os.fsdecode(raw)).unlink()
        recorder.seal(HANG_S)
        delete(work / "sub", *range(300))
        (work / "missing").unlink(missing_ok=True)
        with (work / "kept").open("w") as file:
            file.write("content")
        os.truncate(work / "kept", 0)
    return directory


def rows(history: Path, **filters: Any) -> list[str]:
    return [Path(path).name for path in paths(history, **filters)]


def test_filters(history: Path) -> None:
    work = os.fsencode(history.parent / "work")
    everything = events(history)
    assert len(everything) == len({key(event) for event in everything}) == 603
    assert everything == sorted(everything, key=lambda event: event["ts_ns"])
    assert rows(history, path=work + b"/77") == ["77"]
    assert [os.fsencode(path) for path in paths(history, path=work + b"/" + RAW)] == [work + b"/" + RAW]
    assert rows(history, path=work + b"/nothing") == []
    assert len(rows(history, under=work)) == 603
    assert len(rows(history, under=work + b"/sub")) == 300
    assert rows(history, under=work + b"/su") == []
    assert len(rows(history, glob=work + b"/*")) == 603
    assert sorted(rows(history, glob=work + b"/su?/{7,8[0-1]}")) == ["7", "80", "81"]
    assert rows(history, glob=work + b"/**/299") == ["299", "299"]
    assert rows(history, glob=work + b"/**/299", limit=1) == ["299"]
    # Bytes, not text: a name that is none is matched as it is.
    assert [os.fsencode(path) for path in paths(history, glob=work + b"/[\x80-\xff]*")] == [work + b"/" + RAW]
    assert rows(history, glob=work + b"/*", under=work + b"/sub") == rows(history, under=work + b"/sub")
    assert len(rows(history, pid=[os.getpid()], uid=[os.getuid()], comm=[everything[0]["comm"][:3] + "*"])) == 603
    assert rows(history, pid=[1]) == rows(history, comm=["nobody"]) == rows(history, container=["x"]) == []
    assert rows(history, action=["truncate"]) == ["kept"]
    assert rows(history, outcome="failed") == ["missing"]
    assert len(rows(history, outcome="ok")) == 602
    middle = everything[100]["ts_ns"]
    assert len(rows(history, since_ns=middle)) == 503
    assert len(rows(history, until_ns=middle)) == 100
    assert rows(history, limit=3) == ["0", "1", "2"]
    assert rows(history, limit=2, newest_first=True) == ["kept", "missing"]
    assert list(next(_core.HistoryReader(history).scan(["pid", "host"])).to_dicts()[0]) == ["pid", "host"]


@pytest.mark.parametrize(
    ("filters", "error", "text"),
    [
        ({"columns": ["pidd"]}, ValueError, 'unknown column "pidd"'),
        ({"columns": []}, ValueError, "columns is empty"),
        ({"columns": "pid"}, TypeError, "not a str"),
        ({"path": "x"}, ValueError, "path must be an absolute path"),
        ({"glob": "*.log"}, ValueError, "glob must be an absolute path"),
        ({"glob": "/x/[a"}, ValueError, r"the glob means nothing: no \] closes"),
        ({"glob": "/x/{a"}, ValueError, "the glob means nothing: no } closes"),
        ({"limit": 0}, ValueError, "limit must be at least 1"),
        ({"outcome": "fine"}, ValueError, "unknown outcome"),
        ({"pid": 1}, TypeError, "pid must be an iterable of ints"),
        ({"since_ns": 1.5}, TypeError, "since_ns must be an int"),
    ],
)
def test_arguments(history: Path, filters: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        _core.HistoryReader(history).scan(**filters)


def test_engines_read_the_files_as_they_are(history: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    dataset, compute = pytest.importorskip("pyarrow.dataset"), pytest.importorskip("pyarrow.compute")
    ours = pyarrow.table(_core.HistoryReader(history).scan())
    theirs = dataset.dataset(history / "events", partitioning="hive").to_table()
    assert set(theirs.column_names) == (set(ours.column_names) | {"date"}) & set(theirs.column_names)
    order = [("seq", "ascending"), ("cpu", "ascending")]
    for name in set(theirs.column_names) - {"date", "host"}:
        one, other = (table.sort_by(order).column(name).combine_chunks() for table in (ours, theirs))
        assert one.cast(other.type).equals(other), name
    assert compute.unique(theirs["host"]).to_pylist() == [os.uname().nodename]

    duckdb, polars = pytest.importorskip("duckdb"), pytest.importorskip("polars")
    files = f"{history}/events/*/*/*.parquet"
    read = duckdb.read_parquet(files, hive_partitioning=True)
    found = read.aggregate("count(*), min(ts_ns), max(ts_ns), count(distinct real_path), any_value(host)").fetchall()[0]
    frame = polars.scan_parquet(files, hive_partitioning=True).collect()
    expected = [event["ts_ns"] for event in events(history)]
    assert found[:3] == (603, min(expected), max(expected)) == (len(frame), frame["ts_ns"].min(), frame["ts_ns"].max())
    assert found[4] == os.uname().nodename
    assert polars.DataFrame(_core.HistoryReader(history).scan()).height == 603
    with pyarrow.OSFile(str(next(iter(sealed(history)))), "rb") as file:
        assert file.read(4) == b"PAR1"


def test_the_log_is_a_stream_of_arrow(tmp_path: Path) -> None:
    ipc = pytest.importorskip("pyarrow.ipc")
    directory = tmp_path / "h"
    with recording(directory) as recorder:
        deleted = delete(tmp_path, *range(10))
        recorder.sync(HANG_S)
        [log] = (directory / "wal").glob("*.arrows")
        table = ipc.open_stream(log.read_bytes()).read_all()
    assert table["path"].to_pylist() == deleted


def test_damage_never_makes_a_wrong_value(history: Path, tmp_path: Path) -> None:
    """Single bits and torn ends, in sealed files: what is read is right, or an error."""
    shutil.copytree(history, tmp_path / "h")
    directory = tmp_path / "h"
    file = sealed(directory)[0]
    content = file.read_bytes()
    reader = _core.HistoryReader(directory)
    work = os.fsencode(history.parent / "work")
    whole, one = events(directory), events(directory, path=work + b"/77")
    assert len(one) == 1
    chance = random.Random(1)  # noqa: S311
    told = 0
    for number in range(150):
        damaged = bytearray(content)
        if number % 3:
            at = chance.randrange(len(content))
            damaged[at] ^= 1 << chance.randrange(8)
        else:
            del damaged[chance.randrange(len(content)) :]
        file.write_bytes(damaged)
        with pytest.raises(_core.RawtpError, match="is damaged"):
            list(reader.scan())
        try:
            assert events(directory, path=work + b"/77") in ([], one)
        except _core.RawtpError:
            told += 1
        assert reader.verify() == [str(file.relative_to(directory))]
    file.write_bytes(content)
    assert events(directory) == whole
    assert told > 50


def test_a_damaged_file_stops_no_stream(history: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    shutil.copytree(history, tmp_path / "h")
    file = sealed(tmp_path / "h")[0]
    file.write_bytes(file.read_bytes()[:-1])
    scan = _core.HistoryReader(tmp_path / "h").scan(["path"])
    assert 0 < pyarrow.table(scan).num_rows < 603
    assert scan.damaged == [str(file.relative_to(tmp_path / "h"))]


def test_reading_while_the_recorder_seals(tmp_path: Path) -> None:
    """Every reading sees each acknowledged event exactly once, whatever is renamed meanwhile."""
    directory = tmp_path / "h"
    with recording(directory, segment_s=0.1, sync_s=0.01) as recorder:
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                delete(tmp_path, number)
                number += 1

        writer = threading.Thread(target=write)
        writer.start()
        try:
            end = time.monotonic() + 3
            while time.monotonic() < end or recorder.status()["sealed"] <= 3:
                assert time.monotonic() < end + HANG_S, recorder.status()
                acknowledged = recorder.status()["acknowledged"]
                numbers = [int(Path(path).name) for path in paths(directory, columns=["path", "ts_ns"])]
                assert len(numbers) >= acknowledged
                assert sorted(numbers) == list(range(len(numbers)))
        finally:
            stop.set()
            writer.join()


def test_another_user_reads_where_the_group_may(history: Path, package: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become somebody else")
    program = "import sys; from rawtp import _core; print(sum(map(len, _core.HistoryReader(sys.argv[1]).scan())))"
    copy = package / "history-copy"
    shutil.copytree(history, copy)
    command: list[str | Path] = [python(), "-c", program, copy]
    for path in [copy, *copy.rglob("*")]:
        os.chown(path, 0, 65534)
    environment = {"PYTHONPATH": str(package)}
    done = subprocess.run(
        command, user=65534, group=65534, extra_groups=[], env=environment, capture_output=True, check=False
    )
    assert (done.stdout, done.returncode) == (b"603\n", 0), done.stderr
    for path in copy.rglob("*.jsonl"):
        os.chown(path, 0, 0)
    done = subprocess.run(
        command, user=65534, group=65534, extra_groups=[], env=environment, capture_output=True, check=False
    )
    assert b"PermissionError" in done.stderr
    shutil.rmtree(copy)


def test_who(tmp_path: Path) -> None:
    directory, work = tmp_path / "h", tmp_path / "work"
    (work / "a" / "b").mkdir(parents=True)
    with recording(directory) as recorder:
        (work / "a" / "b" / "x").write_text("1")
        (work / "a" / "b" / "x").rename(work / "a" / "b" / "y")
        (work / "a" / "b").rename(work / "c")
        (work / "c" / "y").rename(work / "z")
        (work / "z").unlink()
        (work / "z").unlink(missing_ok=True)
        (work / "c").rename(work / "a" / "b")
        shutil.rmtree(work / "a")
        recorder.seal(HANG_S)
        reader = _core.HistoryReader(directory)

        def who(path: Path, **options: Any) -> list[tuple[str, str, str]]:
            answers, damaged = reader.who(os.fsencode(path), **options)
            assert damaged == []
            return [(it["relation"], it["action"], str(Path(it["name"]).relative_to(work))) for it in answers]

        assert who(work / "z") == [
            ("path", "delete", "z"),
            ("path", "rename", "z"),
            ("before", "rename", "a/b/y"),
        ] or who(work / "z")[:2] == [("path", "delete", "z"), ("path", "rename", "z")]
        assert ("path", "delete", "z") in who(work / "z", failed=True)
        assert len(who(work / "z", failed=True)) == len(who(work / "z")) + 1
        assert who(work / "z", limit=1) == [("path", "delete", "z")]
        of_x = who(work / "a" / "b" / "x")
        assert ("path", "rename", "a/b/x") in of_x
        assert ("after", "rename", "c/y") in of_x
        assert ("after", "delete", "z") in of_x
        assert ("above", "rename", "a/b") in of_x
        assert ("above", "rmdir", "a") in of_x
        before = [answer for answer in who(work / "z") if answer[0] == "before"]
        assert ("before", "rename", "a/b/y") in before
        assert who(work / "nothing") == []
        with pytest.raises(ValueError, match="path must be an absolute path"):
            reader.who(b"x")
