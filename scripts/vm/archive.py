"""What a machine has as its root file system: a cpio archive, written without root and without unpacking anything."""

from __future__ import annotations

import stat
import subprocess
import tarfile
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# What no test reads.
LEFT_OUT = (
    "usr/share/doc/",
    "usr/share/man/",
    "usr/share/locale/",
    "usr/share/info/",
    "usr/share/zoneinfo/",
    "usr/lib/modules/",
)
MERGED = ("bin", "sbin", "lib", "lib64")


class Archive:
    """Names and what is in them, in the format that the kernel unpacks (newc)."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[int, bytes]] = {}

    def directory(self, name: str) -> None:
        if name and name not in self._entries:
            self.directory(name.rpartition("/")[0])
            self._entries[name] = (stat.S_IFDIR | 0o755, b"")

    def file(self, name: str, content: bytes, mode: int = 0o644) -> None:
        self.directory(name.rpartition("/")[0])
        self._entries[name] = (stat.S_IFREG | mode, content)

    def link(self, name: str, target: str) -> None:
        self.directory(name.rpartition("/")[0])
        self._entries[name] = (stat.S_IFLNK | 0o777, target.encode())

    def tree(self, source: Path, name: str) -> None:
        """A directory of this machine, without bytecode."""
        for path in sorted(source.rglob("*")):
            if "__pycache__" in path.parts or not path.is_file():
                continue
            executable = path.stat().st_mode & 0o111
            self.file(f"{name}/{path.relative_to(source)}", path.read_bytes(), 0o755 if executable else 0o644)

    def merged_usr(self) -> None:
        """/bin and its like are links into /usr, whatever the packages of a release think."""
        for name in MERGED:
            self.directory(f"usr/{name}")
            self.link(name, f"usr/{name}")

    def package(self, deb: Path) -> None:
        """The files of a package."""
        with (
            subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as members,
        ):
            for member in members:
                self._member(members, member)
        if process.returncode != 0:
            raise RuntimeError(f"dpkg-deb cannot read {deb}")

    def _member(self, members: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        name = _placed(member.name)
        if not name or name in MERGED or f"{name}/".startswith(LEFT_OUT):
            return
        if member.isdir():
            self.directory(name)
        elif member.issym():
            self.link(name, member.linkname)
        elif member.islnk():
            self._entries[name] = self._entries[_placed(member.linkname)]
        elif content := members.extractfile(member):
            self.file(name, content.read(), member.mode & 0o7777)

    def write(self, to: IO[bytes]) -> None:
        for number, (name, (mode, content)) in enumerate(self._entries.items(), 1):
            _write(to, name, number, mode, content)
        _write(to, "TRAILER!!!", 0, 0, b"")
        to.write(b"\0" * (-to.tell() % 512))


def _placed(name: str) -> str:
    name = name.removeprefix("./").strip("/")
    return f"usr/{name}" if name.split("/")[0] in MERGED and "/" in name else name


def _write(to: IO[bytes], name: str, number: int, mode: int, content: bytes) -> None:
    label = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(label), 0)
    to.write(b"070701" + b"".join(b"%08x" % field for field in fields) + label)
    to.write(b"\0" * (-to.tell() % 4))
    to.write(content)
    to.write(b"\0" * (-to.tell() % 4))
