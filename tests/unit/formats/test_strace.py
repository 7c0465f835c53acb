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
            'stat("/x", statbuf.st_mode=0100644, statbuf.st_size=5)',
        ),
        ("utimes", {"filename": "/x", "times[0]": None, "times[1]": None}, 'utimes("/x", ?)'),
        # What a call does not use.
        ("openat", {"dirfd": 5, "pathname": "x", "flags": ("O_RDONLY",), "mode": None}, 'openat(5, "x", O_RDONLY)'),
        ("openat", {"dirfd": 5, "pathname": None, "flags": ("O_RDONLY",), "mode": None}, "openat(5, ?, O_RDONLY)"),
        ("fcntl", {"fd": 3, "cmd": "F_GETFD", "arg": None}, "fcntl(3, F_GETFD)"),
        (
            "futex",
            {"uaddr": 4096, "futex_op": ("FUTEX_WAKE",), "val": 1, "timeout": None, "uaddr2": 9, "val3": 7},
            "futex(0x1000, FUTEX_WAKE, 1)",
        ),
        (
            "futex",
            {"uaddr": 4096, "futex_op": ("FUTEX_WAIT",), "val": 1, "timeout": None, "uaddr2": 9, "val3": 7},
            "futex(0x1000, FUTEX_WAIT, 1, ?)",
        ),
        # What another argument decides about has names, too.
        ("fcntl", {"fd": 3, "cmd": "F_SETFD", "arg": ("FD_CLOEXEC",)}, "fcntl(3, F_SETFD, FD_CLOEXEC)"),
        ("fcntl", {"fd": 3, "cmd": "F_SETSIG", "arg": "SIGIO"}, "fcntl(3, F_SETSIG, SIGIO)"),
        (
            "socket",
            {"domain": "AF_INET", "type": ("SOCK_STREAM",), "protocol": "IPPROTO_TCP"},
            "socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)",
        ),
        ("fcntl", {"fd": 3, "cmd": "F_SETLK", "arg": 0x7FFD0000}, "fcntl(3, F_SETLK, 0x7ffd0000)"),
        ("umask", {"mask": 0o27}, "umask(027)"),
        ("umask", {"mask": 0}, "umask(0)"),
        ("creat", {"pathname": "/x", "mode": 0o666}, 'creat("/x", 0666)'),
        (
            "get_mempolicy",
            {"mode": 2, "nodemask": 0, "maxnode": 0, "addr": 0, "flags": ()},
            "get_mempolicy(2, 0, 0, 0, 0)",
        ),
        # A call without a name has its registers.
        ("syscall_0x3e7", {"a1": 0, "a2": 1, "a3": 255}, "syscall_0x3e7(0, 0x1, 0xff)"),
        ("getppid", {}, "getppid()"),
        ("unlink", None, "unlink(?)"),
    ],
)
def test_a_line_has_each_argument(syscall: str, args: dict[str, Any] | None, expected: str) -> None:
    assert line(syscall, args) == expected
