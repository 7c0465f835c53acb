"""Servers in the kernel, NFS's and SMB's, each with a client's mount of it. For machines of the tests' own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from helpers.support import HANG_S

if TYPE_CHECKING:
    from collections.abc import Iterator

SMB_PORT = 445
SMB_CONFIG = """\
[global]
	server string = tests
	workgroup = TESTS
	netbios name = TESTS
	tcp port = {port}
	interfaces = lo
	bind interfaces only = yes
	oplocks = no
[served]
	path = {served}
	read only = no
	valid users = root
	oplocks = no
	store dos attributes = no
"""


class Share(NamedTuple):
    """A directory, as its server has it and as a client has mounted it."""

    served: Path
    mounted: Path


class Setup:
    """The commands that set up a server. The test is skipped when one of them fails."""

    def __init__(self, server: str) -> None:
        self._server = server

    def refuse(self, reason: str) -> None:
        """Skips the test: a machine that must have the server does not list this reason."""
        pytest.skip(f"no {self._server} server here: {reason}")

    def run(self, *command: str | Path) -> None:
        """Runs one, and waits for it."""
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=HANG_S)
        except FileNotFoundError:
            self.refuse(f"no program {command[0]}")
        else:
            if done.returncode:
                self.refuse(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


def end(*command: str | Path) -> None:
    """Runs a command of the end, which may fail."""
    subprocess.run(command, check=False, timeout=HANG_S)


def check_own_machine(server: str) -> None:
    """Skips the test elsewhere: a server is the whole host's."""
    if "RAWTP_VM_KERNEL" not in os.environ:
        pytest.skip(f"a server of {server} is set up only on a machine of the tests' own")


@contextlib.contextmanager
def nfs_share(served: Path, mounted: Path) -> Iterator[Share]:
    """A file system in memory, served by nfsd over the loopback."""
    check_own_machine("NFS")
    setup = Setup("NFS")
    _write_nfs_files()
    with contextlib.ExitStack() as stack:
        setup.run("mount", "-t", "tmpfs", "served", served)
        stack.callback(end, "umount", served)
        Path("/etc/exports").write_text(f"{served} *(rw,fsid=0,no_root_squash,insecure,no_subtree_check)\n")
        if not Path("/proc/fs/nfsd/threads").exists():
            setup.run("modprobe", "nfsd")
        if not Path("/proc/fs/nfsd/threads").exists():
            setup.run("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd")
        # Else nothing is served for as long as clients of before may come back.
        for name in ("nfsv4leasetime", "nfsv4gracetime"):
            with contextlib.suppress(OSError):
                (Path("/proc/fs/nfsd") / name).write_text("1")
        setup.run("exportfs", "-ra")
        setup.run("rpc.mountd", "-N", "3")
        setup.run("rpc.nfsd", "-N", "3", "2")
        stack.callback(end, "rpc.nfsd", "0")
        setup.run("mount.nfs4", "127.0.0.1:/", mounted, "-o", "vers=4.2,soft,timeo=100")
        stack.callback(end, "umount", "-l", mounted)
        yield Share(served, mounted)


def _write_nfs_files() -> None:
    """Writes the files that the packages' installation makes."""
    for name in ("/var/lib/nfs/v4recovery", "/var/lib/nfs/rpc_pipefs", "/run"):
        Path(name).mkdir(parents=True, exist_ok=True)
    for name in ("etab", "rmtab", "state", "xtab"):
        (Path("/var/lib/nfs") / name).touch()
    netconfig = Path("/etc/netconfig")
    if not netconfig.exists():
        netconfig.write_text("tcp tpi_cots_ord v inet tcp - -\nudp tpi_clts v inet udp - -\n")
    for file, lines in {
        "/etc/services": "nfs 2049/tcp\nsunrpc 111/tcp\n",
        "/etc/protocols": "tcp 6 TCP\nudp 17 UDP\n",
    }.items():
        if not Path(file).exists():
            Path(file).write_text(lines)


@contextlib.contextmanager
def smb_share(served: Path, mounted: Path) -> Iterator[Share]:
    """A file system in memory, served by ksmbd over the loopback."""
    check_own_machine("SMB")
    setup = Setup("SMB")
    if subprocess.run(["modprobe", "-q", "ksmbd"], check=False).returncode:
        setup.refuse("this kernel has no ksmbd")
    config = Path("/etc/ksmbd/ksmbd.conf")
    config.parent.mkdir(exist_ok=True)
    config.write_text(SMB_CONFIG.format(port=SMB_PORT, served=served))
    with contextlib.ExitStack() as stack:
        setup.run("mount", "-t", "tmpfs", "served", served)
        stack.callback(end, "umount", served)
        setup.run("ksmbd.adduser", "-p", "secret", "-a", "root")
        # The part of the server that knows users and shares.
        daemon = stack.enter_context(subprocess.Popen(["ksmbd.mountd", "-n"], stdin=subprocess.DEVNULL))
        stack.callback(daemon.terminate)
        stack.callback(end, "ksmbd.control", "-s")
        _wait_for_port(setup, daemon)
        # mount(8) itself can tell the kernel all that mount.cifs(8) would find out.
        options = f"vers=3.1.1,ip=127.0.0.1,port={SMB_PORT},username=root,password=secret,cache=none,actimeo=0"
        setup.run("mount", "-i", "-t", "cifs", "//127.0.0.1/served", mounted, "-o", options)
        stack.callback(end, "umount", "-l", mounted)
        yield Share(served, mounted)


def _wait_for_port(setup: Setup, daemon: subprocess.Popen[bytes]) -> None:
    """Waits until ksmbd listens, which it does some time after its daemon has begun."""
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        if (status := daemon.poll()) is not None:
            setup.refuse(f"ksmbd.mountd ended with {status}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", SMB_PORT), timeout=1):
            return
        time.sleep(0.1)
    setup.refuse("ksmbd does not listen")
