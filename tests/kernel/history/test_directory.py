"""A directory that vanishes, moves or is replaced while it is recorded into."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import rawtp
from helpers.recordings import HANG_S, delete, events, paths, recording, remove, sealed
from helpers.support import mounted, wait_for
from rawtp import _core

pytestmark = pytest.mark.kernel


def journal(directory: Path, kind: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (directory / "journal.jsonl").read_text().splitlines()]
    return [line for line in lines if line["type"] == kind]


def whereabouts(recorder: _core.Recorder, expected: str) -> None:
    wait_for(lambda: recorder.status()["directory"] == expected, f"the directory is {expected}")


@pytest.mark.parametrize("replacement", ["nothing", "directory", "symlink"])
def test_a_moved_directory_is_recorded_into(replacement: str, tmp_path: Path) -> None:
    directory, moved, aside = tmp_path / "h", tmp_path / "moved", tmp_path / "aside"
    with recording(directory) as recorder:
        assert recorder.status()["directory"] == "here"
        [first] = delete(tmp_path, "first")
        recorder.sync(HANG_S)
        directory.rename(moved)
        aside.mkdir()
        if replacement == "directory":
            directory.mkdir()
            (directory / "wal").mkdir()
        elif replacement == "symlink":
            (aside / "wal").mkdir()
            directory.symlink_to(aside)
        whereabouts(recorder, "moved")
        [second] = delete(tmp_path, "second")
        recorder.seal(HANG_S)
        [third] = delete(tmp_path, "third")
        recorder.sync(HANG_S)
        status = recorder.status()
        assert (status["failing"], status["errors"], status["in_memory"]) == (False, 0, 0)
        if replacement == "directory":
            shutil.rmtree(directory)
        elif replacement == "symlink":
            directory.unlink()
        assert [path for path in aside.rglob("*") if path.is_file()] == []
        moved.rename(directory)
        whereabouts(recorder, "here")
    assert {first, second, third} <= {*paths(directory)}
    assert [line["is"] for line in journal(directory, "directory")] == ["moved", "here"]
    assert rawtp.History(directory).losses() == []


def test_the_directory_is_opened_again_whatever_has_its_name(tmp_path: Path) -> None:
    directory, moved, aside = tmp_path / "h", tmp_path / "moved", tmp_path / "aside"
    with recording(directory) as recorder:
        directory.rename(moved)
        aside.mkdir()
        directory.symlink_to(aside)
        fd = recorder._open_directory()
        try:
            assert os.path.samestat(os.fstat(fd), moved.stat())
            assert not os.get_inheritable(fd)
        finally:
            os.close(fd)
    with pytest.raises(ValueError, match=r"^the recorder is closed$"):
        recorder._open_directory()


def test_another_directory_in_its_place_stays_empty(tmp_path: Path) -> None:
    """Also where it looks like a recorder's."""
    directory, other = tmp_path / "h", tmp_path / "other"
    with recording(other):
        delete(tmp_path, "x")
    before = {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    with recording(directory) as recorder:
        directory.rename(tmp_path / "moved")
        other.rename(directory)
        whereabouts(recorder, "moved")
        delete(tmp_path, "y", "z")
        recorder.seal(HANG_S)
        directory.rename(other)
    assert before == {path: path.read_bytes() for path in other.rglob("*") if path.is_file()}
    assert len(paths(tmp_path / "moved")) >= 2


@pytest.mark.parametrize("part", ["", "lock", "journal.jsonl"])
def test_a_removed_directory_is_an_error_and_what_is_lost_is_counted(part: str, tmp_path: Path) -> None:
    directory = tmp_path / "h"
    with rawtp.Tracer(rawtp.LOSS, pid=os.getpid()) as tracer:
        recorder = _core.Recorder(tracer, directory, sync_s=0.05)
        delete(tmp_path, "first")
        recorder.sync(HANG_S)
        if part:
            (directory / part).unlink()
        else:
            remove(directory, lambda: not directory.exists())
        whereabouts(recorder, "removed")
        before = recorder.status()["acknowledged"]
        delete(tmp_path, *range(10))
        for call in (recorder.sync, recorder.seal):
            with pytest.raises(FileNotFoundError, match="No such file"):
                call(HANG_S)
        status = recorder.status()
        assert (status["failing"], status["acknowledged"]) == (True, before)
        assert status["in_memory"] >= 10
        # It is made again, and not by a recorder: nothing goes there.
        directory.mkdir(exist_ok=True)
        with pytest.raises(FileNotFoundError):
            recorder.sync(HANG_S)
        if not part:
            assert list(directory.iterdir()) == []
        with pytest.raises(OSError, match="events were dropped"):
            recorder.close()
    status = recorder.status()
    assert (status["running"], status["in_memory"]) == (False, 0)
    assert status["dropped"] == status["lost"] == status["events"] - before
    # The next recorder begins in it.
    with recording(directory) as recorder:
        [last] = delete(tmp_path, "last")
        recorder.sync(HANG_S)
        assert last in paths(directory)


def test_the_directory_of_the_logs_is_made_again(tmp_path: Path) -> None:
    """What was in it is a gap."""
    directory = tmp_path / "h"
    with recording(directory) as recorder:
        delete(tmp_path, "first")
        recorder.sync(HANG_S)
        shutil.rmtree(directory / "wal")
        [second] = delete(tmp_path, "second")
        recorder.sync(HANG_S)
        recorder.seal(HANG_S)
        status = recorder.status()
        assert (status["directory"], status["failing"], status["in_memory"]) == ("here", False, 0)
        # Up to when it has watched, also should it be killed.
        assert len(list((directory / "wal").glob("*.through"))) == 1
    assert second in paths(directory)
    [gap] = [gap for gap in rawtp.History(directory).gaps() if gap["reason"] == "damaged"]
    [event] = [event for event in events(directory) if event["path"] == second]
    assert gap["from_ns"] < gap["to_ns"] <= event["ts_ns"]


def test_an_unmounted_disk_is_recorded_into(tmp_path: Path) -> None:
    """``umount -l`` takes the name away, and the file system stays for as long as the recorder holds it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "none"):
        with recording(disk) as recorder:
            [first] = delete(tmp_path, "first")
            recorder.sync(HANG_S)
            assert first in paths(disk)
            # `mounted` takes one away at its end.
            subprocess.run(["mount", "--bind", disk, disk], check=True)
            subprocess.run(["umount", disk], check=True)
            subprocess.run(["umount", "-l", disk], check=True)
            whereabouts(recorder, "moved")
            delete(tmp_path, "second")
            recorder.seal(HANG_S)
            status = recorder.status()
            assert (status["failing"], status["errors"], status["in_memory"]) == (False, 0, 0)
            assert list(disk.iterdir()) == []
        subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=True)


def test_sealing_that_fails_is_raised(tmp_path: Path) -> None:
    directory = tmp_path / "h"
    with recording(directory) as recorder:
        [first] = delete(tmp_path, "first")
        # A file stands where the directory of the host has to be.
        (directory / "events").rmdir()
        (directory / "events").write_text("")
        with pytest.raises(OSError, match="cannot seal the log"):
            recorder.seal(HANG_S)
        # What was acknowledged is in the log, still.
        assert first in [event["path"] for event in events_of_logs(directory)]
        recorder.sync(HANG_S)
        (directory / "events").unlink()
        (directory / "events").mkdir()
        wait_for(lambda: recorder.status()["wal_files"] == 0, "it is tried again")
        delete(tmp_path, "second")
        recorder.seal(HANG_S)
        assert len(sealed(directory)) == 2
    assert first in paths(directory)


def events_of_logs(directory: Path) -> list[dict[str, object]]:
    """The events of a directory whose sealed files cannot be listed."""
    (directory / "events").rename(directory / "not-a-directory")
    try:
        return events(directory)
    finally:
        (directory / "not-a-directory").rename(directory / "events")
