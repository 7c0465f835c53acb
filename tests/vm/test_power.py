"""A recorder on a disk whose power is cut, and on one that fails."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.disks import MAKE, copied, image, looped, mapped, replayed, sectors
from helpers.recordings import HANG_S, key, recording
from helpers.recordings import events as recorded
from helpers.support import mounted
from rawtp import _core

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

HERE = Path(__file__).parent
ROUNDS = 60
CUTS = 12


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Memory, for the disks."""
    place = tmp_path / "disks"
    place.mkdir()
    with mounted(place, "-t", "tmpfs", "-o", "size=1500m", "none"):
        yield place


@contextmanager
def logged(place: Path, kind: str) -> Iterator[tuple[Path, Path, Path]]:
    """A mounted disk, its image before, and the log of all that is written to it. It is marked with ``dmsetup``."""
    disk, log, before, mount = (place / name for name in ("disk", "log", "before", "mount"))
    image(disk, kind)
    copied(disk, before)
    with log.open("wb") as file:
        file.truncate(600 << 20)
    mount.mkdir()
    with looped(disk) as device, looped(log) as log_device:
        table = f"0 {sectors()} log-writes {device} {log_device}"
        with mapped("rawtp-power", table) as found, mounted(mount, "-t", kind, found.path):
            os.sync()
            yield mount, before, log


def numbers(events: list[dict[str, object]]) -> Counter[int]:
    names = [str(event["path"]) for event in events]
    return Counter(int(name.rpartition("/")[2]) for name in names if name.startswith("/nonexistent/rawtp-power/"))


def cuts(place: Path, kind: str, *lies: str) -> Iterator[tuple[int, Path]]:
    """Records, and gives what was acknowledged at random moments, and where the disk is mounted as it was then."""
    seed = time.time_ns()
    print("seed", seed)
    chance = random.Random(seed)  # noqa: S311
    with logged(place, kind) as (mount, before, log):
        command: list[str | Path] = [sys.executable, HERE / "power_recorder.py", mount / "h", *lies]
        mark = ["dmsetup", "message", "rawtp-power", "0", "mark"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as recorder:
            assert recorder.stdin is not None
            assert recorder.stdout is not None
            for _ in range(ROUNDS):
                told = recorder.stdout.readline()
                assert told, "the recorder ended"
                subprocess.run([*mark, told.strip()], check=True)
                recorder.stdin.write("\n")
                recorder.stdin.flush()
                # And one at any moment, such as while it seals.
                time.sleep(chance.uniform(0, 0.05))
                subprocess.run([*mark, told.strip()], check=True)
            recorder.kill()
    marks = [text for text in replayed(log, copied(before, place / "count")) if text.isdecimal()]
    assert len(marks) == 2 * ROUNDS
    wanted = {0, len(marks) - 1, *chance.sample(range(len(marks)), CUTS - 2)}
    number = 0
    for text in replayed(log, before):
        if not text.isdecimal():
            continue
        if number in wanted:
            cut = copied(before, place / "cut")
            with mounted(place / "mount", "-t", kind, "-o", "loop", cut):
                yield int(text), place / "mount" / "h"
        number += 1


@pytest.mark.parametrize("kind", MAKE)
def test_what_was_acknowledged_outlives_the_power(kind: str, place: Path) -> None:
    """Whatever the disk had in its cache is lost, at random moments of writing and sealing."""
    tried = sealed = 0
    for told, directory in cuts(place, kind):
        expected = set(range(1, told + 1))
        # As readers find it, and as the next recorder leaves it.
        found = numbers(recorded(directory))
        assert expected - found.keys() == set(), f"acknowledged {told}, and lost"
        assert max(found.values(), default=1) == 1
        with recording(directory) as recorder:
            recorder.seal(HANG_S)
            assert recorder.recovered["quarantined"] == []
            assert recorder.recovered["journal_damaged_lines"] <= 1
            assert recorder.status()["errors"] == 0, recorder.status()
            sealed += recorder.status()["segments"]
        events = recorded(directory)
        assert max(Counter(map(key, events)).values(), default=1) == 1
        assert numbers(events) == found
        reader = _core.HistoryReader(directory)
        assert (reader.verify(), reader.losses()) == ([], [])
        tried += 1
    assert tried == CUTS
    assert sealed > CUTS


@pytest.mark.parametrize("kind", MAKE)
def test_this_test_sees_a_flush_that_is_left_out(kind: str, place: Path) -> None:
    lost = 0
    for told, directory in cuts(place, kind, "lies"):
        try:
            found = numbers(recorded(directory))
        except (OSError, rawtp.RawtpError):
            found = Counter()
        lost += set(range(1, told + 1)) - found.keys() != set()
    assert lost > 0


def goes_on(recorder: _core.Recorder) -> bool:
    """Whether it does soon: a file system can have ended for good."""
    for _ in range(20):
        try:
            recorder.sync(HANG_S)
        except OSError:
            time.sleep(0.2)
        else:
            return True
    return False


@pytest.mark.parametrize("kind", MAKE)
def test_a_disk_that_fails(kind: str, place: Path) -> None:
    """Writes get EIO for a while. The file system may end for good by that; what was acknowledged stays."""
    disk, mount = image(place / "disk", kind), place / "mount"
    mount.mkdir()
    directory = mount / "h"
    first, second, third = (range(at, at + 200) for at in (1, 201, 401))

    def delete(wanted: range) -> None:
        for number in wanted:
            Path(f"/nonexistent/rawtp-power/{number}").unlink(missing_ok=True)

    with looped(disk) as device, mapped("rawtp-fails", f"0 {sectors()} linear {device} 0") as found:
        with mounted(mount, "-t", kind, found.path), rawtp.Tracer(rawtp.LOSS, pid=os.getpid()) as tracer:
            recorder = _core.Recorder(tracer, directory, sync_s=0.05)
            delete(first)
            recorder.sync(HANG_S)
            found.load(f"0 {sectors()} flakey {device} 0 0 1 1 error_writes")
            delete(second)
            with pytest.raises(OSError, match=r"cannot write the (log|journal)") as raised:
                recorder.sync(HANG_S)
            # xfs has an errno of its own for what it calls corrupted: EUCLEAN.
            assert raised.value.errno in {errno.EIO, errno.EROFS, errno.EUCLEAN}
            status = recorder.status()
            assert (status["failing"], status["directory"]) == (True, "here")
            assert status["in_memory"] + status["acknowledged"] == status["events"]
            found.load(f"0 {sectors()} linear {device} 0")
            delete(third)
            is_well = goes_on(recorder)
            print(kind, "goes on" if is_well else "has ended", raised.value, recorder.status()["last_error"])
            if is_well:
                recorder.close()
            else:
                with pytest.raises(OSError, match="events were dropped"):
                    recorder.close()
            status = recorder.status()
            assert status["in_memory"] == 0
            assert status["acknowledged"] + status["dropped"] == status["events"]
            assert status["dropped"] == 0 or not is_well
        with mounted(mount, "-t", kind, found.path):
            with recording(directory) as recorder:
                recorder.seal(HANG_S)
                assert recorder.recovered["quarantined"] == []
                began, ended = recorder.recovered["gap"]
            known = numbers(recorded(directory))
            assert {*first} <= known.keys()
            assert max(known.values()) == 1
            if is_well:
                assert {*second, *third} <= known.keys()
            else:
                # What is not there is in the gap.
                times = [event["ts_ns"] for event in recorded(directory)]
                assert max(time_ns for time_ns in times) <= ended
                assert began < ended
