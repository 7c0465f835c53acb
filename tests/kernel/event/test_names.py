"""File names are hostile bytes: each arrives as it was passed, or says that it did not."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import HANG_S, read_to_end, release, stopped, until_sentinel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

PATH_MAX = 4096
PAGE = mmap.PAGESIZE
SYS_UNLINKAT = {"x86_64": 263, "aarch64": 35}[os.uname().machine]
AT_FDCWD = -100

libc = ctypes.CDLL(None, use_errno=True)


def unlinkat(address: int | bytes | None) -> None:
    """The bare call, with whatever address."""
    pointer = address if isinstance(address, bytes) else ctypes.c_void_p(address)
    libc.syscall(SYS_UNLINKAT, AT_FDCWD, pointer, 0)


def last(own: rawtp.Tracer) -> tuple[str | None, str, str | None]:
    events = until_sentinel(own)
    assert len(events) == 1, events
    return events[0]["filename"], events[0]["name_status"], events[0]["errno"]


@pytest.mark.parametrize(
    "name",
    [
        b"n" * 255,
        b"new\nline",
        b"\x1b[2J\x1b[31mred\x07",
        b"\xff\xfe invalid \xc3",
        b"\xed\xa0\x80 a surrogate",
        "Grüße, 世界".encode(),
        b" ",
        b"-rf",
        b"\x01\x7f\xc2\x9b",
        bytes(range(1, 47)),
        bytes(range(48, 256)),
    ],
)
def test_a_name_works_in_any_os_call(own: rawtp.Tracer, tmp_path: Path, name: bytes) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    with open(path, "xb"):  # noqa: PTH123 - a path of bytes
        pass
    os.unlink(path)  # noqa: PTH108
    filename, status, errno = last(own)
    assert (filename, status, errno) == (os.fsdecode(path), "ok", None)
    assert os.fsencode(filename or "") == path


def test_the_empty_name(own: rawtp.Tracer) -> None:
    unlinkat(b"")
    assert last(own) == ("", "ok", "ENOENT")


def test_the_longest_path_is_whole(own: rawtp.Tracer) -> None:
    path = b"/" * (PATH_MAX - 1 - 5) + b"abcde"
    assert len(path) == PATH_MAX - 1
    unlinkat(path)
    assert last(own) == (path.decode(), "ok", "ENOENT")


@pytest.mark.parametrize("length", [PATH_MAX, PATH_MAX + 1, 3 * PATH_MAX])
def test_a_longer_one_says_that_it_is_cut(own: rawtp.Tracer, length: int) -> None:
    path = (b"/name" * length)[:length]
    unlinkat(path)
    assert last(own) == (path[: PATH_MAX - 1].decode(), "truncated", "ENAMETOOLONG")
    assert own.stats().truncated == 1


def test_no_byte_is_read_beyond_what_the_kernel_reads(own: rawtp.Tracer) -> None:
    with mmap.mmap(-1, 3 * PAGE) as memory:
        memory[:PATH_MAX] = b"x" * PATH_MAX
        start = ctypes.c_char.from_buffer(memory)
        address = ctypes.addressof(start)
        del start
        assert libc.mprotect(ctypes.c_void_p(address + PATH_MAX), PAGE, 0) == 0
        unlinkat(address)
        assert libc.mprotect(ctypes.c_void_p(address + PATH_MAX), PAGE, mmap.PROT_READ | mmap.PROT_WRITE) == 0
    assert last(own) == ("x" * (PATH_MAX - 1), "truncated", "ENAMETOOLONG")


@pytest.mark.parametrize("address", [None, 1, 0x7FFF_FFFF_F000, 0xFFFF_8000_0000_0000, 0xFFFF_FFFF_FFFF_FFFF])
def test_a_pointer_to_nowhere(own: rawtp.Tracer, address: int | None) -> None:
    unlinkat(address)
    assert last(own) == (None, "fault", "EFAULT")
    assert own.stats().name_faults == 1


def test_without_results_a_fault_stays_one(tmp_path: Path) -> None:
    assert tmp_path.is_dir()
    with rawtp.Tracer(pid=os.getpid(), results=False) as own:
        unlinkat(None)
        event = own.get(timeout=10)
        assert (event["filename"], event["name_status"]) == (None, "fault")
        assert (event["ret"], event["errno"], event["duration_ns"]) == (None, None, None)


def test_a_name_in_a_page_never_touched(program: Callable[[str], Path], tmp_path: Path) -> None:
    """At the entry the page is not there; the call itself brings it in, and the exit reads it."""
    target = tmp_path / "target"
    target.touch()
    names = tmp_path / "names"
    names.write_bytes(os.fsencode(target) + b"\0")
    with stopped([program("untouched"), names]) as process, rawtp.Tracer(pid=process.pid) as tracer:
        release(process)
        events = read_to_end(tracer, process)
        assert process.returncode == 0
    assert [(event["filename"], event["name_status"], event["ret"]) for event in events] == [(str(target), "ok", 0)]
    assert tracer.stats().name_faults == 0


def test_a_string_literal_after_fork(program: Callable[[str], Path]) -> None:
    """Nothing exotic: the first call of a fresh process, whose literal it has not touched yet."""
    with stopped([program("burst"), "3"]) as process, rawtp.Tracer(pid=process.pid) as tracer:
        release(process)
        events = read_to_end(tracer, process)
    assert [(event["filename"], event["name_status"]) for event in events] == [("/nonexistent/rawtp-burst", "ok")] * 3


RENAMES = """
import os, sys
sys.stdin.readline()
for old, new in (b"a" * 4095, b"b" * 4095), (b"a", b"b"):
    try:
        os.rename(old, new)
    except OSError:
        pass
"""


@pytest.mark.parametrize(("depth", "part"), [(15, "d" * 250), (1900, "d")], ids=["long", "deep"])
def test_the_longest_record_there_is(depth: int, part: str, deep_place: Path) -> None:
    """Two names of PATH_MAX, relative to a directory nearly as deep, and many arguments; and the record after it."""
    place = str(deep_place) + f"/{part}" * depth
    subprocess.run(["mkdir", "-p", place], check=True)
    command = [sys.executable, "-B", "-c", RENAMES, *["x" * 100] * 20]
    with (
        subprocess.Popen(command, cwd=place, stdin=subprocess.PIPE, text=True) as process,
        rawtp.Tracer(rawtp.RENAME, pid=process.pid) as tracer,
    ):
        process.communicate("\n", timeout=HANG_S)
        event, after = (tracer.get(timeout=HANG_S) for _ in range(2))
    assert event is not None, tracer.stats()
    assert after is not None, tracer.stats()
    old, new = (f"{place}/{letter * (PATH_MAX - 1)}" for letter in "ab")
    assert (event["path"], event["new_path"]) == (old, new)
    assert (event["path_kind"], event["name_status"], event["errno"]) == ("cwd", "ok", "ENAMETOOLONG")
    assert event["argv_truncated"] is True
    assert event["argv"] is not None
    assert event["argv"][:2] == (sys.executable, "-B")
    assert (after["path"], after["new_path"], after["errno"]) == (f"{place}/a", f"{place}/b", "ENOENT")
