"""Removals by the kernel's own threads, which make no calls: ``via="kernel"``."""

# ruff: noqa: PTH104, PTH106, PTH108 - the tests are about these very calls
from __future__ import annotations

import fcntl
import os
import subprocess
import time
from pathlib import Path
from stat import S_IFMT
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.files import facts, told
from helpers.servers import Share, nfs_share, smb_share
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


@pytest.fixture(scope="module")
def nfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Share]:
    with nfs_share(tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("mounted")) as share:
        yield share


@pytest.fixture(scope="module")
def smb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Share]:
    with smb_share(tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("mounted")) as share:
        yield share


@pytest.mark.parametrize("by", ["auto", "vfs"])
def test_a_server_of_nfs(nfs: Share, by: str) -> None:
    # A client remembers for a while which names there are not.
    served, mounted = nfs.served / by, nfs.mounted / by
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


def test_a_server_of_nfs_truncates(nfs: Share) -> None:
    (nfs.served / "long").write_bytes(b"content")
    with rawtp.Tracer(rawtp.LOSS, path=nfs.served, comm="nfsd") as tracer:
        os.truncate(nfs.mounted / "long", 100)
        os.truncate(nfs.mounted / "long", 3)
        [event] = events_at(tracer, f"{nfs.served}/long", 1)
    # Not when it grows.
    assert (event["action"], event["size"], event["length"]) == ("truncate", 100, 3)
    # No function does all that a change of attributes is for.
    assert (event["ret"], event["via"]) == (None, "kernel")


def events_until(tracer: rawtp.Tracer, real_path: Path) -> list[rawtp.Event]:
    """All events up to one of that file."""
    found: list[rawtp.Event] = []
    deadline = time.monotonic() + HANG_S
    while str(real_path) not in [event["real_path"] for event in found] and time.monotonic() < deadline:
        found += tracer.get_many(timeout=1)
    return found


def name_of(real_path: str | None) -> str:
    return Path(real_path or "").name


def rest(tracer: rawtp.Tracer) -> list[rawtp.Event]:
    """Closes the tracer, and gives the events that nobody has waited for."""
    tracer.close()
    return [*tracer]


@pytest.mark.parametrize("by", ["auto", "vfs"])
def test_a_server_of_smb(smb: Share, by: str) -> None:
    """It works in threads of the kernel's pool, which are named like no server."""
    served, mounted = smb.served / by, smb.mounted / by
    served.mkdir()
    for name in ("a", "b", "new", "victim"):
        (served / name).write_bytes(name.encode())
    (served / "hard").hardlink_to(served / "a")
    (served / "directory").mkdir()
    before = {path.name: facts(path) for path in served.iterdir()}
    options: dict[str, Any] = {"path": served, "hook": by}
    with rawtp.Tracer(rawtp.LOSS, **options) as tracer:
        assert (tracer.coverage["kernel_threads"]["hook"] or "").endswith("/security_inode_*")
        os.unlink(mounted / "a")
        os.unlink(mounted / "hard")
        os.rename(mounted / "b", mounted / "c")
        os.rename(mounted / "new", mounted / "victim")
        os.rmdir(mounted / "directory")
        events = events_until(tracer, served / "directory")
        stats = tracer.stats()
        assert rest(tracer) == []
    assert {path.name for path in served.iterdir()} == {"c", "victim"}
    assert {(one["via"], one["syscall"], one["ret"], one["real_path_by"]) for one in events} == {
        ("kernel", None, 0, "kernel")
    }
    assert [one["comm"].partition("/")[0] for one in events if one["ppid"] == 2] == ["kworker"] * len(events)
    found = [
        (one["action"], name_of(one["real_path"]), name_of(one["new_real_path"]), one["replaced"]) for one in events
    ]
    assert found == [
        ("delete", "a", "", None),
        ("delete", "hard", "", None),
        ("rename", "b", "c", False),
        ("rename", "new", "victim", True),
        ("rmdir", "directory", "", None),
    ]
    before["hard"] = before["hard"]._replace(nlink=1)
    assert [told(one) for one in events] == [before[name] for _, name, _, _ in found]
    assert [one["replaced_ino"] for one in events if one["replaced"]] == [before["victim"].ino]
    assert (stats.lost_ring, stats.lost_exits, stats.unpaired) == (0, 0, 0)


def test_a_server_of_smb_truncates(smb: Share) -> None:
    long = smb.served / "long"
    long.write_bytes(b"content")
    with rawtp.Tracer(rawtp.LOSS, path=smb.served) as tracer:
        os.truncate(smb.mounted / "long", 100)
        os.truncate(smb.mounted / "long", 3)
        [event] = events_at(tracer, str(long), 1)
        (smb.mounted / "long").write_bytes(b"")
        emptied = [*events_at(tracer, str(long), 1), *rest(tracer)]
    # Not when it grows.
    assert (event["action"], event["size"], event["length"]) == ("truncate", 100, 3)
    # The client can cut off once more what it emptied when it opened it.
    sizes = [(one["action"], one["size"], one["length"]) for one in emptied]
    assert (sizes[0], {*sizes[1:]} - {("truncate", 0, 0)}) == (("truncate", 3, 0), set())
    assert {(one["ret"], one["via"], one["ino"]) for one in (event, *emptied)} == {(None, "kernel", long.stat().st_ino)}
