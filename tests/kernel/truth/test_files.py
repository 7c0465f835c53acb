"""The file and its real path, whatever name led there, as lstat(2) has them just before."""

# ruff: noqa: PTH104, PTH106, PTH108 - the tests are about these very calls
from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from helpers.files import EVERYTHING, Facts, facts, in_fork, told
from helpers.support import events_of, mounted, of_own_family

if TYPE_CHECKING:
    from collections.abc import Callable

    import rawtp

pytestmark = pytest.mark.kernel

NOBODY = 65534
AT_FDCWD = -100
RENAME_EXCHANGE = 2


def events(action: Callable[[], object]) -> list[rawtp.Event]:
    """The events of a fork that does this."""
    with of_own_family(EVERYTHING) as tracer:
        pid = in_fork(action)
        found = events_of(tracer, pid)
        stats = tracer.stats()
    assert (stats.lost_truths, stats.unpaired, stats.lost_ring) == (0, 0, 0)
    return found


def seen(action: Callable[[], object]) -> rawtp.Event:
    """The only event of a fork that does this, by the kernel's own function."""
    [event] = events(action)
    assert event["real_path_by"] == "kernel"
    return event


def file(path: Path, content: bytes = b"content") -> Path:
    path.write_bytes(content)
    # Another second, and not 0.
    os.utime(path, ns=(1_700_000_001_000_000_002, 1_700_000_001_000_000_003))
    return path


def test_by_its_name(tmp_path: Path) -> None:
    before = facts(file(tmp_path / "file"))
    event = seen(lambda: os.unlink(tmp_path / "file"))
    assert told(event) == before
    assert (event["file_type"], event["ret"], event["replaced"], event["new_real_path"]) == ("file", 0, None, None)
    assert before.mtime_ns == 1_700_000_001_000_000_003


def test_relative_to_the_working_directory_and_to_a_descriptor(tmp_path: Path) -> None:
    before = [facts(file(tmp_path / name)) for name in "ab"]
    fd = os.open(tmp_path, os.O_PATH)

    def both() -> None:
        os.chdir(tmp_path)
        os.unlink("a")
        os.unlink("b", dir_fd=fd)

    assert [told(event) for event in events(both)] == before
    os.close(fd)


def test_through_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real/sub")
    file(tmp_path / "real" / "sub" / "file")
    before = facts(tmp_path / "link" / "file")
    assert before.real_path == f"{tmp_path}/real/sub/file"
    event = seen(lambda: os.unlink(tmp_path / "link" / "file"))
    assert (told(event), event["path"]) == (before, f"{tmp_path}/link/file")


def test_a_symbolic_link_itself(tmp_path: Path) -> None:
    file(tmp_path / "target")
    (tmp_path / "link").symlink_to("target")
    before = facts(tmp_path / "link")
    event = seen(lambda: os.unlink(tmp_path / "link"))
    assert (told(event), event["file_type"]) == (before, "symlink")


def test_hard_links(tmp_path: Path) -> None:
    file(tmp_path / "a")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    before = facts(tmp_path / "a")

    def both() -> None:
        os.unlink(tmp_path / "a")
        os.unlink(tmp_path / "b")

    first, last = events(both)
    assert (told(first), before.nlink) == (before, 2)
    assert told(last) == before._replace(nlink=1, real_path=f"{tmp_path}/b")


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    before = facts(tmp_path / "directory")
    event = seen(lambda: os.rmdir(tmp_path / "directory"))
    assert (told(event), event["file_type"]) == (before, "directory")


def test_thirty_levels(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["level" * 4] * 30)
    deep.mkdir(parents=True)
    before = facts(file(deep / "leaf"))
    assert told(seen(lambda: os.unlink(deep / "leaf"))) == before


def test_a_bind_mount(tmp_path: Path) -> None:
    for name in ("source", "bind"):
        (tmp_path / name).mkdir()
    with mounted(tmp_path / "bind", "--bind", tmp_path / "source"):
        before = facts(file(tmp_path / "bind" / "file"))
        event = seen(lambda: os.unlink(tmp_path / "bind" / "file"))
    assert (told(event), before.real_path) == (before, f"{tmp_path}/bind/file")


def test_a_mounted_file(tmp_path: Path) -> None:
    for name in ("source", "mounted"):
        file(tmp_path / name, name.encode())
    with mounted(tmp_path / "mounted", "--bind", tmp_path / "source"):
        before = facts(tmp_path / "mounted")
        event = seen(lambda: os.truncate(tmp_path / "mounted", 1))
    assert (told(event), event["length"]) == (before, 1)
    assert before.size == len("source")


