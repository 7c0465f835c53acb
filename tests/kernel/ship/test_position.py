"""Where ``rawtp ship`` goes on: the position of a receiver."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.receivers import position
from helpers.recordings import HANG_S, delete, events, recording
from helpers.shipping import Memory, ship
from helpers.support import wait_for
from rawtp._feed.position import PositionFile
from rawtp.sinks.base import NotTakenError

if TYPE_CHECKING:
    from rawtp.sinks.base import Delivery


pytestmark = [pytest.mark.kernel, pytest.mark.filterwarnings("ignore")]


def test_the_position_outlives_that_a_log_is_sealed(tmp_path: Path) -> None:
    """Each event comes once: from a log, from what it was sealed into, and from one that was half shipped by then."""
    directory, work, memory = tmp_path / "h", tmp_path / "work", Memory()
    work.mkdir()
    with recording(directory) as recorder:
        delete(work, *range(300))
        recorder.sync(HANG_S)
        ship(directory, tmp_path / "s", memory)
        assert len(memory.keys) >= 300
        # Half of a log is shipped, and it is sealed then.
        delete(work, *range(50))
        recorder.seal(HANG_S)
        ship(directory, tmp_path / "s", memory)
        # A log that is shipped whole, and sealed.
        delete(work, *range(50))
        recorder.sync(HANG_S)
        ship(directory, tmp_path / "s", memory)
        recorder.seal(HANG_S)
        # One that was never seen as a log.
        delete(work, *range(50))
        recorder.seal(HANG_S)
        ship(directory, tmp_path / "s", memory)
    ship(directory, tmp_path / "s", memory)
    assert len(memory.keys) == len(set(memory.keys)) == len(events(directory))
    assert [record["type"] for record in memory.got if record["type"] != "event"] == ["session", "through"]


def test_a_failure_goes_on_where_it_was(tmp_path: Path) -> None:
    """What failed comes again, and nothing else does."""
    directory, work = tmp_path / "h", tmp_path / "work"
    work.mkdir()

    class Failing(Memory):
        max_records = 40
        calls = 0

        def send(self, delivery: Delivery) -> int:
            self.calls += 1
            if self.calls % 3 == 0:
                raise NotTakenError("not now", 0.0)
            return super().send(delivery)

    receiver = Failing()
    said: list[str] = []
    with recording(directory) as recorder:
        delete(work, *range(300))
        recorder.sync(HANG_S)
    ship(directory, tmp_path / "s", receiver, said.append)
    assert len(receiver.keys) == len(set(receiver.keys)) == len(events(directory))
    assert "memory: takes nothing: not now; it is tried again" in said
    counts = position(tmp_path / "s", "memory")["counts"]
    assert counts["records"] == len(receiver.got)
    assert counts["failures"] == receiver.calls // 3


def test_what_retention_took_is_told(tmp_path: Path) -> None:
    """A receiver that was dead for too long learns how many events it did not get."""
    directory, work, memory = tmp_path / "h", tmp_path / "work", Memory()
    work.mkdir()
    with recording(directory, max_bytes=40_000) as recorder:
        for _ in range(6):
            delete(work, *range(200))
            recorder.seal(HANG_S)
        wait_for(lambda: recorder.status()["expired"] > 0, "a file is removed")
        acknowledged = recorder.status()["acknowledged"]
    ship(directory, tmp_path / "s", memory)
    told = [record for record in memory.got if record["type"] == "unshipped"]
    assert told
    assert {record["reason"] for record in told} == {"expired"}
    missing = sum(record["count"] for record in told)
    assert len(memory.keys) + missing == acknowledged
    assert position(tmp_path / "s", "memory")["counts"]["unshipped"] == missing
    assert all(record["from_ns"] <= record["to_ns"] and record["key"] for record in told)
    # Told once.
    ship(directory, tmp_path / "s", memory)
    assert [record for record in memory.got if record["type"] == "unshipped"] == told


def test_a_torn_position_leaves_the_one_before(tmp_path: Path) -> None:
    file = PositionFile(str(tmp_path), "x")
    assert file.read() is None
    for number in range(5):
        file.write({"position": {"number": number, "blank": " " * (50 - 10 * number)}})
    with pytest.raises(BlockingIOError):
        PositionFile(str(tmp_path), "x")
    file.close()
    slots = [tmp_path / name for name in ("x.json", "x.1.json")]
    newest = max(slots, key=lambda path: int(json.loads(path.read_text())["beat"]))
    content = newest.read_bytes()
    newest.write_bytes(content[:30] + b"\0" * 20 + content[50:])
    file = PositionFile(str(tmp_path), "x")
    assert (file.read() or {})["position"]["number"] == 3
    # The damaged one is the next to be written.
    file.write({"position": {"number": 5}})
    assert (file.read() or {})["position"]["number"] == 5
    file.close()
    for path in tmp_path.glob("*.json"):
        path.write_bytes(b"{}\n")
    file = PositionFile(str(tmp_path), "x")
    with pytest.raises(ValueError, match=r"x\.json is damaged"):
        file.read()
    file.close()


def test_a_position_is_of_one_target(tmp_path: Path) -> None:
    directory, memory = tmp_path / "h", Memory()
    with recording(directory):
        pass
    ship(directory, tmp_path / "s", memory)
    memory.target = "memory:2"
    with pytest.raises(ValueError, match="is the position of memory:: choose another --name for memory:2"):
        ship(directory, tmp_path / "s", memory)
