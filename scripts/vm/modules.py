"""The modules of a kernel that the tests need: file systems, what they depend on, and servers of NFS and SMB."""

from __future__ import annotations

import lzma
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.vm.archive import Archive

CRC32C = ("crc32c_generic", "crc32c_cryptoapi")
"""The checksum of btrfs, up to Linux 6.13 and from then on."""

SMB = ("cifs", "ksmbd", "ccm", "cmac", "ctr", "ecb", "gcm", "ghash-generic", "nls_utf8", "sha512_generic")
"""A client and a server, and what both ask the kernel for by its name."""

WANTED = (
    *("ext4", "xfs", "btrfs", "overlay", "fuse", "loop", *CRC32C, "nfs", "nfsv3", "nfsv4", "nfsd", *SMB),
    # Disks whose power is cut, and that fail.
    *("dm-log-writes", "dm-flakey"),
)
"""What a kernel has built in, or lacks, is in no package."""

LISTS = ("modules.builtin", "modules.builtin.modinfo", "modules.order")
"""What depmod(8) reads, which the machine runs."""


def add_modules(archive: Archive, unpacked: Path) -> None:
    """Adds them from an unpacked kernel. They are stored uncompressed, because not every machine's kmod has xz."""
    files = {_name(path): path for path in unpacked.rglob("*.ko*")}
    wanted = [name for name in (name.replace("-", "_") for name in WANTED) if name in files]
    added: set[str] = set()
    while wanted:
        name = wanted.pop()
        path = files.get(name)
        if path is None or name in added:
            continue
        added.add(name)
        content = _content(path)
        archive.file(_place(path).removesuffix(".xz"), content)
        wanted += _depends(content)
    for path in unpacked.rglob("modules.*"):
        if path.name in LISTS:
            archive.file(_place(path), path.read_bytes())


def _name(path: Path) -> str:
    return path.name.partition(".")[0].replace("-", "_")


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content


def _depends(module: bytes) -> list[str]:
    """The modules that one needs, by its section .modinfo."""
    names = [found.decode() for found in re.findall(rb"\0depends=([^\0]*)\0", module)]
    # A module that needs another one's functions only sometimes names it so: btrfs needs some checksum.
    names += [found.decode() for found in re.findall(rb"\0softdep=pre: ([^\0]*)\0", module)]
    return [name.replace("-", "_") for listed in names for name in re.split(r"[ ,]+", listed) if name]


def _place(path: Path) -> str:
    """Where it is on a machine: /lib/modules, whose /lib is a link into /usr."""
    parts = path.parts
    at = max(at for at, part in enumerate(parts) if part == "modules" and parts[at - 1] == "lib")
    return "/".join(("usr", "lib", *parts[at:]))
