"""Removals by the kernel's own threads, which make no calls: ``via="kernel"``."""

# ruff: noqa: PTH104, PTH106, PTH108 - the tests are about these very calls
from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import time
from pathlib import Path
from stat import S_IFMT
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import rawtp
from helpers.support import HANG_S, assert_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kernel

LOOP_CTL_ADD, LOOP_CTL_REMOVE = 0x4C80, 0x4C81  # include/uapi/linux/loop.h
LOOP = 77


def events_at(tracer: rawtp.Tracer, place: str, count: int) -> list[rawtp.Event]:
    """So many events of files at that place."""
    found: list[rawtp.Event] = []
    deadline = time.monotonic() + HANG_S
    while len(found) < count and time.monotonic() < deadline:
        found += [one for one in tracer.get_many(timeout=1) if (one["real_path"] or "").startswith(place)]
    return found


@pytest.mark.parametrize("by", ["auto", "vfs"])
def test_a_device_that_goes(by: str) -> None:
    """The kernel removes its node in /dev itself, in the thread kdevtmpfs."""
    if subprocess.run(["modprobe", "loop"], check=False, capture_output=True).returncode:
        pytest.skip("this kernel has no loop devices")
    node = Path(f"/dev/loop{LOOP}")
    with Path("/dev/loop-control").open() as control:
        fcntl.ioctl(control, LOOP_CTL_ADD, LOOP)
        if not node.exists() or subprocess.run(["mountpoint", "-q", "/dev"], check=False).returncode:
            pytest.skip("the kernel does not keep /dev here")
        stat = node.lstat()
        options: dict[str, Any] = {"comm": "kdevtmpfs", "hook": by}
        with rawtp.Tracer(rawtp.LOSS, path="/dev", **options) as tracer, rawtp.Tracer(path="/srv", **options) as other:
            fcntl.ioctl(control, LOOP_CTL_REMOVE, LOOP)
            [event] = events_at(tracer, str(node), 1)
            stats, elsewhere = tracer.stats(), other.stats()
    assert not node.exists()
    assert (event["via"], event["action"], event["syscall"]) == ("kernel", "delete", None)
    assert (event["comm"], event["uid"], event["pid"], event["ppid"]) == ("kdevtmpfs", 0, event["tid"], 2)
    assert (event["real_path"], event["real_path_by"], event["file_type"]) == (str(node), "kernel", "block device")
    assert (event["ino"], event["dev"], event["nlink"]) == (stat.st_ino, stat.st_dev, 1)
    # Before it removes a node, the kernel takes all permissions away from it.
    assert event["mode"] == S_IFMT(stat.st_mode)
    assert (event["path"], event["filename"], event["dfd"], event["exe"]) == (None, None, None, None)
    assert (event["ret"], event["errno"], event["freed"]) == (0, None, None) if "freed" in event else (0, None)
    assert event["seq"] >= 1
    assert (stats.lost_ring, stats.lost_exits, stats.unpaired) == (0, 0, 0)
    # What is surely elsewhere is left out in the kernel.
    assert (elsewhere.delivered, elsewhere.buffered) == (0, 0)
    assert_ledger(stats)


class Share(NamedTuple):
    """A directory, as its server has it and as a client has mounted it."""

    served: Path
    mounted: Path


def run(*command: str | Path) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=HANG_S)
    if done.returncode:
        pytest.skip(f"no NFS server here: {' '.join(map(str, command))}: {done.stderr.strip()}")


def end(*command: str | Path) -> None:
    subprocess.run(command, check=False, timeout=HANG_S)


