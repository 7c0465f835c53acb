"""What a recorder makes of a directory in which another one ended at the worst moment."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

import rawtp
from helpers.recordings import HANG_S, delete, events, key, paths, recording, sealed
from helpers.support import wait_for
from rawtp import _core

pytestmark = pytest.mark.kernel


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "h"


@pytest.fixture
def dead(tmp_path: Path, directory: Path) -> tuple[Path, list[str]]:
    """A directory as a killed recorder leaves it, with one log, and the paths in that."""
    with recording(directory) as recorder:
        names = []
        for number in range(5):
            names += delete(tmp_path, number)
            recorder.sync(HANG_S)
        shutil.copytree(directory, tmp_path / "killed")
    return tmp_path / "killed", names


def log_of(directory: Path) -> Path:
    [log] = (directory / "wal").glob("*.arrows")
    return log


def session_of(directory: Path) -> int:
    """The session of the only file with events."""
    [file] = [*(directory / "wal").glob("*.arrows"), *sealed(directory)]
    return int(file.name.split("-")[0])


def damaged(directory: Path) -> list[tuple[int, int]]:
    found = _core.HistoryReader(directory).gaps()
    return [(gap["from_ns"], gap["to_ns"]) for gap in found if gap["reason"] == "damaged"]


def recovered(directory: Path) -> dict[str, object]:
    with recording(directory) as recorder:
        recorder.seal(HANG_S)
        assert recorder.status()["errors"] == 0
        return recorder.recovered


def test_a_log_is_sealed(dead: tuple[Path, list[str]]) -> None:
    directory, names = dead
    assert paths(directory) == names
    reader = _core.HistoryReader(directory)
    [session], [gap] = reader.sessions(), reader.gaps()
    assert (gap["reason"], gap["to_ns"], gap["from_ns"]) == ("stopped", None, session["through_ns"])
    before = time.time_ns()
    found = recovered(directory)
    assert (found["first"], found["logs"], found["torn_bytes"], found["quarantined"]) == (False, 1, 0, [])
    assert paths(directory) == names
    assert len(sealed(directory)) == 1
    gap = reader.gaps()[0]
    assert gap["reason"] == "died"
    assert (gap["from_ns"], gap["to_ns"]) == found["gap"]
    assert session["through_ns"] <= gap["from_ns"] <= before <= gap["to_ns"]


def test_a_torn_log_has_what_was_whole(dead: tuple[Path, list[str]]) -> None:
    directory, names = dead
    log = log_of(directory)
    with log.open("ab") as file:
        file.write(log.read_bytes()[-200:][:150])
    # What was never acknowledged is no damage.
    assert paths(directory) == names
    found = recovered(directory)
    assert (found["torn_bytes"], found["quarantined"]) == (150, [])
    assert paths(directory) == names


def test_between_the_rename_and_the_line(dead: tuple[Path, list[str]], tmp_path: Path) -> None:
    directory, names = dead
    shutil.copytree(directory, tmp_path / "other")
    recovered(tmp_path / "other")
    [file] = sealed(tmp_path / "other")
    target = directory / file.relative_to(tmp_path / "other")
    target.parent.mkdir(parents=True)
    # Not whole, even: what counts is the log.
    target.write_bytes(file.read_bytes()[:-100])
    assert paths(directory) == names
    recovered(directory)
    assert paths(directory) == names
    assert _core.HistoryReader(directory).verify() == []


def test_between_the_line_and_the_unlink(dead: tuple[Path, list[str]]) -> None:
    directory, names = dead
    log = log_of(directory)
    content = log.read_bytes()
    recovered(directory)
    log.write_bytes(content)
    assert paths(directory) == names
    found = recovered(directory)
    assert (found["sealed_logs"], found["logs"]) == (1, 0)
    assert not log.exists()
    recorded = events(directory)
    assert len({key(event) for event in recorded}) == len(recorded) == len(names)


def test_a_journal_that_is_gone(dead: tuple[Path, list[str]]) -> None:
    directory, names = dead
    recovered(directory)
    (directory / "journal.jsonl").write_bytes(b"")
    assert paths(directory) == names
    before = time.time_ns()
    recovered(directory)
    assert paths(directory) == names
    assert _core.HistoryReader(directory).stats()["segments"] == 1
    # Its gaps and losses are not known.
    [(from_ns, to_ns)] = found = damaged(directory)
    assert from_ns == session_of(directory)
    assert from_ns < before <= to_ns <= time.time_ns()
    recovered(directory)
    assert damaged(directory) == found


def test_a_session_that_the_journal_has_lost(dead: tuple[Path, list[str]], tmp_path: Path) -> None:
    directory, _ = dead
    recovered(directory)
    session, journal = session_of(directory), directory / "journal.jsonl"
    delete(tmp_path, "later")
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if f'"session":{session},' not in line))
    [later] = _core.HistoryReader(directory).sessions()
    recovered(directory)
    assert damaged(directory) == [(session, later["start_ns"])]


def test_a_lost_session_whose_first_batch_was_damaged(dead: tuple[Path, list[str]]) -> None:
    """A gap from a session's start to its first watermark does not stand for all of it."""
    directory, names = dead
    session, journal, log = session_of(directory), directory / "journal.jsonl", log_of(directory)
    content = bytearray(log.read_bytes())
    content[content.index(os.fsencode(names[0])) - 8] ^= 1
    log.write_bytes(content)
    recovered(directory)
    [(from_ns, to_ns)] = damaged(directory)
    assert from_ns == session
    [_, later] = _core.HistoryReader(directory).sessions()
    assert to_ns < later["start_ns"]
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if f'"session":{session},' not in line))
    recovered(directory)
    found = [(session, to_ns), (session, later["start_ns"])]
    assert sorted(damaged(directory)) == found
    recovered(directory)
    assert sorted(damaged(directory)) == found


