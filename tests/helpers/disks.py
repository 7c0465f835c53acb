"""Disks whose power is cut, or that fail: loop devices below the kernel's device mapper."""

from __future__ import annotations

import struct
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-F"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
    "btrfs": ("mkfs.btrfs", "-q", "-f"),
}
"""The programs that make file systems."""

SIZE = 320 << 20
"""What mkfs.xfs asks for at least, and more."""

# drivers/md/dm-log-writes.c
_MAGIC = 0x6A736677736872
_SECTOR = 512
_DISCARD, _MARK = 1 << 2, 1 << 3


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout.strip()


def image(path: Path, kind: str) -> Path:
    """A file with a file system in it."""
    with path.open("wb") as file:
        file.truncate(SIZE)
    run(*MAKE[kind], path)
    return path


@contextmanager
def looped(path: Path) -> Iterator[str]:
    device = run("losetup", "--find", "--show", path)
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


class Mapped:
    """A device of the device mapper."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = Path("/dev/mapper") / name

    def load(self, table: str) -> None:
        """Gives it another table, without writing anything out before."""
        run("dmsetup", "load", self.name, "--table", table)
        run("dmsetup", "suspend", "--noflush", "--nolockfs", self.name)
        run("dmsetup", "resume", "--noudevsync", self.name)

    def mark(self, text: str) -> None:
        """Notes a moment in the log of a disk (:func:`replayed`)."""
        run("dmsetup", "message", self.name, "0", "mark", text)


@contextmanager
def mapped(name: str, table: str) -> Iterator[Mapped]:
    # There is no udev, and nobody loads them for it.
    run("modprobe", "-a", "dm-mod", "dm-log-writes", "dm-flakey")
    run("dmsetup", "create", name, "--noudevsync", "--table", table)
    run("dmsetup", "mknodes", name)
    try:
        yield Mapped(name)
    finally:
        run("dmsetup", "remove", "--noudevsync", "--retry", name)


def sectors() -> int:
    return SIZE // _SECTOR


def copied(source: Path, target: Path) -> Path:
    run("cp", "--sparse=always", source, target)
    return target


def replayed(log: Path, disk: Path) -> Iterator[str]:
    """Writes what a disk had into its image, up to each mark, which is given.

    A write is in the log from the flush on that it was there for: so the image is that of a disk which has lost its
    cache. The disk was made by dm-log-writes.
    """
    with log.open("rb") as entries, disk.open("r+b") as image:
        magic, version, count, size = struct.unpack("<QQQI", entries.read(28))
        assert (magic, version) == (_MAGIC, 1)
        entries.seek(size)
        for _ in range(count):
            header = entries.read(size)
            sector, length, flags, data = struct.unpack_from("<QQQQ", header)
            if flags & _MARK:
                image.flush()
                yield header[32 : 32 + data].rstrip(b"\0").decode()
            image.seek(sector * size)
            image.write(bytes(length * size) if flags & _DISCARD else entries.read(length * size))
