"""What changes a path and is told to nobody: a rename above a mount point or of what a bind mount shows, a new root."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import rawtp
from helpers.support import HANG_S, mounted

pytestmark = pytest.mark.kernel


def delete(directory: Path, name: str, *, by_descriptor: bool) -> None:
    """A deletion whose directory the kernel walks, or whose name is to be looked up."""
    (directory / name).touch()
    if not by_descriptor:
        (directory / name).unlink()
        return
    descriptor = os.open(directory, os.O_DIRECTORY)
    os.unlink(name, dir_fd=descriptor)
    os.close(descriptor)


def until(tracer: rawtp.Tracer, act: Callable[[str], object], path: str) -> list[str | None]:
    """Does it with one name after another, until one's path is this and the name. The paths of all that were seen."""
    deadline_s = time.monotonic() + HANG_S
    found: list[str | None] = []
    for number in range(10**6):
        act(str(number))
        found += [event["real_path"] for event in tracer.get_many(timeout=0.05)]
        if any(real == f"{path}{number}" for real in found):
            return found
        assert time.monotonic() < deadline_s, found[-5:]
    raise AssertionError


def warm(tracer: rawtp.Tracer, directory: Path) -> None:
    """With its first event a tracer reads the mounts anew: here they were read before."""
    until(tracer, lambda name: delete(directory, f"warm-{name}", by_descriptor=True), f"{directory}/warm-")


@pytest.mark.parametrize("by_descriptor", [True, False])
def test_a_mount_below_a_directory_that_is_renamed(tmp_path: Path, by_descriptor: bool) -> None:
    (tmp_path / "a/m").mkdir(parents=True)
    moved = tmp_path / "b/m"
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path / "a/m"], check=True)
    try:
        with (
            rawtp.Tracer(pid=os.getpid(), path=tmp_path / "b") as new,
            rawtp.Tracer(pid=os.getpid(), path=tmp_path / "a") as old,
        ):
            (tmp_path / "b").mkdir()
            for tracer, name in ((new, "b"), (old, "a")):
                warm(tracer, tmp_path / name)
            (tmp_path / "b").rmdir()
            (tmp_path / "a").rename(tmp_path / "b")
            (tmp_path / "a").mkdir()
            seen = until(new, lambda name: delete(moved, name, by_descriptor=by_descriptor), f"{moved}/")
            assert {Path(path or "").parent for path in seen} <= {moved, tmp_path}
            deadline_s = time.monotonic() + HANG_S
            for number in range(10**6):
                for directory in (moved, tmp_path / "a"):
                    delete(directory, f"after-{number}", by_descriptor=by_descriptor)
                seen = []
                while f"{tmp_path}/a/after-{number}" not in seen:
                    events = old.get_many(timeout=HANG_S)
                    assert events
                    seen += [event["real_path"] for event in events]
                if f"{moved}/after-{number}" not in seen:
                    break
                assert time.monotonic() < deadline_s, "the mount is taken for what it was"
    finally:
        subprocess.run(["umount", moved if moved.exists() else tmp_path / "a/m"], check=True)


@pytest.mark.parametrize("by_descriptor", [True, False])
def test_the_source_of_a_bind_mount_that_is_renamed(tmp_path: Path, by_descriptor: bool) -> None:
    for name in ("source", "bind"):
        (tmp_path / name).mkdir()
    with (
        mounted(tmp_path / "bind", "--bind", tmp_path / "source"),
        rawtp.Tracer(pid=os.getpid(), path=tmp_path / "bind") as tracer,
    ):
        warm(tracer, tmp_path / "bind")
        (tmp_path / "source").rename(tmp_path / "renamed")
        (tmp_path / "source").mkdir()
        until(
            tracer,
            lambda name: delete(tmp_path / "renamed", name, by_descriptor=by_descriptor),
            f"{tmp_path}/renamed/",
        )
        delete(tmp_path / "source", "innocent", by_descriptor=by_descriptor)
        delete(tmp_path / "bind", "last", by_descriptor=by_descriptor)
        assert [event["filename"] for event in tracer.get_many(timeout=HANG_S)] == [
            "last" if by_descriptor else f"{tmp_path}/bind/last"
        ]