def test_a_log_whose_journal_is_gone(dead: tuple[Path, list[str]]) -> None:
    directory, names = dead
    session = session_of(directory)
    (directory / "journal.jsonl").unlink()
    found = recovered(directory)
    assert paths(directory) == names
    gaps = [gap for gap in _core.HistoryReader(directory).gaps() if gap["reason"] != "stopped"]
    # Nobody watched from the log's last watermark on.
    assert [gap["reason"] for gap in gaps] == ["damaged", "died"]
    assert (gaps[0]["from_ns"], gaps[0]["to_ns"]) == (session, gaps[1]["from_ns"])
    assert (gaps[1]["from_ns"], gaps[1]["to_ns"]) == found["gap"]


def test_damaged_lines_of_the_journal_are_told(dead: tuple[Path, list[str]]) -> None:
    directory, names = dead
    recovered(directory)
    journal = directory / "journal.jsonl"
    content = bytearray(journal.read_bytes())
    content[20] ^= 4
    journal.write_bytes(content + b'{"type":"expi')
    found = recovered(directory)
    assert found["journal_damaged_lines"] == 2
    assert paths(directory) == names


def test_a_damaged_log_is_quarantined_and_the_rest_is_sealed(dead: tuple[Path, list[str]]) -> None:
    directory, names = dead
    log = log_of(directory)
    content = bytearray(log.read_bytes())
    content[-1500] ^= 16
    log.write_bytes(content)
    scan = _core.HistoryReader(directory).scan()
    kept = [event["path"] for event in next(scan).to_dicts()]
    assert set(kept) < set(names)
    with pytest.raises(_core.RawtpError, match="is damaged"):
        next(scan)
    assert scan.damaged == [f"wal/{log.name}"]
    with recording(directory) as recorder:
        recorder.seal(HANG_S)
        assert recorder.recovered["quarantined"] == [f"quarantine/{log.name}"]
        assert recorder.status()["quarantined"] == 1
    assert (directory / "quarantine" / log.name).read_bytes() == content
    assert paths(directory) == kept
    reader = _core.HistoryReader(directory)
    assert "damaged" in {gap["reason"] for gap in reader.gaps()}
    assert reader.verify() == []


def test_a_damaged_segment_is_quarantined(dead: tuple[Path, list[str]], tmp_path: Path) -> None:
    directory, names = dead
    recovered(directory)
    [file] = sealed(directory)
    times = [event["ts_ns"] for event in events(directory)]
    content = bytearray(file.read_bytes())
    content[1000] ^= 1
    file.write_bytes(content)
    reader = _core.HistoryReader(directory)
    assert reader.verify() == [str(file.relative_to(directory))]
    with pytest.raises(_core.RawtpError, match="is damaged: the checksum differs"):
        next(reader.scan())
    history = rawtp.History(directory)
    with pytest.warns(RuntimeWarning, match=r"\.parquet is damaged: the checksum differs; it was left out"):
        assert history.who(names[0], failed=True) == []
    with recording(directory) as recorder:
        wait_for(lambda: recorder.status()["quarantined"] == 1, "the damaged file")
        [other] = delete(tmp_path, "other")
        recorder.sync(HANG_S)
        assert paths(directory) == [other]
    assert not file.exists()
    [gap] = [gap for gap in reader.gaps() if gap["reason"] == "damaged"]
    assert (gap["from_ns"], gap["to_ns"]) == (min(times), max(times) + 1)


def test_a_close_leaves_a_gap_of_its_own_kind(directory: Path) -> None:
    with recording(directory):
        pass
    with recording(directory) as recorder:
        start_ns, end_ns = recorder.recovered["gap"]
    first, second = _core.HistoryReader(directory).sessions()
    assert (first["closed"], first["through_ns"], second["start_ns"]) == (True, start_ns, end_ns)
    gaps = _core.HistoryReader(directory).gaps()
    assert [gap["reason"] for gap in gaps] == ["closed", "stopped"]
    assert _core.HistoryReader(directory).gaps(until_ns=start_ns) == []
    assert [gap["reason"] for gap in _core.HistoryReader(directory).gaps(since_ns=1 << 62)] == ["stopped"]
