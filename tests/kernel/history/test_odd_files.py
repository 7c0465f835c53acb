"""Damage that no line of the journal tells of: other kinds of files, holes, flipped bits and copies."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers.recordings import HANG_S, delete, key, recording, sealed
from rawtp import _core

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel

READ = """
import json, sys
from rawtp import _core
reader = _core.HistoryReader(sys.argv[1])
scan, rows, errors = reader.scan(), [], []
while True:
    try:
        rows += [event["path"] for event in next(scan).to_dicts()]
    except StopIteration:
        break
    except _core.RawtpError as error:
        errors.append(str(error))
reader.stats(), reader.sessions(), reader.gaps(), reader.losses(), reader.coverage()
print(json.dumps({"paths": rows, "errors": errors, "damaged": scan.damaged, "verify": reader.verify()}))
"""

RECORD = """
import json, os, sys
import rawtp
from rawtp import _core
with rawtp.Tracer(rawtp.LOSS, pid=os.getpid()) as tracer, _core.Recorder(tracer, sys.argv[1], sync_s=0.05) as recorder:
    recorder.seal(60)
    print(json.dumps(recorder.recovered))
"""

FAIL = """
import json, os, sys
import rawtp
from rawtp import _core
errors = []
try:
    _core.HistoryReader(sys.argv[1]).gaps()
except OSError as error:
    errors.append(str(error))
try:
    with rawtp.Tracer(rawtp.LOSS, pid=os.getpid()) as tracer:
        _core.Recorder(tracer, sys.argv[1])
except OSError as error:
    errors.append(str(error))
