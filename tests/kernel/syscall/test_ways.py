"""Every way a name or its content disappears: each watched call, native and of a 32-bit program, made for real."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.support import assert_ledger, read_to_end, release, stopped, until_sentinel
from rawtp.syscalls import flag_names, number

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

EVERYTHING = rawtp.LOSS
LEGACY = os.uname().machine == "x86_64"
AT_FDCWD = -100


def seen(program: Path, directory: Path) -> list[rawtp.Event]:
    with stopped([program, directory]) as process, rawtp.Tracer(EVERYTHING, pid=process.pid) as tracer:
        release(process)
        events = read_to_end(tracer, process)
        if process.returncode == 77:
            pytest.skip("this kernel has no 32-bit system calls (CONFIG_IA32_EMULATION)")
        assert process.returncode == 0
        stats = tracer.stats()
    assert (stats.unpaired, stats.pending, stats.lost_exits) == (0, 0, 0)
    assert_ledger(stats)
    # The loader's and libc's own opens never truncate.
    return events


def test_native(program: Callable[[str], Path], tmp_path: Path) -> None:
    events = seen(program("ways"), tmp_path)
    legacy: list[tuple[object, ...]] = [
        ("creat", "truncate", None, [], "b", None, 6),
        ("open", "truncate", None, ["O_WRONLY", "O_TRUNC"], "b", None, 7),
        ("rename", "rename", None, [], "b", "c", 0),
    ]
    shown = [
        (
            event["syscall"],
            event["action"],
            event["dfd"],
            flag_names(str(event["syscall"]), event["flags"]),
            event["filename"],
            event["new_filename"],
            event["ret"],
        )
        for event in events
    ]
    assert shown == [
        ("openat2", "truncate", AT_FDCWD, ["O_WRONLY", "O_TRUNC"], "a", None, 3),
        ("openat", "truncate", AT_FDCWD, ["O_RDWR", "O_TRUNC"], "a", None, 6),
        ("truncate", "truncate", None, [], "a", None, 0),
        ("ftruncate", "truncate", 5, [], None, None, 0),
        ("ftruncate", "truncate", 99, [], None, None, -9),
        ("renameat", "rename", AT_FDCWD, [], "a", "b", 0),
        ("renameat2", "rename", AT_FDCWD, ["RENAME_NOREPLACE"], "b", "c", -17),
        ("renameat2", "rename", AT_FDCWD, ["RENAME_EXCHANGE"], "b", "c", 0),
        *[(*call[:-1], 7 + at if call[1] == "truncate" else 0) for at, call in enumerate(legacy) if LEGACY],
        ("unlinkat", "delete", AT_FDCWD, [], "c", None, 0),
    ]
    for event in events:
        name = event["filename"] or "a"
        assert event["path"] == (None if event["dfd"] == 99 else f"{tmp_path}/{name}")
        assert event["path_kind"] == {5: "dirfd", 99: None}.get(event["dfd"] or 0, "cwd")
        assert event["new_path"] == (f"{tmp_path}/{event['new_filename']}" if event["new_filename"] else None)


def test_of_a_32_bit_program(program: Callable[[str], Path], tmp_path: Path) -> None:
    if not LEGACY:
        pytest.skip("int 0x80 is x86's")
    events = seen(program("compat"), tmp_path)
    shown = [
        (event["syscall"], event["action"], event["dfd"], event["flags"], event["filename"], event["new_filename"])
        for event in events
    ]
    truncates = os.O_WRONLY | os.O_TRUNC
    assert shown == [
        ("unlink", "delete", None, None, "first", None),
        ("unlinkat", "rmdir", AT_FDCWD, 0x200, "first", None),
        ("rmdir", "rmdir", None, None, "second", None),
        ("rename", "rename", None, None, "first", "second"),
        ("renameat", "rename", AT_FDCWD, None, "first", "second"),
        ("renameat2", "rename", AT_FDCWD, 4, "first", "second"),
        ("truncate", "truncate", None, None, "first", None),
        ("truncate64", "truncate", None, None, "first", None),
        ("ftruncate64", "truncate", 99, None, None, None),
        ("open", "truncate", None, truncates, "first", None),
        ("openat", "truncate", AT_FDCWD, truncates, "first", None),
        ("openat2", "truncate", AT_FDCWD, truncates, "first", None),
        ("unlink", "delete", None, None, "native", None),
    ]
    assert [event["abi"] for event in events] == ["i386"] * 12 + ["x86_64"]
    assert {event["errno"] for event in events} == {"ENOENT", "EBADF"}
    assert {event["path"] for event in events} == {None, *(f"{tmp_path}/{n}" for n in ("first", "second", "native"))}


@pytest.mark.skipif(not LEGACY, reason="x32 is x86's")
def test_x32_is_told_by_its_bit(own: rawtp.Tracer) -> None:
    """The call is seen whether or not this kernel carries it out (CONFIG_X86_X32_ABI): few do, and then it fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    for nr in (number("unlinkat", abi="x32"), number("timer_delete", abi="x32")):
        libc.syscall(ctypes.c_long(nr), AT_FDCWD, b"/nonexistent/x32", 0)
    [event] = until_sentinel(own)
    assert (event["abi"], event["syscall"], event["path"]) == ("x32", "unlinkat", "/nonexistent/x32")
    assert event["errno"] in {"ENOSYS", "ENOENT"}


