"""A release's programs and Python, as one archive that every kernel of the architecture boots with.

mmdebstrap (1.3.5, --variant=extract) would replace about 45 of the 240 lines of this file, apt.py and archive.py. It
writes no cpio archive, leaves the choice of kernels here, needs newuidmap(1) where there is no root, and takes 13 s
for 171 MB where these take 8 s for 127 MB.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scripts.vm.apt import Apt
from scripts.vm.archive import Archive

if TYPE_CHECKING:
    from scripts.vm.kernels import Kernel

PACKAGES = (
    *("bash", "busybox-static", "coreutils", "dash", "findutils", "grep"),
    *("mount", "procps", "python3", "sudo", "util-linux"),
    # File systems and disks of the tests' own, and servers of NFS and SMB.
    *("kmod", "e2fsprogs", "xfsprogs", "btrfs-progs", "dmsetup", "nfs-kernel-server", "ksmbd-tools"),
)
ETC = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n",
    # The packages' own ask for files that their installation makes.
    "pam.d/other": "".join(f"{kind} required pam_deny.so\n" for kind in ("auth", "account", "password", "session")),
    "pam.d/sudo": "auth required pam_unix.so\naccount sufficient pam_permit.so\nsession optional pam_permit.so\n",
    "nsswitch.conf": "hosts: files\npasswd: files\ngroup: files\n",
}


def userland(cache: Path, kernel: Kernel) -> Path:
    """Made once, and again when this file or the archive's changes."""
    more = "".join(f"-{package}" for package in kernel.packages)
    made = cache / f"userland-{kernel.release}-{kernel.arch}{more}.cpio"
    sources = [Path(__file__), Path(__file__).with_name("archive.py")]
    if made.exists() and made.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return made
    apt = Apt(
        cache / f"apt-{kernel.release}-{kernel.arch}", kernel.arch, (kernel.release, f"{kernel.release}-security")
    )
    apt.update()
    archive = Archive()
    archive.merged_usr()
    for package in apt.closure(PACKAGES + kernel.packages):
        archive.package(package)
    for name, content in ETC.items():
        archive.file(f"etc/{name}", content.encode())
    unfinished = made.with_suffix(".part")
    with unfinished.open("wb") as file:
        archive.write(file)
    unfinished.rename(made)
    return made
