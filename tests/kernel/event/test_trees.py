"""Paths by the thousand, against a truth that is known: whole trees, and trees that change meanwhile."""

from __future__ import annotations

import os
import random
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import HANG_S, of_own_family, run, until_sentinel

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

ODD = ("a b", "new\nline", "\x1b[31m", "ünï", "-rf", "..x", "'", "\udcff\udcfe", "x" * 200)


def grow(rng: random.Random, top: Path, directory_count: int, file_count: int, depth: int) -> list[Path]:
    """A tree with odd names and deep places; gives its directories, the top first."""
    top.mkdir()
    directories = [top]
    for number in range(directory_count):
        parent = rng.choice(directories[-40:] if number % 3 else directories)
        directory = parent / f"{rng.choice(ODD)}{number}"
        if len(os.fsencode(directory)) < 3000:
            directory.mkdir()
            directories.append(directory)
    deep = top
    for _ in range(depth):
        deep /= "d"
        deep.mkdir()
        directories.append(deep)
    for number in range(file_count):
        (rng.choice(directories) / f"{rng.choice(ODD[:-1])}{number}").touch()
    return directories


def below(directory: Path) -> set[str]:
    """All that is in it, itself not among it."""
    return {str(Path(place, name)) for place, *names in os.walk(directory) for kind in names for name in kind}


def run_rm(name: str | Path, place: Path, source: Path | None = None, target: Path | None = None) -> int:
    """``rm -rf`` of a name in a place; a source is mounted on the target, for this rm alone to see."""
    if source is None or target is None:
        return run(["rm", "-rf", "--", name], cwd=place)
    script = 'mount --bind "$1" "$2" && exec rm -rf -- "$3"'
    return run(["unshare", "-m", "sh", "-c", script, "sh", source, target, name], cwd=place)


def test_rm_rf_exactly(tmp_path: Path) -> None:
    """Thousands of entries, bind mounts, absolute and relative names: no path is missing, too many, or wrong."""
    rng = random.Random(20261122)  # noqa: S311 - a tree, not a secret
    top = tmp_path / "top"
    directories = grow(rng, top, directory_count=800, file_count=4200, depth=120)
    inner = rng.choice(directories[1:])
    outer = next(directory for directory in reversed(directories) if inner not in (directory, *directory.parents))
    targets = [place / "mount\npoint" for place in (inner, outer)]
    sources = [tmp_path / "source 1", tmp_path / "source 2"]
    truth = {str(top)}
    for source, target in zip(sources, targets, strict=True):
        target.mkdir()
        grow(rng, source, directory_count=50, file_count=250, depth=20)
        truth |= {f"{target}{path.removeprefix(str(source))}" for path in below(source)}
    truth |= below(top)
    assert len(truth) > 5500

    with of_own_family(ring_bytes=32 << 20) as tracer:
        pids = set()
        for name, place, source, target in (
            (os.path.relpath(inner, tmp_path), tmp_path, sources[0], targets[0]),
            (top, Path("/"), sources[1], targets[1]),
        ):
            pids.add(run_rm(name, place, source, target))
            # What the mount point is in, and itself, was busy until now.
            pids.add(run_rm(name, place))
        events = [event for event in until_sentinel(tracer) if event["pid"] in pids]
        assert tracer.stats().lost_ring == 0
    removed = [event["path"] for event in events if event["ret"] == 0]
    assert len(removed) == len(set(removed))
    assert set(removed) == truth
    assert [event["path"] for event in events if event["errno"] == "EBUSY"] == list(map(str, targets))
    assert {event["path_kind"] for event in events} == {"absolute", "cwd", "dirfd"}
    assert {event["host_path"] for event in events} == {None}
    assert not any(map(below, sources))


@contextmanager
def renaming(one: Path, other: Path) -> Iterator[None]:
    """A process that gives a directory another name and the old one again, all the while."""
    stop, stopping = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(stopping)
        os.set_blocking(stop, False)
        while True:
            one.rename(other)
            other.rename(one)
            try:
                os.read(stop, 1)
            except BlockingIOError:
                continue
            os._exit(0)
    os.close(stop)
    try:
        yield
    finally:
        # The end of the pipe, for which there is nothing more to read.
        os.close(stopping)
        assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize("depth", [1, 60])
@pytest.mark.slow
def test_a_parent_that_is_renamed_all_the_while(tmp_path: Path, depth: int) -> None:
    """The walk takes no locks: each path is one that there was, or says that it is not whole."""
    names = [tmp_path / name for name in ("one", "two and longer")]
    inside = Path(*["in"] * depth)
    (names[0] / inside).mkdir(parents=True)
    directory = os.open(names[0] / inside, os.O_DIRECTORY)
    truth = {f"{name / inside}/file" for name in names}
    whole: set[str | None] = set()
    deadline = time.monotonic() + HANG_S
    with rawtp.Tracer(pid=os.getpid()) as tracer, renaming(*names):
        while whole != truth and time.monotonic() < deadline:
            for _ in range(2_000):
                os.close(os.open("file", os.O_CREAT, dir_fd=directory))
                os.unlink("file", dir_fd=directory)
            events = until_sentinel(tracer)
            assert [(event["filename"], event["ret"]) for event in events] == [("file", 0)] * 2_000
            assert {event["path_kind"] for event in events} <= {"dirfd", "partial"}
            whole |= {event["path"] for event in events if event["path_kind"] == "dirfd"}
            assert whole <= truth
            # What is partial has lost its beginning, and no more than that.
            parts = {event["path"] or "" for event in events if event["path_kind"] == "partial"}
            assert all(any(path.endswith(f"/{part}") for path in truth) for part in parts), parts
        assert whole == truth
    os.close(directory)
