"""A call as strace(1) shows it: what is known of its arguments, and that others are not known."""

from __future__ import annotations

from typing import Any

import pytest

from rawtp.formats.strace import Strace


def line(syscall: str, args: dict[str, Any] | None, ret: int | None = 0, abi: str = "x86_64") -> str:
    event = {"tid": 1, "syscall": syscall, "abi": abi, "args": args, "ret": ret, "errno": None, "duration_ns": None}
    if ret is not None and ret < 0:
        event["errno"] = "EFAULT"
    return Strace().event(event).removeprefix("1 ").partition(" = ")[0]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("syscall", "args", "expected"),
    [
        # A pointer that leads nowhere is an argument all the same.
        ("unlink", {"pathname": None}, "unlink(?)"),
        ("rename", {"oldpath": "/a", "newpath": None}, 'rename("/a", ?)'),
        ("rename", {"oldpath": None, "newpath": "/b"}, 'rename(?, "/b")'),
        ("wait4", {"pid": -1, "wstatus": None, "options": (), "rusage": 0}, "wait4(-1, ?, 0, 0)"),
        ("accept", {"sockfd": 3, "addr": None, "addrlen": None}, "accept(3, ?, ?)"),
        # A structure is one argument, unless a part of it is known.
        (
            "newfstatat",
            {"dirfd": -100, "pathname": "/x", "statbuf.st_mode": None, "statbuf.st_size": None, "flags": ()},
            'newfstatat(AT_FDCWD, "/x", ?, 0)',
        ),
        ("stat", {"pathname": "/x", "statbuf.st_mode": None, "statbuf.st_size": None}, 'stat("/x", ?)'),
        (
            "stat",
            {"pathname": "/x", "statbuf.st_mode": 0o100644, "statbuf.st_size": 5},
            'stat("/x", statbuf.st_mode=33188, statbuf.st_size=5)',
        ),
        ("utimes", {"filename": "/x", "times[0]": None, "times[1]": None}, 'utimes("/x", ?)'),
        # What a call does not use.
        ("openat", {"dirfd": 5, "pathname": "x", "flags": ("O_RDONLY",), "mode": None}, 'openat(5, "x", O_RDONLY)'),
        ("openat", {"dirfd": 5, "pathname": None, "flags": ("O_RDONLY",), "mode": None}, "openat(5, ?, O_RDONLY)"),
        ("fcntl", {"fd": 3, "cmd": "F_GETFD", "arg": None}, "fcntl(3, F_GETFD)"),
        # A call without a name has its registers.
        ("syscall_0x3e7", {"a1": 0, "a2": 1, "a3": 255}, "syscall_0x3e7(0, 0x1, 0xff)"),
        ("getppid", {}, "getppid()"),
        ("unlink", None, "unlink(?)"),
    ],
)
def test_a_line_has_each_argument(syscall: str, args: dict[str, Any] | None, expected: str) -> None:
    assert line(syscall, args) == expected
