"""The way from a directory up to the root: names of any length, and of directories that move meanwhile."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from fuse import served
from support import HANG_S, assert_ledger, release, stopped

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel


def place(event: rawtp.Event) -> str:
    """Of moving.c's directories, the one that the path is below."""
    path = Path(str(event["path"]))
    if event["path_kind"] == "partial":
        assert str(path) == event["filename"]
        return "not known"
    return next(name for name in ("here", "there", "aside") if name in path.parts)


def test_no_path_that_never_was(program: Callable[[str], Path], deep_place: Path) -> None:
    """1,500 levels make a walk of 30 µs: before it was gone twice, 1 in 20,000 was below "there"."""
    count = 100_000
    seen: Counter[str] = Counter()
    with (
        stopped([program("moving"), deep_place, "1500", str(count)]) as process,
        rawtp.Tracer(comm="moving", fields=("filename", "path", "path_kind"), queue_bytes=512 << 20) as tracer,
    ):
        release(process)
        while process.poll() is None:
            seen.update(map(place, tracer.get_many(timeout=0.2)))
        tracer.close()
        seen.update(map(place, tracer))
        stats = tracer.stats()
    assert process.returncode == 0
    assert seen["there"] == 0
    assert seen.total() + stats.lost_ring == count
    # Both places are seen, and few tries fail all.
    assert seen["aside"] > 0
    assert seen["not known"] < seen.total() / 10
    assert_ledger(stats)


@pytest.mark.parametrize("length", [255, 256, 300, 511, 512, 765, 1024])
def test_names_longer_than_most_filesystems_have(tmp_path: Path, length: int) -> None:
    """FUSE takes 1,024 bytes; 255 characters of UTF-16 (vfat, exfat, SMB) are up to 765 bytes."""
    directory = "d" * (length - 3) + "end"
    with served(tmp_path) as mount:
        code = f"import os; os.chdir({str(mount / directory)!r}); os.chdir('dinner'); os.unlink('file')"
        process = subprocess.Popen(["python3", "-c", f"input(); {code}"], stdin=subprocess.PIPE, text=True)
        with rawtp.Tracer(pid=process.pid, path=mount) as tracer:
            process.communicate("\n", timeout=HANG_S)
        [event] = tracer
    assert process.returncode == 0
    assert (event["filename"], event["ret"]) == ("file", 0)
    assert event["path"] == f"{mount}/{directory}/dinner/file"
    assert (event["path_kind"], event["host_path"]) == ("cwd", None)


def test_names_that_are_together_longer_than_a_path(tmp_path: Path) -> None:
    """More than 4,096 bytes are not kept: then the end of the path is."""
    parts = ["d" * 1000 + str(number) for number in range(5)]
    with served(tmp_path) as mount:
        steps = "".join(f"os.chdir({part!r}); " for part in parts)
        code = f"import os; os.chdir({str(mount)!r}); {steps}os.unlink('file')"
        process = subprocess.Popen(["python3", "-c", f"input(); {code}"], stdin=subprocess.PIPE, text=True)
        with rawtp.Tracer(pid=process.pid) as tracer:
            process.communicate("\n", timeout=HANG_S)
        [event] = tracer
    assert process.returncode == 0
    assert (event["path"], event["path_kind"]) == ("/".join([*parts[1:], "file"]), "partial")
    assert os.fspath(mount) not in str(event["path"])