def prepare_host() -> None:
    """Files that the packages' installation makes."""
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


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Share]:
    """A file system in memory, served by nfsd over the loopback."""
    if "RAWTP_VM_KERNEL" not in os.environ:
        pytest.skip("a server of NFS is set up only on a machine of the tests' own")
    served, mounted = tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("mounted")
    prepare_host()
    with contextlib.ExitStack() as stack:
        run("mount", "-t", "tmpfs", "served", served)
        stack.callback(end, "umount", served)
        Path("/etc/exports").write_text(f"{served} *(rw,fsid=0,no_root_squash,insecure,no_subtree_check)\n")
        if not Path("/proc/fs/nfsd/threads").exists():
            run("modprobe", "nfsd")
        if not Path("/proc/fs/nfsd/threads").exists():
            run("mount", "-t", "nfsd", "nfsd", "/proc/fs/nfsd")
        # Else nothing is served for as long as clients of before may come back.
        for name in ("nfsv4leasetime", "nfsv4gracetime"):
            with contextlib.suppress(OSError):
                (Path("/proc/fs/nfsd") / name).write_text("1")
        run("exportfs", "-ra")
        run("rpc.mountd", "-N", "3")
        run("rpc.nfsd", "-N", "3", "2")
        stack.callback(end, "rpc.nfsd", "0")
        run("mount.nfs4", "127.0.0.1:/", mounted, "-o", "vers=4.2,soft,timeo=100")
        stack.callback(end, "umount", "-l", mounted)
        yield Share(served, mounted)


@pytest.mark.parametrize("by", ["auto", "vfs"])
def test_a_server_of_nfs(share: Share, by: str) -> None:
    # A client remembers for a while which names there are not.
    served, mounted = share.served / by, share.mounted / by
    served.mkdir()
    for name in ("a", "b", "victim", "open"):
        (served / name).write_bytes(name.encode())
    (served / "directory").mkdir()
    inodes = {path.name: path.lstat().st_ino for path in served.iterdir()}
    options: dict[str, Any] = {"comm": "nfsd", "hook": by}
    with rawtp.Tracer(rawtp.LOSS, path=served, **options) as tracer:
        assert (tracer.coverage["kernel_threads"]["hook"] or "").endswith("/security_inode_*")
        os.unlink(mounted / "a")
        os.rename(mounted / "b", mounted / "victim")
        os.rmdir(mounted / "directory")
        with (mounted / "open").open():
            # Its name goes, and the file does when it is closed.
            os.unlink(mounted / "open")
        events = events_at(tracer, str(served), 5)
        stats = tracer.stats()
    assert {(event["via"], event["syscall"], event["comm"]) for event in events} == {("kernel", None, "nfsd")}
    found = [(event["action"], Path(event["real_path"] or "").name, event["ret"]) for event in events]
    silly = found[3:] and Path(events[3]["new_real_path"] or "").name
    assert found == [
        ("delete", "a", 0),
        ("rename", "b", 0),
        ("rmdir", "directory", 0),
        ("rename", "open", 0),
        ("delete", silly, 0),
    ]
    assert str(silly).startswith(".nfs")
    assert {event["real_path_by"] for event in events} == {"kernel"}
    assert [event["ino"] for event in events] == [inodes[name] for name in ("a", "b", "directory", "open", "open")]
    assert (events[1]["replaced"], events[1]["replaced_ino"]) == (True, inodes["victim"])
    assert events[1]["new_real_path"] == f"{served}/victim"
    assert (stats.lost_ring, stats.lost_exits, stats.unpaired) == (0, 0, 0)


def test_a_server_of_nfs_truncates(share: Share) -> None:
    (share.served / "long").write_bytes(b"content")
    with rawtp.Tracer(rawtp.LOSS, path=share.served, comm="nfsd") as tracer:
        os.truncate(share.mounted / "long", 100)
        os.truncate(share.mounted / "long", 3)
        [event] = events_at(tracer, f"{share.served}/long", 1)
    # Not when it grows.
    assert (event["action"], event["size"], event["length"]) == ("truncate", 100, 3)
    # No function does all that a change of attributes is for.
    assert (event["ret"], event["via"]) == (None, "kernel")
