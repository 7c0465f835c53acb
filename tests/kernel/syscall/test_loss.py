"""Calls of rawtp.LOSS that take content but do not truncate, or names but do not unlink; and what loses nothing."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any

import pytest

import rawtp
from helpers.support import assert_ledger, read_to_end, release, stopped, until_sentinel
from rawtp.syscalls import flag_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

LONG_NUMBER = 0x123456789
PUNCH = ["FALLOC_FL_KEEP_SIZE", "FALLOC_FL_PUNCH_HOLE"]
TRUNCATES = ["O_WRONLY", "O_TRUNC"]


def seen(program: Path, directory: Path, mode: str, **options: Any) -> list[rawtp.Event]:
    """The events of the program, whose results are those that it printed."""
    with (
        stopped([program, directory, mode]) as process,
        rawtp.Tracer("loss", pid=process.pid, **options) as tracer,
    ):
        release(process)
        events = read_to_end(tracer, process)
        if process.returncode == 77:
            pytest.skip("this kernel has no 32-bit system calls (CONFIG_IA32_EMULATION)")
        assert process.returncode == 0, "a call that should remove nothing did, or the program failed"
        assert process.stdout is not None
        results = [int(line) for line in process.stdout.read().split()]
        stats = tracer.stats()
    assert (stats.unpaired, stats.pending, stats.lost_exits) == (0, 0, 0)
    assert_ledger(stats)
    if not options:
        assert [event["ret"] for event in events] == results
    return events


def shown(events: list[rawtp.Event]) -> list[tuple[object, ...]]:
    return [
        (
            event["syscall"],
            event["action"],
            flag_names(str(event["syscall"]), event["flags"]),
            event["filename"],
            event["path"],
            event["range_start"],
            event["range_length"],
        )
        for event in events
    ]


@pytest.mark.parametrize("hook", ["raw_tp", "tracepoint"])
def test_native(program: Callable[[str], Path], tmp_path: Path, hook: str) -> None:
    try:
        events = seen(program("losing"), tmp_path, "native", hook=hook)
    except rawtp.UnsupportedKernelError as error:
        pytest.skip(str(error))
    file, here = f"{tmp_path}/file", str(tmp_path)
    assert shown(events) == [
        ("fallocate", "punch", PUNCH, None, file, 4096, 8192),
        ("fallocate", "zero", ["FALLOC_FL_ZERO_RANGE"], None, file, 0, 4096),
        ("fallocate", "collapse", ["FALLOC_FL_COLLAPSE_RANGE"], None, file, 0, 4096),
        ("fallocate", "punch", PUNCH, None, None, LONG_NUMBER, LONG_NUMBER + 1),
        ("fallocate", "punch", PUNCH, None, file, -1, 5),
        ("ioctl", "delete", ["BTRFS_IOC_SNAP_DESTROY"], "subvolume", f"{here}/subvolume", None, None),
        ("ioctl", "delete", ["BTRFS_IOC_SNAP_DESTROY_V2"], "subvolume 2", f"{here}/subvolume 2", None, None),
        ("ioctl", "delete", ["BTRFS_IOC_SNAP_DESTROY_V2"], None, None, None, None),
        ("ioctl", "delete", ["BTRFS_IOC_SNAP_DESTROY"], None, None, None, None),
        ("ioctl", "punch", ["FS_IOC_UNRESVSP64"], None, file, 4096, 8192),
        ("ioctl", "zero", ["FS_IOC_ZERO_RANGE"], None, file, None, None),
        ("ioctl", "zero", ["FS_IOC_ZERO_RANGE"], None, file, None, None),
        ("ioctl", "truncate", ["XFS_IOC_FREESP64"], None, file, None, None),
        ("open_by_handle_at", "truncate", TRUNCATES, None, None, None, None),
        ("mq_unlink", "delete", [], "rawtp-queue", None, None, None),
        ("mq_unlink", "delete", [], "/rawtp-queue", None, None, None),
    ]
    by_fd = {3: "dirfd", 4: "dirfd"}
    for event in events:
        has_path = event["path"] is not None
        assert event["path_kind"] == (by_fd[event["dfd"] or 0] if has_path else None)
        assert (event["new_path"], event["host_path"], event["via"]) == (None, None, "syscall")
    assert [event["dfd"] for event in events] == [*(3, 3, 3, 99, 3), *(4, 4, 4, 4), *(3, 3, 3, 3), 4, None, None]
    assert [event["name_status"] for event in events] == [*("ok",) * 8, "fault", *("ok",) * 7]
    assert events[0]["errno"] is None
    assert events[3]["errno"] == "EBADF"
    assert events[14]["errno"] in {None, "ENOSYS"}
    assert events[15]["errno"] in {"EACCES", "ENOSYS"}


def test_of_a_32_bit_program(program: Callable[[str], Path], tmp_path: Path) -> None:
    """Its 64-bit numbers are two registers each, and its struct space_resv is packed."""
    if os.uname().machine != "x86_64":
        pytest.skip("int 0x80 is x86's")
    events = seen(program("losing"), tmp_path, "compat")
    file = f"{tmp_path}/file"
    longer = LONG_NUMBER + 1 + (1 << 32)
    assert shown(events) == [
        ("fallocate", "punch", PUNCH, None, file, 4096, 8192),
        ("fallocate", "punch", PUNCH, None, None, LONG_NUMBER, longer),
        ("ioctl", "delete", ["BTRFS_IOC_SNAP_DESTROY"], "subvolume", f"{tmp_path}/subvolume", None, None),
        ("ioctl", "punch", ["FS_IOC_UNRESVSP64_32"], None, file, 4096, LONG_NUMBER),
        ("open_by_handle_at", "truncate", TRUNCATES, None, None, None, None),
        ("mq_unlink", "delete", [], "file", None, None, None),
    ]
    assert {event["abi"] for event in events} == {"i386"}
    assert events[0]["ret"] == 0


def test_a_filter_by_path(program: Callable[[str], Path], tmp_path: Path) -> None:
    """What could be any path comes: a subvolume's number, a name that could not be read. A queue has none. Of a handle
    the file that was opened tells."""
    for path, below in ((tmp_path / "file", "file"), (tmp_path / "subvolume", "subvolume")):
        events = seen(program("losing"), tmp_path, "native", path=path)
        assert {event["path"] for event in events} == {None, f"{tmp_path}/{below}"}
        unknown = [event for event in events if event["path"] is None]
        assert [event["syscall"] for event in unknown[:2]] == ["ioctl", "ioctl"]
        for event in unknown[2:]:
            assert event["syscall"] == "open_by_handle_at"
            assert event["errno"] is not None or below == "file"
        assert len(unknown) == 3 or below != "file"
    for queue in ("/rawtp-queue", "/dev/mqueue"):
        events = seen(program("losing"), tmp_path, "native", path=queue)
        assert "mq_unlink" not in {event["syscall"] for event in events}


def test_a_filter_by_result(program: Callable[[str], Path], tmp_path: Path) -> None:
    failed = seen(program("losing"), tmp_path, "native", outcome="failed")
    assert {event["ret"] is not None and event["ret"] < 0 for event in failed} == {True}
    assert "BTRFS_IOC_SNAP_DESTROY" in {name for event in failed for name in flag_names("ioctl", event["flags"])}


def test_without_results(program: Callable[[str], Path], tmp_path: Path) -> None:
    events = seen(program("losing"), tmp_path, "native", results=False)
    assert [event["action"] for event in events[:3]] == ["punch", "zero", "collapse"]
    assert len(events) == 16
    assert {event["ret"] for event in events} == {None}


def test_the_group_is_all_of_it() -> None:
    assert rawtp.LOSS[: len(rawtp.DELETE)] == rawtp.DELETE
    assert {*rawtp.LOSS} - {*rawtp.DELETE, *rawtp.RENAME, *rawtp.TRUNCATE} == {"fallocate", "ioctl", "mq_unlink"}
    assert {*rawtp.DELETE, *rawtp.RENAME, *rawtp.TRUNCATE} < {*rawtp.LOSS}


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="x32 is x86's")
def test_x32_has_an_ioctl_of_its_own() -> None:
    """Number 514, which is no native call. It is seen whether or not this kernel carries x32's calls out."""
    libc = ctypes.CDLL(None, use_errno=True)
    volume = ctypes.create_string_buffer(b"\0" * 8 + b"subvolume", 4096)
    with rawtp.Tracer("loss", pid=os.getpid()) as tracer:
        for nr in (514, 514 | 0x40000000):
            libc.syscall(ctypes.c_long(nr), 99, 0x5000940F, volume)
        [event] = until_sentinel(tracer)
    assert (event["abi"], event["syscall"], event["action"]) == ("x32", "ioctl", "delete")
    assert (event["filename"], event["dfd"]) == ("subvolume", 99)
    assert event["errno"] in {"ENOSYS", "EBADF"}