print(json.dumps(errors))
"""


def run(code: str, directory: Path) -> Any:
    """Runs it in a process of its own: only that can be ended when an open hangs."""
    command = [sys.executable, "-c", code, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, list[str]]:
    """A directory as a killed recorder leaves it, with a sealed file and a log, and the paths in both."""
    directory = tmp_path / "h"
    with recording(directory) as recorder:
        names = delete(tmp_path, "sealed", "too")
        recorder.seal(HANG_S)
        names += delete(tmp_path, "logged")
        recorder.sync(HANG_S)
        shutil.copytree(directory, tmp_path / "killed")
    return tmp_path / "killed", names


def holes(path: Path) -> None:
    """Makes a file of 8 TiB that takes no room."""
    with path.open("wb") as file:
        file.truncate(1 << 43)


KINDS: dict[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo,
    "directory": os.mkdir,
    "loop": lambda path: path.symlink_to(path),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "holes": holes,
}

STEM = "0000000000000000007-000001"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["wal/{}.arrows", "{}/{}.parquet"])
def test_an_odd_file_is_damaged_and_the_rest_is_read(kind: str, name: str, recorded: tuple[Path, list[str]]) -> None:
    directory, names = recorded
    [file] = sealed(directory)
    name = name.format(STEM) if name.startswith("wal") else name.format(file.parent.relative_to(directory), STEM)
    KINDS[kind](directory / name)
    found = run(READ, directory)
    assert sorted(found["paths"]) == sorted(names)
    assert (found["damaged"], found["verify"]) == ([name], [name])
    assert [error.split(" is damaged: ")[0] for error in found["errors"]] == [name]
    [quarantined] = run(RECORD, directory)["quarantined"]
    assert quarantined.startswith("quarantine/")
    assert (directory / quarantined).is_symlink() == (kind in {"loop", "device"})
    assert not os.path.lexists(directory / name)
    assert os.path.lexists(directory / quarantined)
    found = run(READ, directory)
    assert (sorted(found["paths"]), found["errors"], found["verify"]) == (sorted(names), [], [])


@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_file_in_place_of_a_known_one(kind: str, recorded: tuple[Path, list[str]]) -> None:
    directory, names = recorded
    [file] = sealed(directory)
    file.unlink()
    KINDS[kind](file)
    name = str(file.relative_to(directory))
    found = run(READ, directory)
    assert (found["paths"], found["damaged"], found["verify"]) == (names[2:], [name], [name])


@pytest.mark.parametrize("kind", [*KINDS])
@pytest.mark.parametrize("name", ["journal.jsonl", "lock"])
def test_an_odd_journal_or_lock_is_named(kind: str, name: str, recorded: tuple[Path, list[str]]) -> None:
    if (name, kind) == ("lock", "holes"):
        pytest.skip("nobody reads what is in a lock")
    directory, _ = recorded
    (directory / name).unlink()
    KINDS[kind](directory / name)
    reason = "is larger than 4 GiB" if kind == "holes" else "is not a regular file"
    errors = run(FAIL, directory)
    assert len(errors) == 2
    assert all(f"{directory / name} {reason}" in error for error in errors)


@pytest.mark.parametrize("kind", ["fifo", "directory", "loop", "device"])
def test_an_odd_state_is_none(kind: str, recorded: tuple[Path, list[str]]) -> None:
    directory, names = recorded
    [state] = (directory / "wal").glob("*.through")
    state.unlink()
    KINDS[kind](state)
    assert sorted(run(READ, directory)["paths"]) == sorted(names)
    assert run(RECORD, directory)["quarantined"] == [f"quarantine/{state.name}"]
    assert sorted(run(READ, directory)["paths"]) == sorted(names)


def test_a_file_in_place_of_a_directory(recorded: tuple[Path, list[str]]) -> None:
    directory, names = recorded
    (directory / "events" / "host=x").touch()
    [file] = sealed(directory)
    (file.parent.parent / "date=x").touch()
    assert sorted(run(READ, directory)["paths"]) == sorted(names)
    (directory / "quarantine").rmdir()
    (directory / "quarantine").touch()
    with pytest.raises(OSError, match="quarantine is not a directory"), recording(directory):
        pass


def test_flipped_bits_of_an_unknown_file_are_no_values(recorded: tuple[Path, list[str]]) -> None:
    directory, _ = recorded
    [whole] = _core.HistoryReader(directory).scan(limit=2)
    right = [repr(event) for event in whole.to_dicts()]
    [file] = sealed(directory)
    content = file.read_bytes()
    (directory / "journal.jsonl").write_bytes(b"")
    # The tests of `own_sum.rs` flip every bit.
    for at in {0, 2153, *range(4, len(content), 97), *range(len(content) - 60, len(content))}:
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        file.write_bytes(damaged)
        found = [event for batch in scanned(directory) for event in batch.to_dicts()]
        # All of the log, and nothing of the file.
        assert [event["path"].rpartition("/")[2] for event in found] == ["logged"], at
    file.write_bytes(content)
    found = [event for batch in scanned(directory) for event in batch.to_dicts()]
    assert [repr(event) for event in found[:2]] == right


def gaps(directory: Path) -> list[tuple[int, int]]:
    """The stretches of time that damaged files leave."""
    found = _core.HistoryReader(directory).gaps()
    return [(gap["from_ns"], gap["to_ns"]) for gap in found if gap["reason"] == "damaged"]


@pytest.mark.parametrize("kind", ["fifo", "holes", "bits"])
@pytest.mark.parametrize("journal", [True, False])
def test_the_time_of_a_file_that_cannot_be_read_is_a_gap(kind: str, journal: bool, tmp_path: Path) -> None:
    """Of the second of three logs, or of the file that it was sealed into."""
    directory, killed, times = tmp_path / "h", tmp_path / "killed", []
    with recording(directory) as recorder:
        for name in ("first", "second", "third"):
            times.append(time.time_ns())
            delete(tmp_path, name)
            if (name, journal) == ("second", True):
                # As a recorder leaves it that is killed before it seals.
                recorder.sync(HANG_S)
                [log] = (directory / "wal").glob("*.arrows")
                shutil.copy(log, tmp_path / log.name)
            recorder.seal(HANG_S)
        times.append(time.time_ns())
        recorder.sync(HANG_S)
        shutil.copytree(directory, killed)
    [first, file, _] = sealed(killed)
    if journal:
        lines = (killed / "journal.jsonl").read_text().splitlines(keepends=True)
        (killed / "journal.jsonl").write_text("".join(line for line in lines if file.name not in line))
        file.unlink()
        file = killed / "wal" / file.with_suffix(".arrows").name
        shutil.copy(tmp_path / file.name, file)
    else:
        (killed / "journal.jsonl").write_bytes(b"")
    if kind == "bits":
        content = bytearray(file.read_bytes())
        content[100] ^= 1
        file.write_bytes(content)
    else:
        file.unlink()
        KINDS[kind](file)
    with recording(killed) as recorder:
        recorder.seal(HANG_S)
        assert len(recorder.recovered["quarantined"]) == 1
        # Without the journal nobody knows of the session before.
        assert (recorder.status()["quarantined"], recorder.status()["gaps"]) == (1, 2 if journal else 1)
    assert [path.rpartition("/")[2] for path in run(READ, killed)["paths"]] == ["first", "third"]
    [(from_ns, to_ns)], start_ns = gaps(killed), int(first.name.split("-")[0])
    if journal:
        assert start_ns < from_ns < times[1] < times[2] < to_ns < times[3]
    else:
        assert start_ns == from_ns < times[1] < times[2] < to_ns


def scanned(directory: Path) -> list[_core.HistoryBatch]:
    """The batches of the files that are whole."""
    scan, batches = _core.HistoryReader(directory).scan(), []
    while True:
        try:
            batches.append(next(scan))
        except StopIteration:
            return batches
        except _core.RawtpError:
            pass


@pytest.mark.parametrize("has_journal", [True, False])
def test_a_copy_under_another_name_is_no_source(has_journal: bool, recorded: tuple[Path, list[str]]) -> None:
    directory, names = recorded
    [file] = sealed(directory)
    copies = [file.with_name(f"{STEM}.parquet"), file.parent.with_name("date=2020-01-01") / file.name]
    for copy in copies:
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(file, copy)
    if not has_journal:
        (directory / "journal.jsonl").write_bytes(b"")
    found = run(READ, directory)
    expected = sorted(str(copy.relative_to(directory)) for copy in copies)
    journal = [] if has_journal else ["journal.jsonl"]
    assert (sorted(found["paths"]), sorted(found["verify"])) == (sorted(names), expected + journal)
    assert len(run(RECORD, directory)["quarantined"]) == len(copies)
    # Of copies there is none. Without a journal it is of the session.
    session = int(file.name.split("-")[0])
    assert [from_ns for from_ns, _ in gaps(directory)] == ([] if has_journal else [session])
    with recording(directory):
        recorded_events = [event for batch in scanned(directory) for event in batch.to_dicts()]
    assert len({key(event) for event in recorded_events}) == len(recorded_events) == len(names)


def test_an_unpadded_name_is_no_log(recorded: tuple[Path, list[str]]) -> None:
    directory, names = recorded
    [log] = (directory / "wal").glob("*.arrows")
    shutil.copy(log, directory / "wal" / "1-4294967295.arrows")
    found = run(READ, directory)
    assert (sorted(found["paths"]), found["verify"]) == (sorted(names), [])
    assert run(RECORD, directory)["quarantined"] == []
    assert len(run(READ, directory)["paths"]) == len(names)
