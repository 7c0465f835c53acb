"""fanotify(7) as another witness: directories and names, as the file system reports them after the fact."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import of_own_family, until_sentinel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

FAN_REPORT_DFID_NAME = 0x400 | 0x800
FAN_MARK_ADD, FAN_MARK_FILESYSTEM = 0x1, 0x100
FAN_MOVED_FROM, FAN_MOVED_TO, FAN_DELETE, FAN_ONDIR = 0x40, 0x80, 0x200, 0x40000000
METADATA = struct.Struct("=IBBHQii")
INFO = struct.Struct("=BBH")
FSID_BYTES, HANDLE = 8, struct.Struct("=Ii")
AT_FDCWD = -100

Seen = tuple[str, str]


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def witness(place: Path) -> int:
    """A descriptor that tells what is deleted and moved in the file system of ``place``."""
    fd: int = libc().fanotify_init(FAN_REPORT_DFID_NAME, os.O_RDONLY | os.O_CLOEXEC)
    if fd < 0:
        pytest.skip(f"no fanotify with names here: {os.strerror(ctypes.get_errno())}")
    wanted = ctypes.c_uint64(FAN_MOVED_FROM | FAN_MOVED_TO | FAN_DELETE | FAN_ONDIR)
    flags = FAN_MARK_ADD | FAN_MARK_FILESYSTEM
    if libc().fanotify_mark(fd, flags, wanted, AT_FDCWD, os.fsencode(place)) < 0:
        error = os.strerror(ctypes.get_errno())
        os.close(fd)
        pytest.skip(f"no fanotify of a file system here: {error}")
    os.set_blocking(fd, False)
    return fd


def directory_of(handle: bytes, place: Path) -> str:
    mount = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    fd = libc().open_by_handle_at(mount, handle, os.O_PATH)
    os.close(mount)
    if fd < 0:
        pytest.skip(f"no open_by_handle_at(2) here: {os.strerror(ctypes.get_errno())}")
    try:
        return os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - a text
    finally:
        os.close(fd)


def reports(fd: int, place: Path) -> list[Seen]:
    """What it has told: an operation and a path each. Moves are told from both sides."""
    names = {FAN_DELETE: "deleted", FAN_MOVED_FROM: "moved from", FAN_MOVED_TO: "moved to"}
    found: list[Seen] = []
    try:
        content = os.read(fd, 1 << 20)
    except BlockingIOError:
        return []
    while content:
        length, _, _, head, mask, _, _ = METADATA.unpack_from(content)
        info = content[head:length]
        _, _, info_bytes = INFO.unpack_from(info)
        at = INFO.size + FSID_BYTES
        handle_bytes, _ = HANDLE.unpack_from(info, at)
        end = at + HANDLE.size + handle_bytes
        name = info[end:info_bytes].split(b"\0")[0]
        path = f"{directory_of(info[at:end], place)}/{os.fsdecode(name)}"
        if path.startswith(os.path.realpath(place)):
            found += [(what, path) for bit, what in names.items() if mask & bit]
        content = content[length:]
    return found


def told(event: rawtp.Event) -> list[Seen]:
    assert (event["real_path_by"], event["ret"]) == ("kernel", 0)
    real_path = event["real_path"]
    assert real_path is not None
    if event["action"] != "rename":
        return [("deleted", real_path)]
    assert event["new_real_path"] is not None
    return [("moved from", real_path), ("moved to", event["new_real_path"])]


def test_both_tell_the_same(tmp_path: Path) -> None:
    """Of deletions and moves by odd ways: symbolic links, ``..``, directories that moved themselves."""
    for name in ("a/b", "c"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to("a/b")
    for name in ("a/b/1", "a/b/2", "c/3", "c/4", "5"):
        (tmp_path / name).touch()
    steps: list[tuple[Callable[..., None], tuple[str, ...]]] = [
        (os.unlink, ("link/1",)),
        (os.unlink, ("link/../b/2",)),
        (os.rename, ("c", "a/moved")),
        (os.unlink, ("a/moved/3",)),
        (os.rename, ("a/moved/4", "link/4")),
        (os.rename, ("5", "link/4")),
        (os.unlink, ("link",)),
        (os.unlink, ("a/b/4",)),
        (os.rmdir, ("a/b",)),
        (os.rmdir, ("a/moved",)),
        (os.rmdir, ("a",)),
    ]
    fd = witness(tmp_path)
    fanotify = []
    try:
        with of_own_family(rawtp.DELETE + rawtp.RENAME) as tracer:
            for call, names in steps:
                call(*(f"{tmp_path}/{name}" for name in names))
                # At once: what it tells are handles of directories, which may be gone after the next step.
                fanotify += reports(fd, tmp_path)
            events = until_sentinel(tracer)
    finally:
        os.close(fd)
    assert [one for event in events for one in told(event)] == fanotify
    here = os.path.realpath(tmp_path)
    assert fanotify[:4] == [
        ("deleted", f"{here}/a/b/1"),
        ("deleted", f"{here}/a/b/2"),
        ("moved from", f"{here}/c"),
        ("moved to", f"{here}/a/moved"),
    ]
    assert len(fanotify) == len(steps) + 3
