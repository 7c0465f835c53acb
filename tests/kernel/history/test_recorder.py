"""What a recorder writes, and what it refuses."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.recordings import HANG_S, delete, events, key, paths, recording, sealed
from helpers.support import mounted, wait_for
from rawtp import _core

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.kernel


def test_events_are_as_they_were(tmp_path: Path) -> None:
    """A tracer of the same calls says what the events are."""
    work, directory = tmp_path / "work", tmp_path / "h"
    work.mkdir()
    fields = (*rawtp.ALL_FIELDS, "ancestors", "parent_argv", "cwd", "user", "login", "freed")
    options: Any = {"pid": os.getpid(), "fields": fields}
    with rawtp.Tracer(rawtp.LOSS, **options) as reference, rawtp.Tracer(rawtp.LOSS, **options) as tracer:
        recorder = _core.Recorder(tracer, directory)
        delete(work, *range(20))
        raw = os.fsencode(work) + b"/\xff\x1b[31m"
        os.close(os.open(raw, os.O_CREAT))
        moved = Path(os.fsdecode(raw)).rename(os.fsdecode(raw + b"\xfe"))
        moved.unlink()
        recorder.sync(HANG_S)
        expected = [event for event in reference.get_many() if str(work) in str(event["path"])]
        assert len(expected) == 22
        of_log = [event for event in events(directory) if str(work) in event["path"]]
        recorder.close()
    of_segment = [event for event in events(directory) if str(work) in event["path"]]
    assert of_log == of_segment
    # What differs from one tracer to another.
    other = {"ts_ns", "duration_ns", "start_ns", "seq", "lost", "real_path_by", "freed"}

    def plain(event: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in event.items() if name not in other}

    of_recorder = {"host": os.uname().nodename, "session": recorder.status()["session"]}
    assert [plain(event) for event in of_segment] == [plain(event) | of_recorder for event in expected]


def test_layout_and_modes(tmp_path: Path) -> None:
    directory = tmp_path / "h"
    before = os.umask(0o077)
    try:
        with recording(directory, session=json.dumps({"why": "a test"})) as recorder:
            delete(tmp_path, "x")
            recorder.seal(HANG_S)
            delete(tmp_path, "y")
            recorder.sync(HANG_S)
            status = recorder.status()
            assert (status["segments"], status["wal_files"], status["acknowledged"]) == (1, 1, status["events"])
            assert not list(tmp_path.glob("h/**/*.tmp"))
            for path in [directory, *directory.rglob("*")]:
                mode = stat.S_IMODE(path.stat().st_mode)
                assert mode == (0o750 if path.is_dir() else 0o640), path
    finally:
        os.umask(before)
    today = time.strftime("%Y-%m-%d", time.gmtime())
    [first, _] = sealed(directory)
    assert first.parent.name in (f"date={today}", first.parent.name)
    assert first.parent.parent.name == f"host={os.uname().nodename}"
    lines = [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]
    assert [line["type"] for line in lines] == ["session", "sealed", "through", "sealed"]
    assert json.loads(lines[0]["info"]) == {"why": "a test"}
    assert list((directory / "wal").iterdir()) == []


def test_one_recorder_a_directory(tmp_path: Path) -> None:
    directory = tmp_path / "h"
    reader = None
    with recording(directory):
        reader = _core.HistoryReader(directory)
        assert reader.is_recording()
        with rawtp.Tracer(pid=os.getpid()) as tracer:
            with pytest.raises(BlockingIOError, match="another recorder records into this directory"):
                _core.Recorder(tracer, directory)
            delete(tmp_path, "still-read")
            assert str(tracer.get_many(timeout=5)[0]["path"]).endswith("/still-read")
    assert not reader.is_recording()
    with recording(directory) as again:
        assert not again.recovered["first"]


def test_a_recorded_tracer_is_read_by_nobody_else(tmp_path: Path) -> None:
    with rawtp.Tracer(rawtp.LOSS, pid=os.getpid()) as tracer, _core.Recorder(tracer, tmp_path / "h") as recorder:
        for read in (tracer.get, tracer.get_many, tracer.batch, lambda: next(iter(tracer))):
            with pytest.raises(RuntimeError, match="a recorder reads this tracer"):
                read()
        with pytest.raises(RuntimeError, match="a recorder reads this tracer"):
            _core.Recorder(tracer, tmp_path / "other")
        tracer.close()
        assert recorder.wait(HANG_S)
        assert not recorder.status()["running"]
        with pytest.raises(ValueError, match="the recorder is closed"):
            recorder.sync(HANG_S)
        recorder.close()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"sync_s": 0}, ValueError, "sync_s must be from 0.01 to 60"),
        ({"sync_s": "x"}, TypeError, "sync_s must be a number of seconds"),
        ({"segment_bytes": 1}, ValueError, "segment_bytes must be from 65536"),
        ({"segment_s": float("nan")}, ValueError, "segment_s must be from"),
        ({"max_bytes": -1}, ValueError, "max_bytes must not be negative"),
        ({"max_age_s": 0}, ValueError, "max_age_s must be more than 0"),
        ({"memory_bytes": 1}, ValueError, "memory_bytes must be from"),
        ({"session": "[]"}, ValueError, "session must be a JSON object"),
        ({"session": 5}, TypeError, "session must be JSON"),
        ({"redact_argv": 1}, TypeError, "redact_argv must be True or False"),
    ],
)
def test_arguments(tmp_path: Path, options: dict[str, object], error: type[Exception], text: str) -> None:
    with rawtp.Tracer(rawtp.LOSS, pid=os.getpid()) as tracer:
        with pytest.raises(error, match=text):
            _core.Recorder(tracer, tmp_path / "h", **options)  # type: ignore[arg-type]
        assert tracer.get_many(timeout=0) is not None


def test_what_cannot_be_recorded(tmp_path: Path) -> None:
    with rawtp.Tracer(fields=["pid", "path"]) as tracer, pytest.raises(ValueError, match='lack "ts_ns"'):
        _core.Recorder(tracer, tmp_path / "h")
    with pytest.raises(ValueError, match="the tracer is closed"):
        _core.Recorder(tracer, tmp_path / "h")
    with rawtp.Tracer() as tracer, pytest.raises(FileNotFoundError):
        _core.Recorder(tracer, tmp_path / "nowhere" / "h")
    with pytest.raises(FileNotFoundError):
        _core.HistoryReader(tmp_path / "nowhere")


def test_a_heartbeat_is_counted_and_not_recorded(tmp_path: Path) -> None:
    directory, beat = tmp_path / "h", tmp_path / "beat"
    with recording(directory, heartbeat=beat) as recorder:
        for _ in range(3):
            beat.unlink(missing_ok=True)
        [other] = delete(tmp_path, "other")
        recorder.sync(HANG_S)
        status = recorder.status()
    assert (status["heartbeats"], status["events"]) == (3, 1)
    assert abs(status["last_heartbeat_ns"] - time.time_ns()) < HANG_S * 1e9
    assert paths(directory) == [other]


def test_arguments_are_left_out(tmp_path: Path) -> None:
    """Neither the caller's, nor its parent's, nor those of any ancestor."""
    argument = "--user=4ced0b1e"
    fork = "import os, sys; sys.stdin.read(); os.wait() if os.fork() else os.unlink(sys.argv[1])"
    command = [sys.executable, "-c", fork, str(tmp_path / "x"), argument]

    def recorded(name: str, *, redact: bool) -> tuple[dict[str, Any], bytes]:
        (tmp_path / "x").touch()
        with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
            fields = (*rawtp.ALL_FIELDS, "ancestors", "parent_argv")
            with (
                rawtp.Tracer(rawtp.LOSS, pid=child.pid, follow=True, fields=fields) as tracer,
                _core.Recorder(tracer, tmp_path / name, redact_argv=redact),
            ):
                child.communicate(timeout=HANG_S)
        [event] = [event for event in events(tmp_path / name) if event["path"] == str(tmp_path / "x")]
        return event, b"".join(file.read_bytes() for file in (tmp_path / name).rglob("*") if file.is_file())

    event, files = recorded("kept", redact=False)
    assert event["argv"][-1] == event["parent_argv"][-1] == event["ancestors"][0][2][-1] == argument
    assert argument.encode() in files
    event, files = recorded("redacted", redact=True)
    assert (event["argv"], event["parent_argv"]) == (None, None)
    assert event["ancestors"]
    assert {argv for _, _, argv in event["ancestors"]} == {None}
    assert argument.encode() not in files


def test_the_oldest_files_go_first(tmp_path: Path) -> None:
    directory = tmp_path / "h"
    with recording(directory) as recorder:
        for number in range(3):
            delete(tmp_path, number)
            recorder.seal(HANG_S)
        sizes = [path.stat().st_size for path in sealed(directory)]
    with recording(directory, max_bytes=sum(sizes[1:])) as recorder:
        wait_for(lambda: recorder.status()["expired"] == 1, "the oldest file")
        assert [Path(path).name for path in paths(directory)] == ["1", "2"]
        assert recorder.status()["segment_bytes"] == sum(sizes[1:])
    reader = _core.HistoryReader(directory)
    assert reader.stats()["expired"] == 1
    assert reader.coverage()[0][0] > reader.sessions()[0]["start_ns"]
    with recording(directory, max_age_s=0.001) as recorder:
        wait_for(lambda: recorder.status()["segments"] == 0, "all files")
    assert paths(directory) == []
    assert list((directory / "events").glob("*/*")) == []


def test_a_full_disk_keeps_events_in_memory_and_counts_the_rest(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=1m", "none"):
        with recording(disk / "h", memory_bytes=1 << 20, segment_bytes=1 << 30) as recorder:
            [first] = delete(tmp_path, "first")
            recorder.sync(HANG_S)
            free = os.statvfs(disk)
            # What is left is too little for the events even where a log that was given up is sealed, and so shrinks.
            (disk / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - (64 << 10)))
            # Names that do not compress.
            for _ in range(1000):
                (tmp_path / os.urandom(120).hex()).unlink(missing_ok=True)
            with pytest.raises(OSError, match="cannot write the log"):
                recorder.sync(HANG_S)
            status = recorder.status()
            assert status["failing"]
            assert status["errors"] > 0
            assert status["in_memory"] > 0
            for _ in range(60_000):
                (tmp_path / os.urandom(120).hex()).unlink(missing_ok=True)
            wait_for(lambda: recorder.status()["dropped"] > 0, "a loss")
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
            wait_for(lambda: not recorder.status()["failing"], "an end of the failures")
            [last] = delete(tmp_path, "last")
            recorder.seal(HANG_S)
            status = recorder.status()
            assert status["in_memory"] == 0
            assert status["acknowledged"] + status["dropped"] == status["events"]
            assert status["events"] >= 61_002
            assert status["lost"] == status["dropped"]
        recorded = events(disk / "h")
        assert len(recorded) == len({key(event) for event in recorded}) == status["acknowledged"]
        assert {first, last} <= {event["path"] for event in recorded}
        losses = _core.HistoryReader(disk / "h").losses()
        assert {loss["kind"] for loss in losses} == {"memory"}
        assert sum(loss["count"] for loss in losses) == status["dropped"]


def test_a_batch_larger_than_what_may_wait_in_memory(tmp_path: Path) -> None:
    """The log takes it: nothing is dropped while the disk is well."""
    directory = tmp_path / "h"
    with recording(directory, memory_bytes=1 << 20, sync_s=60.0) as recorder:
        for _ in range(5000):
            # Names that do not compress.
            (tmp_path / os.urandom(120).hex()).unlink(missing_ok=True)
        recorder.sync(HANG_S)
        status = recorder.status()
    assert (status["dropped"], status["failing"], status["errors"]) == (0, False, 0)
    assert status["acknowledged"] == status["events"] >= 5000
    assert len(events(directory)) == status["events"]


def test_losses_of_the_ring_are_written_down(tmp_path: Path) -> None:
    """The queue and the ring are small, and the recorder does not read for a while."""
    directory = tmp_path / "h"
    with rawtp.Tracer(pid=os.getpid(), ring_bytes=65_536, queue_bytes=65_536) as tracer:
        missing = tmp_path / "missing"
        for _ in range(3000):
            missing.unlink(missing_ok=True)
        # The next event tells where they were. Losses that no event has told after two cycles are told without a place.
        with _core.Recorder(tracer, directory, sync_s=2.0) as recorder:
            recorder.sync(HANG_S)
            missing.unlink(missing_ok=True)
            recorder.sync(HANG_S)
            wait_for(lambda: recorder.status()["lost"] == tracer.stats().lost_ring, "all losses")
            lost = tracer.stats().lost_ring
            assert lost > 0
            missing.unlink(missing_ok=True)
        recorded = events(directory)
        assert len(recorded) == 3002 - lost
        losses = _core.HistoryReader(directory).losses()
        assert sum(loss["count"] for loss in losses) == lost
        assert {loss["kind"] for loss in losses} == {"ring"}
        assert {(loss["cpu"], loss["via"]) for loss in losses} & {(event["cpu"], "syscall") for event in recorded}
