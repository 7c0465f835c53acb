"""The way from a directory up to the root: names of any length, and of directories that move meanwhile."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.fuse import served
from helpers.support import HANG_S
from helpers.upset import moves

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel


def test_no_path_that_never_was(program: Callable[[str], Path], deep_place: Path) -> None:
    """1,500 levels make a walk of 30 µs: before it was gone twice, 1 in 20,000 was below "there"."""
    moves(program, deep_place, levels=1500, count=100_000)


@pytest.mark.slow
@pytest.mark.parametrize("other", ["b" * 30, "b" * 39])
def test_no_name_that_never_was(program: Callable[[str], Path], tmp_path: Path, other: str) -> None:
    """Names change in place. The length of one with the bytes of the other would show what the kernel keeps there."""
    count = 1_500_000
    command = [str(program("exchanging")), str(tmp_path), "a", other, str(count)]
    seen: Counter[tuple[str | None, str | None]] = Counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin
        options: dict[str, Any] = {"fields": ("path", "path_kind"), "ring_bytes": 32 << 20, "queue_bytes": 512 << 20}
        with rawtp.Tracer(pid=process.pid, **options) as tracer:
            process.stdin.write("go")
            process.stdin.flush()
            while process.poll() is None:
                seen.update((event["path"], event["path_kind"]) for event in tracer.get_many(65536, timeout=0.2))
        seen.update((event["path"], event["path_kind"]) for event in tracer)
    assert process.returncode == 0
    whole = {path for path, kind in seen if kind == "cwd"}
    assert whole == {f"{tmp_path}/{name}/in/deep/nope" for name in ("a", other)}
    # Where a walk was disturbed each time it was tried, the path has lost its beginning.
    assert {path for path, kind in seen if kind != "cwd"} <= {"nope", "deep/nope", "in/deep/nope"}
    assert seen.total() + tracer.stats().lost_ring == count


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