def test_python_s_own(tmp_path: Path) -> None:
    """What people call: os.replace, open(…, "w"), Path.rename, os.truncate, file.truncate."""
    target = tmp_path / "target"
    for path in (tmp_path / "one", target):
        path.write_text("content")
    with rawtp.Tracer(EVERYTHING, pid=os.getpid()) as tracer:
        (tmp_path / "one").write_text("1")
        target.write_text("2")
        os.replace(tmp_path / "one", target)  # noqa: PTH105 - what people call
        os.truncate(target, 0)
        with target.open("r+") as file:
            file.write("content")
            file.truncate(3)
            file.truncate(10)
        events = until_sentinel(tracer)
    shown = [(event["action"], event["path"], event["new_path"], event["errno"]) for event in events]
    assert shown == [
        ("truncate", f"{tmp_path}/one", None, None),
        ("truncate", str(target), None, None),
        ("rename", f"{tmp_path}/one", str(target), None),
        ("truncate", str(target), None, None),
        ("truncate", str(target), None, None),
    ]


def test_only_deletions_by_default(own: rawtp.Tracer, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    (tmp_path / "one").rename(tmp_path / "two")
    (tmp_path / "two").unlink()
    assert [(event["action"], event["path"]) for event in until_sentinel(own)] == [("delete", f"{tmp_path}/two")]


def test_fields_that_are_not_asked_for_are_not_there(tmp_path: Path) -> None:
    with rawtp.Tracer(fields=("filename", "pid"), pid=os.getpid()) as tracer:
        (tmp_path / "none").unlink(missing_ok=True)
        assert tracer.get(timeout=10) == {"pid": os.getpid(), "filename": f"{tmp_path}/none"}
    with rawtp.Tracer(fields=rawtp.BASIC_FIELDS, pid=os.getpid()) as tracer:
        (tmp_path / "none").unlink(missing_ok=True)
        assert tuple(tracer.get(timeout=10)) == rawtp.BASIC_FIELDS
    with pytest.raises(ValueError, match=r'^unknown field "pids": an event has ts_ns, '):
        rawtp.Tracer(fields=["pids"])
    with pytest.raises(ValueError, match=r"^fields is empty"):
        rawtp.Tracer(fields=[])
    with pytest.raises(TypeError, match=r"^fields must be an iterable of names, not a str"):
        rawtp.Tracer(fields="pid")