def test_in_a_chroot(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    before = facts(file(tmp_path / "root" / "file"))

    def in_chroot() -> None:
        os.chroot(tmp_path / "root")
        os.unlink("/file")

    event = seen(in_chroot)
    assert (told(event), event["path"]) == (before, "/file")


FILE_SYSTEMS = {"tmpfs": None, "ext4": "mkfs.ext4", "xfs": "mkfs.xfs", "btrfs": "mkfs.btrfs"}


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
def test_on_a_file_system(tmp_path: Path, kind: str) -> None:
    place, image = tmp_path / "place", tmp_path / "image"
    place.mkdir()
    source: list[str | Path] = ["none"]
    if maker := FILE_SYSTEMS[kind]:
        image.touch()
        os.truncate(image, 400 << 20)
        try:
            subprocess.run([maker, image], check=True, capture_output=True)
            subprocess.run(["mount", "-o", "loop", image, place], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip(f"no {kind} can be made and mounted here")
        subprocess.run(["umount", place], check=True)
        source = ["-o", "loop", image]
    with mounted(place, "-t", kind, *source):
        before = facts(file(place / "file"))
        event = seen(lambda: os.unlink(place / "file"))
        if kind == "btrfs":
            # stat(2) gives the device of a subvolume, which the superblock does not know.
            before = before._replace(dev=event["dev"])
        assert told(event) == before
        assert event["generation"] is not None


def test_on_an_overlay(tmp_path: Path) -> None:
    refused = subprocess.run(["mount", "-t", "overlay", "none", tmp_path], capture_output=True, text=True, check=False)
    if "unknown filesystem type" in refused.stderr:
        pytest.skip("this kernel has no overlayfs")
    for name in ("layers", "overlay"):
        (tmp_path / name).mkdir()
    with mounted(tmp_path / "layers", "-t", "tmpfs", "none"):
        layers = [tmp_path / "layers" / name for name in ("lower", "upper", "work")]
        for layer in layers:
            layer.mkdir()
        file(layers[0] / "file")
        lower, upper, work = layers
        with mounted(
            tmp_path / "overlay", "-t", "overlay", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}"
        ):
            before = facts(tmp_path / "overlay" / "file")
            event = seen(lambda: os.unlink(tmp_path / "overlay" / "file"))
    # The inode of an overlay can have another number than the one that stat(2) gives.
    assert told(event)._replace(dev=None, ino=None) == before._replace(dev=None, ino=None)


def test_a_rename(tmp_path: Path) -> None:
    before = facts(file(tmp_path / "old"))
    (tmp_path / "in").mkdir()
    event = seen(lambda: os.rename(tmp_path / "old", tmp_path / "in" / "new"))
    assert told(event) == before
    assert (event["new_real_path"], event["replaced"]) == (f"{tmp_path}/in/new", False)
    assert (event["replaced_ino"], event["exchange"]) == (None, False)


def test_a_rename_that_replaces(tmp_path: Path) -> None:
    before, victim = facts(file(tmp_path / "old")), facts(file(tmp_path / "new", b"the victim"))
    event = seen(lambda: os.rename(tmp_path / "old", tmp_path / "new"))
    assert (told(event), event["new_real_path"]) == (before, f"{tmp_path}/new")
    found = (event["replaced"], event["replaced_ino"], event["replaced_size"], event["replaced_nlink"])
    assert found == (True, victim.ino, 10, 1)


def test_a_rename_to_another_name_of_the_same_file(tmp_path: Path) -> None:
    file(tmp_path / "old")
    (tmp_path / "new").hardlink_to(tmp_path / "old")
    before = facts(tmp_path / "old")
    event = seen(lambda: os.rename(tmp_path / "old", tmp_path / "new"))
    assert (told(event), event["replaced"], event["replaced_ino"]) == (before, False, None)
    assert (tmp_path / "old").exists()


def test_an_exchange(tmp_path: Path) -> None:
    before = facts(file(tmp_path / "old"))
    file(tmp_path / "new", b"the other")
    renameat2 = ctypes.CDLL(None).renameat2
    names = [os.fsencode(tmp_path / name) for name in ("old", "new")]
    event = seen(lambda: renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE))
    assert (told(event), event["new_real_path"]) == (before, f"{tmp_path}/new")
    assert (event["exchange"], event["replaced"], event["replaced_ino"]) == (True, False, None)
    assert (event["ret"], (tmp_path / "old").read_bytes()) == (0, b"the other")


def truncations(path: Path) -> dict[str, Callable[[], object]]:
    def by_descriptor() -> None:
        os.ftruncate(os.open(path, os.O_WRONLY), 2)

    return {
        "truncate": lambda: os.truncate(path, 2),
        "ftruncate": by_descriptor,
        "openat": lambda: os.open(path, os.O_WRONLY | os.O_TRUNC),
    }


@pytest.mark.parametrize("call", ["truncate", "ftruncate", "openat"])
def test_a_truncation_through_a_symbolic_link(tmp_path: Path, call: str) -> None:
    """The link is followed, and its target loses the content."""
    before = facts(file(tmp_path / "target"))
    (tmp_path / "link").symlink_to("target")
    event = seen(truncations(tmp_path / "link")[call])
    assert (told(event), event["syscall"]) == (before, call)
    assert (event["size"], event["length"]) == (7, 0 if call == "openat" else 2)


def as_nobody(action: Callable[[], object]) -> Callable[[], object]:
    def do() -> None:
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        action()

    return do


@pytest.mark.parametrize(("mode", "errno"), [(0o755, "EACCES"), (0o1777, "EPERM")])
def test_what_would_have_gone(place: Path, mode: int, errno: str) -> None:
    """A permission of the directory is looked at after the hook: ``errno`` says that nothing went."""
    (place / "in").mkdir()
    before = facts(file(place / "in" / "file"))
    (place / "in").chmod(mode)
    event = seen(as_nobody(lambda: os.unlink(place / "in" / "file")))
    assert (told(event), event["errno"]) == (before, errno)


def test_a_missing_name_has_no_file(tmp_path: Path) -> None:
    [event] = events(lambda: os.unlink(tmp_path / "missing"))
    assert told(event)._replace(real_path=None) == Facts(*[None] * 8)
    assert (event["errno"], event["real_path_by"] == "kernel") == ("ENOENT", False)


def test_of_a_thread(tmp_path: Path) -> None:
    """Several calls in a row of one thread: each has its own file, in the order of the calls."""
    before = [facts(file(tmp_path / str(at), b"x" * at)) for at in range(20)]

    def all_of_them() -> None:
        for at in range(20):
            os.unlink(tmp_path / str(at))

    assert [told(event) for event in events(all_of_them)] == before