class There:
    """A process in a mount namespace of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def __call__(self, code: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(code + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@contextmanager
def elsewhere() -> Iterator[There]:
    code = "import os, subprocess, sys\nfor line in sys.stdin:\n    exec(line)\n    print('done', flush=True)"
    command = ["unshare", "-m", "--propagation", "private", sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        there = There(process)
        there("0")
        yield there
        process.stdin.close()
        assert process.wait(HANG_S) == 0


def test_in_another_namespace(tmp_path: Path) -> None:
    """A bind mount that only that process sees, and a rename above it, which everybody sees."""
    for name in ("source/below", "a/m"):
        (tmp_path / name).mkdir(parents=True)
    with elsewhere() as there, rawtp.Tracer(pid=there.pid) as tracer:
        there(
            f"subprocess.run(['mount', '--bind', {str(tmp_path / 'source')!r}, {str(tmp_path / 'a/m')!r}], check=True)"
        )

        def act(above: str, name: str) -> None:
            (tmp_path / "source/below" / name).touch()
            there(f"os.unlink({str(tmp_path / above / 'm/below' / name)!r})")

        until(tracer, lambda name: act("a", name), f"{tmp_path}/source/below/")
        (tmp_path / "a").rename(tmp_path / "b")
        until(tracer, lambda name: act("b", name), f"{tmp_path}/source/below/")


def test_a_root_that_changes_after_the_call(tmp_path: Path) -> None:
    """The process is in a namespace of its own. What has the same name below its new root was not touched."""
    (tmp_path / "a/below").mkdir(parents=True)
    target = tmp_path / "a/below/x"
    decoy = tmp_path / "jail" / str(target).lstrip("/")
    decoy.parent.mkdir(parents=True)
    decoy.touch()
    with elsewhere() as there, rawtp.Tracer(pid=there.pid, path=tmp_path / "a") as tracer:

        def act(name: str) -> None:
            (target.parent / name).touch()
            there(f"os.unlink({str(target.parent / name)!r})")

        # The mounts of that namespace are known from then on.
        until(tracer, act, f"{target.parent}/")
        for _ in range(3):
            # What is known of them becomes old, and the process sees less of them now.
            time.sleep(0.2)
            target.touch()
            there(f"root = os.open('/', 0); os.unlink({str(target)!r}); os.chroot({str(tmp_path / 'jail')!r})")
            [event] = tracer.get_many(timeout=HANG_S)
            assert (event["path"], event["real_path"]) == (str(target), str(target))
            there("os.chdir(root); os.chroot('.'); os.close(root)")
    assert decoy.exists()


def test_a_name_like_that_of_a_deleted_directory(tmp_path: Path) -> None:
    real = tmp_path / "real (deleted)"
    (real / "below").mkdir(parents=True)
    (tmp_path / "link").symlink_to(real)
    for wanted in (real, tmp_path / "link"):
        for name in ("x", "below/y"):
            (real / name).touch()
        with rawtp.Tracer(pid=os.getpid(), path=wanted) as tracer:
            for name in ("x", "below/y"):
                (tmp_path / "link" / name).unlink()
            tracer.close()
            assert [event["real_path"] for event in tracer] == [f"{real}/x", f"{real}/below/y"]


def test_a_link_that_its_own_target_replaces(tmp_path: Path) -> None:
    """Where nothing but a look-up can tell: what was a link when the kernel walked it is a file when it is read."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real/x").touch()
    (tmp_path / "link").symlink_to("real")
    with rawtp.Tracer(rawtp.RENAME, pid=os.getpid(), path=tmp_path / "real") as tracer:
        (tmp_path / "link/x").rename(tmp_path / "link")
        tracer.close()
        [event] = tracer
        has_hook = tracer.coverage["truth"]["hook"] is not None
        assert (event["path"], event["new_path"]) == (f"{tmp_path}/link/x", f"{tmp_path}/link")
        assert event["real_path"] == (f"{tmp_path}/real/x" if has_hook else None)
        assert event["new_real_path"] == f"{tmp_path}/link"
