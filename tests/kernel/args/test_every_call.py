"""Calls with known arguments, in both tables: each event has exactly those, by the names of the man pages."""

from __future__ import annotations

import os
import signal
import socket
import struct
from typing import TYPE_CHECKING

import pytest

import rawtp
from helpers.plans import ANY, Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

AT_FDCWD = -100
EPERM, ENOENT, ESRCH, EBADF, ECHILD, EFAULT, EEXIST, EINVAL, ENOTTY, ESPIPE = 1, 2, 3, 9, 10, 14, 17, 22, 25, 29
FIRST = 3
"""The first descriptor that the program opens."""

ABIS = ["native", "i386"]


def plan_for(abi: str) -> Plan:
    native = rawtp.syscalls._NATIVE_ABI  # type: ignore[attr-defined]
    if abi == "i386" and native != "x86_64":
        pytest.skip("32-bit calls are made by int 0x80")
    return Plan() if abi == "native" else Plan("i386")


@pytest.fixture(params=ABIS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return plan_for(request.param)


def test_files(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, path, gone = plan, plan.text("file"), plan.text("gone/file")
    p.call(
        "openat",
        AT_FDCWD,
        path,
        0o1102,
        0o640,
        ret=FIRST,
        dirfd=-100,
        pathname="file",
        flags=("O_RDWR", "O_CREAT", "O_TRUNC"),
        mode=0o640,
    )
    p.call(
        "openat",
        AT_FDCWD,
        gone,
        0x8000_0000,
        7,
        error=ENOENT,
        dirfd=-100,
        pathname="gone/file",
        flags=("O_RDONLY", "0x80000000"),
        mode=None,
    )
    p.call("open", path, 0o2000001, 0, ret=FIRST + 1, pathname="file", flags=("O_WRONLY", "O_CLOEXEC"), mode=None)
    p.call("creat", gone, 0o600, error=ENOENT, pathname="gone/file", mode=0o600)
    how = p.put(struct.pack("<3Q", 0, 0, 0x08))
    p.call(
        "openat2",
        AT_FDCWD,
        path,
        how,
        24,
        ret=ANY,
        dirfd=-100,
        pathname="file",
        how__flags=("O_RDONLY",),
        how__mode=0,
        how__resolve=("RESOLVE_BENEATH",),
        size=24,
    )
    p.call(
        "openat2",
        AT_FDCWD,
        path,
        0,
        24,
        error=EFAULT,
        dirfd=-100,
        pathname="file",
        how__flags=None,
        how__mode=None,
        how__resolve=None,
        size=24,
    )
    p.call("close", 77, error=EBADF, fd=77)
    p.call("close_range", 500, 600, 4, ret=ANY, first=500, last=600, flags=("CLOSE_RANGE_CLOEXEC",))
    buffer = p.put(b"secret content")
    p.call("write", FIRST, buffer, 14, ret=14, fd=FIRST, buf=None, count=14)
    p.call("write", -1, buffer, 14, error=EBADF, fd=-1, buf=None, count=14)
    p.call("read", FIRST, buffer, 0, ret=0, fd=FIRST, buf=None, count=0)
    if p.is_compat:
        p.call("pread64", FIRST, buffer, 4, 2, 1, ret=0, fd=FIRST, buf=None, count=4, offset=(1 << 32) + 2)
        p.call("pwrite64", FIRST, buffer, 4, -1, -1, error=EINVAL, fd=FIRST, buf=None, count=4, offset=-1)
        p.call(
            "fallocate",
            FIRST,
            3,
            1,
            0,
            2,
            0,
            ret=ANY,
            fd=FIRST,
            mode=("FALLOC_FL_KEEP_SIZE", "FALLOC_FL_PUNCH_HOLE"),
            offset=1,
            len=2,
        )
        p.call(
            "fallocate",
            -1,
            0x10,
            -1,
            -1,
            2,
            1,
            error=EBADF,
            fd=-1,
            mode=("FALLOC_FL_ZERO_RANGE",),
            offset=-1,
            len=(1 << 32) + 2,
        )
        p.call("ftruncate64", FIRST, 5, 0, ret=0, fd=FIRST, length=5)
        p.call("truncate64", gone, -1, -1, error=EINVAL, path="gone/file", length=-1)
        p.call("fadvise64", FIRST, 1, 0, 2, 4, ret=0, fd=FIRST, offset=1, len=2, advice="POSIX_FADV_DONTNEED")
        p.call(
            "fadvise64_64",
            -1,
            1,
            2,
            3,
            4,
            5,
            error=EBADF,
            fd=-1,
            offset=(2 << 32) + 1,
            len=(4 << 32) + 3,
            advice="POSIX_FADV_NOREUSE",
        )
        p.call(
            "sync_file_range",
            -1,
            1,
            0,
            2,
            0,
            6,
            error=EBADF,
            fd=-1,
            offset=1,
            nbytes=2,
            flags=("SYNC_FILE_RANGE_WRITE", "SYNC_FILE_RANGE_WAIT_AFTER"),
        )
        p.call("readahead", -1, 5, 1, 9, error=EBADF, fd=-1, offset=(1 << 32) + 5, count=9)
        result = p.put(bytes(8))
        p.call(
            "_llseek",
            FIRST,
            1,
            2,
            result,
            0,
            ret=0,
            fd=FIRST,
            offset_high=1,
            offset_low=2,
            result=(1 << 32) + 2,
            whence="SEEK_SET",
        )
        p.call("_llseek", -1, 1, 2, result, 9, error=EBADF, fd=-1, offset_high=1, offset_low=2, result=None, whence=9)
    else:
        p.call("pread64", FIRST, buffer, 4, (1 << 32) + 2, ret=0, fd=FIRST, buf=None, count=4, offset=(1 << 32) + 2)
        p.call("pwrite64", FIRST, buffer, 4, -1, error=EINVAL, fd=FIRST, buf=None, count=4, offset=-1)
        p.call(
            "fallocate",
            -1,
            0x10,
            -1,
            1 << 40,
            error=EBADF,
            fd=-1,
            mode=("FALLOC_FL_ZERO_RANGE",),
            offset=-1,
            len=1 << 40,
        )
        p.call("fadvise64", FIRST, 1, 2, 4, ret=0, fd=FIRST, offset=1, len=2, advice="POSIX_FADV_DONTNEED")
        p.call(
            "sync_file_range",
            -1,
            1,
            2,
            6,
            error=EBADF,
            fd=-1,
            offset=1,
            nbytes=2,
            flags=("SYNC_FILE_RANGE_WRITE", "SYNC_FILE_RANGE_WAIT_AFTER"),
        )
        p.call("readahead", -1, 5, 9, error=EBADF, fd=-1, offset=5, count=9)
    p.call("truncate", path, 5, ret=0, path="file", length=5)
    p.call("ftruncate", FIRST, -1, error=EINVAL, fd=FIRST, length=-1)
    p.call("lseek", FIRST, -3, 2, ret=2, fd=FIRST, offset=-3, whence="SEEK_END")
    p.call("lseek", 77, 1, 1, error=EBADF, fd=77, offset=1, whence="SEEK_CUR")
    p.call("preadv", -1, 1, 2, 3, 4, error=EBADF, fd=-1, iov=1, iovcnt=2, offset=(4 << 32) + 3 if p.is_compat else 3)
    p.call("pwritev2", -1, 1, 2, -1, -1, 2, error=EBADF, fd=-1, iov=1, iovcnt=2, offset=-1, flags=("RWF_DSYNC",))
    p.call("readv", -1, 1, 2, error=EBADF, fd=-1, iov=1, iovcnt=2)
    p.call("writev", -1, 1, 2, error=EBADF, fd=-1, iov=1, iovcnt=2)
    p.call("dup", FIRST, ret=ANY, oldfd=FIRST)
    p.call("dup2", FIRST, 20, ret=20, oldfd=FIRST, newfd=20)
    p.call("dup3", FIRST, 21, 0o2000000, ret=21, oldfd=FIRST, newfd=21, flags=("O_CLOEXEC",))
    p.call("dup3", FIRST, FIRST, 1, error=EINVAL, oldfd=FIRST, newfd=FIRST, flags=("0x1",))
    p.call("fcntl", FIRST, 4, 0o4000, ret=0, fd=FIRST, cmd="F_SETFL", arg=("O_RDONLY", "O_NONBLOCK"))
    p.call("fcntl", FIRST, 1, 99, ret=0, fd=FIRST, cmd="F_GETFD", arg=None)
    p.call("fcntl", FIRST, 2, 1, ret=0, fd=FIRST, cmd="F_SETFD", arg=("FD_CLOEXEC",))
    p.call("fcntl", FIRST, 1030, 30, ret=30, fd=FIRST, cmd="F_DUPFD_CLOEXEC", arg=30)
    p.call("fcntl", FIRST, 12345, 30, error=EINVAL, fd=FIRST, cmd=12345, arg=None)
    p.call("flock", FIRST, 6, ret=0, fd=FIRST, operation=("LOCK_EX", "LOCK_NB"))
    p.call("ioctl", FIRST, 0x5413, 1, error=ENOTTY, fd=FIRST, request="TIOCGWINSZ", argp=1)
    p.call("ioctl", FIRST, 0xC0DE_0001, 1, error=ENOTTY, fd=FIRST, request=0xC0DE0001, argp=1)
    p.call("fsync", FIRST, ret=0, fd=FIRST)
    p.call("fdatasync", -1, error=EBADF, fd=-1)
    p.call("syncfs", -1, error=EBADF, fd=-1)
    fds = p.put(b"x" * 8)
    p.call("close", 30, ret=0, fd=30)
    p.call("pipe2", fds, 0o2004000, ret=0, pipefd=(ANY, ANY), flags=("O_CLOEXEC", "O_NONBLOCK"))
    p.call("pipe2", 0, 0, error=EFAULT, pipefd=None, flags=())
    p.call("pipe", 8, error=EFAULT, pipefd=None)
    p.call(
        "splice",
        -1,
        0,
        -1,
        0,
        5,
        3,
        error=EBADF,
        fd_in=-1,
        off_in=None,
        fd_out=-1,
        off_out=None,
        len=5,
        flags=("SPLICE_F_MOVE", "SPLICE_F_NONBLOCK"),
    )
    offset = p.put(struct.pack("<q", 1 << 33))
    p.call(
        "copy_file_range",
        -1,
        offset,
        -1,
        0,
        5,
        0,
        error=EBADF,
        fd_in=-1,
        off_in=1 << 33,
        fd_out=-1,
        off_out=None,
        len=5,
        flags=0,
    )
    p.call("sendfile", -1, -1, p.longs(7), 5, error=EBADF, out_fd=-1, in_fd=-1, offset=7, count=5)
    p.call("tee", -1, -1, 5, 2, error=EBADF, fd_in=-1, fd_out=-1, len=5, flags=("SPLICE_F_NONBLOCK",))
    p.call("vmsplice", -1, 1, 5, 8, error=EBADF, fd=-1, iov=1, nr_segs=5, flags=("SPLICE_F_GIFT",))
    p.call("memfd_create", p.text("name"), 3, ret=ANY, name="name", flags=("MFD_CLOEXEC", "MFD_ALLOW_SEALING"))
    p.check(program, tmp_path)


def test_names(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    p, one, two, gone = plan, plan.text("one"), plan.text("two"), plan.text("gone/x")
    p.call("mkdir", one, 0o750, ret=0, pathname="one", mode=0o750)
    p.call("mkdirat", AT_FDCWD, one, 0o700, error=EEXIST, dirfd=-100, pathname="one", mode=0o700)
    p.call("rmdir", one, ret=0, pathname="one")
    p.call("mknod", one, 0o100600, 0, ret=0, pathname="one", mode=0o100600, dev=0)
    p.call("mknodat", AT_FDCWD, one, 0o10600, 5, error=EEXIST, dirfd=-100, pathname="one", mode=0o10600, dev=5)
    p.call("link", one, two, ret=0, oldpath="one", newpath="two")
    p.call(
        "linkat",
        AT_FDCWD,
        one,
        AT_FDCWD,
        two,
        0x400,
        error=EEXIST,
        olddirfd=-100,
        oldpath="one",
        newdirfd=-100,
        newpath="two",
        flags=("AT_SYMLINK_FOLLOW",),
    )
    p.call("unlink", two, ret=0, pathname="two")
    p.call("symlink", one, two, ret=0, target="one", linkpath="two")
    p.call("symlinkat", one, AT_FDCWD, two, error=EEXIST, target="one", newdirfd=-100, linkpath="two")
    buffer = p.put(bytes(64))
    p.call("readlink", two, buffer, 64, ret=3, pathname="two", buf="one", bufsiz=64)
    p.call("readlinkat", AT_FDCWD, two, buffer, 2, ret=2, dirfd=-100, pathname="two", buf="on", bufsiz=2)
    p.call("readlink", one, buffer, 64, error=EINVAL, pathname="one", buf=None, bufsiz=64)
    p.call("unlinkat", AT_FDCWD, two, 0x200, error=20, dirfd=-100, pathname="two", flags=("AT_REMOVEDIR",))
    p.call("rename", one, two, ret=0, oldpath="one", newpath="two")
    p.call(
        "renameat",
        AT_FDCWD,
        gone,
        AT_FDCWD,
        two,
        error=ENOENT,
        olddirfd=-100,
        oldpath="gone/x",
        newdirfd=-100,
        newpath="two",
    )
    p.call(
        "renameat2",
        AT_FDCWD,
        two,
        AT_FDCWD,
        one,
        1,
        ret=0,
        olddirfd=-100,
        oldpath="two",
        newdirfd=-100,
        newpath="one",
        flags=("RENAME_NOREPLACE",),
    )
    p.call("access", one, 4, ret=0, pathname="one", mode=("R_OK",))
    p.call("access", gone, 0, error=ENOENT, pathname="gone/x", mode=("F_OK",))
    p.call("faccessat", AT_FDCWD, one, 2, ret=0, dirfd=-100, pathname="one", mode=("W_OK",))
    p.call(
        "faccessat2", AT_FDCWD, one, 2, 0x200, ret=0, dirfd=-100, pathname="one", mode=("W_OK",), flags=("AT_EACCESS",)
    )
    p.call("chmod", one, 0o640, ret=0, pathname="one", mode=0o640)
    p.call("fchmod", -1, 0o640, error=EBADF, fd=-1, mode=0o640)
    p.call("fchmodat", AT_FDCWD, gone, 0o640, error=ENOENT, dirfd=-100, pathname="gone/x", mode=0o640)
    p.call(
        "fchmodat2",
        AT_FDCWD,
        one,
        0o600,
        0x100,
        ret=0,
        dirfd=-100,
        pathname="one",
        mode=0o600,
        flags=("AT_SYMLINK_NOFOLLOW",),
    )
    p.call("chown", one, -1, 0, ret=0, pathname="one", owner=-1, group=0)
    p.call("lchown", gone, 1, -1, error=ENOENT, pathname="gone/x", owner=1, group=-1)
    p.call("fchown", -1, 1, 70_000, error=EBADF, fd=-1, owner=1, group=4464 if p.is_compat else 70_000)
    p.call("chown32", one, -1, -1, ret=0, pathname="one", owner=-1, group=-1)
    p.call("fchown32", -1, 1, 70_000, error=EBADF, fd=-1, owner=1, group=70_000)
    p.call(
        "fchownat",
        AT_FDCWD,
        one,
        -1,
        0,
        0x100,
        ret=0,
        dirfd=-100,
        pathname="one",
        owner=-1,
        group=0,
        flags=("AT_SYMLINK_NOFOLLOW",),
    )
    p.call("umask", 0o22, ret=ANY, mask=0o22)
    p.call(
        "utimensat",
        AT_FDCWD,
        one,
        p.longs(7, 0x3FFF_FFFE, 9, 250_000_000),
        0,
        ret=0,
        dirfd=-100,
        pathname="one",
        **{"times[0]": "UTIME_OMIT", "times[1]": 9.25},
        flags=(),
    )
    p.call(
        "utimensat",
        AT_FDCWD,
        gone,
        0,
        0,
        error=ENOENT,
        dirfd=-100,
        pathname="gone/x",
        **{"times[0]": None, "times[1]": None},
        flags=(),
    )
    p.call(
        "utimensat_time64",
        AT_FDCWD,
        one,
        p.put(struct.pack("<4Q", 7, 0x3FFF_FFFF, 9, 500_000_000)),
        0,
        ret=0,
        dirfd=-100,
        pathname="one",
        **{"times[0]": "UTIME_NOW", "times[1]": 9.5},
        flags=(),
    )
    p.call("utime", one, p.longs(5, 6), ret=0, filename="one", times__actime=5, times__modtime=6)
    p.call("utimes", one, p.longs(5, 500_000, 6, 0), ret=0, filename="one", **{"times[0]": 5.5, "times[1]": 6.0})
    p.call(
        "futimesat",
        AT_FDCWD,
        one,
        p.longs(5, 500_000, 6, 0),
        ret=0,
        dirfd=-100,
        pathname="one",
        **{"times[0]": 5.5, "times[1]": 6.0},
    )
    stat = p.put(bytes(256))
    for call in ("stat", "lstat", "stat64", "lstat64"):
        p.call(call, one, stat, ret=0, pathname="one", statbuf__st_mode=0o100600, statbuf__st_size=0)
        p.call(call, gone, stat, error=ENOENT, pathname="gone/x", statbuf__st_mode=None, statbuf__st_size=None)
    for call in ("fstat", "fstat64"):
        p.call(call, -1, stat, error=EBADF, fd=-1, statbuf__st_mode=None, statbuf__st_size=None)
    for call in ("newfstatat", "fstatat", "fstatat64"):
        p.call(
            call,
            AT_FDCWD,
            one,
            stat,
            0x100,
            ret=0,
            dirfd=-100,
            pathname="one",
            statbuf__st_mode=0o100600,
            statbuf__st_size=0,
            flags=("AT_SYMLINK_NOFOLLOW",),
        )
    p.call(
        "statx",
        AT_FDCWD,
        one,
        0x2000,
        0x7FF,
        stat,
        ret=0,
        dirfd=-100,
        pathname="one",
        flags=("AT_STATX_FORCE_SYNC",),
        mask=(
            "STATX_TYPE",
            "STATX_MODE",
            "STATX_NLINK",
            "STATX_UID",
            "STATX_GID",
            "STATX_ATIME",
            "STATX_MTIME",
            "STATX_CTIME",
            "STATX_INO",
            "STATX_SIZE",
            "STATX_BLOCKS",
        ),
        statxbuf__stx_mode=0o100600,
        statxbuf__stx_size=0,
    )
    p.call("statfs", gone, 8, error=ENOENT, path="gone/x", buf=8)
    p.call("fstatfs", -1, 8, error=EBADF, fd=-1, buf=8)
    name, value = p.text("user.rawtp"), p.put(b"hidden")
    p.call(
        "setxattr",
        gone,
        name,
        value,
        6,
        2,
        error=ENOENT,
        path="gone/x",
        name="user.rawtp",
        value=None,
        size=6,
        flags=("XATTR_REPLACE",),
    )
    p.call(
        "lsetxattr",
        gone,
        name,
        value,
        6,
        1,
        error=ENOENT,
        path="gone/x",
        name="user.rawtp",
        value=None,
        size=6,
        flags=("XATTR_CREATE",),
    )
    p.call("fsetxattr", -1, name, value, 6, 0, error=EBADF, fd=-1, name="user.rawtp", value=None, size=6, flags=())
    p.call("getxattr", gone, name, value, 6, error=ENOENT, path="gone/x", name="user.rawtp", value=None, size=6)
    p.call("lgetxattr", gone, name, value, 6, error=ENOENT, path="gone/x", name="user.rawtp", value=None, size=6)
    p.call("fgetxattr", -1, name, value, 6, error=EBADF, fd=-1, name="user.rawtp", value=None, size=6)
    p.call("listxattr", gone, value, 6, error=ENOENT, path="gone/x", list=None, size=6)
    p.call("llistxattr", gone, value, 6, error=ENOENT, path="gone/x", list=None, size=6)
    p.call("flistxattr", -1, value, 6, error=EBADF, fd=-1, list=None, size=6)
    p.call("removexattr", gone, name, error=ENOENT, path="gone/x", name="user.rawtp")
    p.call("lremovexattr", gone, name, error=ENOENT, path="gone/x", name="user.rawtp")
    p.call("fremovexattr", -1, name, error=EBADF, fd=-1, name="user.rawtp")
    p.call("chdir", gone, error=ENOENT, path="gone/x")
    p.call("fchdir", -1, error=EBADF, fd=-1)
    p.call("chroot", gone, error=ENOENT, path="gone/x")
    here = str((tmp_path / "run").resolve())
    p.call("getcwd", buffer, 4, error=34, buf=None, size=4)
    p.call("getcwd", p.put(bytes(4096)), 4096, ret=len(here) + 1, buf=here, size=4096)
    p.call("getdents64", -1, buffer, 64, error=EBADF, fd=-1, dirp=buffer, count=64)
    p.call(
        "name_to_handle_at",
        AT_FDCWD,
        gone,
        buffer,
        buffer,
        0x1000,
        error=ANY,
        dirfd=-100,
        pathname="gone/x",
        handle=buffer,
        mount_id=None,
        flags=("AT_EMPTY_PATH",),
    )
    p.call("open_by_handle_at", -1, buffer, 0, error=ANY, mount_fd=-1, handle=buffer, flags=("O_RDONLY",))
    p.call("acct", gone, error=ANY, filename="gone/x")
    p.call("quotactl", 1, gone, -1, 8, error=ANY, cmd=1, special="gone/x", id=-1, addr=8)
    p.call("swapon", gone, 0x8000, error=ANY, path="gone/x", swapflags=("SWAP_FLAG_PREFER",))
    p.call("swapoff", gone, error=ANY, path="gone/x")
    p.check(program, tmp_path)


def test_watches_and_mounts(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, gone = plan, plan.text("gone/x")
    p.call("inotify_init1", 0o2004000, ret=FIRST, flags=("IN_NONBLOCK", "IN_CLOEXEC"))
    p.call(
        "inotify_add_watch",
        FIRST,
        gone,
        0x0100_0302,
        error=ENOENT,
        fd=FIRST,
        pathname="gone/x",
        mask=("IN_MODIFY", "IN_CREATE", "IN_DELETE", "IN_ONLYDIR"),
    )
    p.call("inotify_rm_watch", FIRST, 5, error=EINVAL, fd=FIRST, wd=5)
    mask = (0x20, 0) if p.is_compat else (0x20,)
    p.call("fanotify_init", 0x200, 0o2000000, error=ANY, flags=ANY, event_f_flags=("O_RDONLY", "O_CLOEXEC"))
    p.call(
        "fanotify_mark",
        -1,
        1,
        *mask,
        AT_FDCWD,
        gone,
        error=ANY,
        fanotify_fd=-1,
        flags=("FAN_MARK_ADD",),
        mask=("FAN_OPEN",),
        dirfd=-100,
        pathname="gone/x",
    )
    p.call(
        "mount",
        p.text("source"),
        gone,
        p.text("tmpfs"),
        0x1001,
        p.text("secret=1"),
        error=ENOENT,
        source="source",
        target="gone/x",
        filesystemtype="tmpfs",
        mountflags=("MS_RDONLY", "MS_BIND"),
        data=ANY,
    )
    p.call("umount2", gone, 10, error=ENOENT, target="gone/x", flags=("MNT_DETACH", "UMOUNT_NOFOLLOW"))
    p.call("umount", gone, error=ENOENT, target="gone/x")
    p.call("pivot_root", gone, gone, error=ENOENT, new_root="gone/x", put_old="gone/x")
    p.call(
        "move_mount",
        AT_FDCWD,
        gone,
        AT_FDCWD,
        gone,
        0x44,
        error=ANY,
        from_dirfd=-100,
        from_pathname="gone/x",
        to_dirfd=-100,
        to_pathname="gone/x",
        flags=("MOVE_MOUNT_F_EMPTY_PATH", "MOVE_MOUNT_T_EMPTY_PATH"),
    )
    p.call("open_tree", AT_FDCWD, gone, 1, error=ENOENT, dirfd=-100, pathname="gone/x", flags=("OPEN_TREE_CLONE",))
    p.call("fsopen", p.text("nofs"), 1, error=19, fsname="nofs", flags=("FSOPEN_CLOEXEC",))
    p.call(
        "fsconfig",
        -1,
        1,
        p.text("key"),
        p.text("value"),
        0,
        error=EINVAL,
        fd=-1,
        cmd="FSCONFIG_SET_STRING",
        key="key",
        value=ANY,
        aux=0,
    )
    p.call(
        "fsmount",
        -1,
        1,
        3,
        error=ANY,
        fd=-1,
        flags=("FSMOUNT_CLOEXEC",),
        attr_flags=("MOUNT_ATTR_RDONLY", "MOUNT_ATTR_NOSUID"),
    )
    p.call("fspick", AT_FDCWD, gone, 8, error=ENOENT, dirfd=-100, pathname="gone/x", flags=("FSPICK_EMPTY_PATH",))
    attr = p.put(struct.pack("<4Q", 1, 2, 1 << 18, 0))
    p.call(
        "mount_setattr",
        AT_FDCWD,
        gone,
        0x8000,
        attr,
        32,
        error=ENOENT,
        dirfd=-100,
        pathname="gone/x",
        flags=("AT_RECURSIVE",),
        attr__attr_set=("MOUNT_ATTR_RDONLY",),
        attr__attr_clr=("MOUNT_ATTR_NOSUID",),
        attr__propagation=("MS_PRIVATE",),
        attr__userns_fd=0,
        size=32,
    )
    p.check(program, tmp_path)


def test_processes(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, status = plan, plan.put(bytes(16))
    clone_flags = signal.SIGCHLD
    p.call(
        "clone",
        clone_flags,
        0,
        0,
        0,
        0,
        child=True,
        ret=ANY,
        **(
            {"flags": ("SIGCHLD",), "stack": 0, "parent_tid": 0, "child_tid": 0, "tls": 0}
            if p.abi == "x86_64"
            else {"flags": ("SIGCHLD",), "stack": 0, "parent_tid": 0, "tls": 0, "child_tid": 0}
        ),
    )
    p.call("wait4", -1, status, 0, 0, ret=ANY, pid=-1, wstatus=0, options=(), rusage=0)
    args = p.put(struct.pack("<8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0))
    p.call("clone3", args, 64, child=True, ret=ANY, cl_args__flags=(), cl_args__exit_signal="SIGCHLD", size=64)
    p.call(
        "waitid",
        0,
        0,
        p.put(bytes(128)),
        4,
        0,
        ret=0,
        idtype="P_ALL",
        id=0,
        infop__si_code="CLD_EXITED",
        infop__si_pid=ANY,
        infop__si_uid=os.getuid(),
        infop__si_status=0,
        options=("WEXITED",),
        rusage=0,
    )
    p.call("clone3", 8, 64, error=EFAULT, cl_args__flags=None, cl_args__exit_signal=None, size=64)
    p.call("fork", child=True, ret=ANY)
    p.call("waitpid", -1, status, 2, ret=ANY, pid=-1, wstatus=0, options=("WUNTRACED",))
    if not p.is_compat:
        p.call("vfork", child=True, ret=ANY)
    p.call("wait4", 1, status, 1, 0, error=ECHILD, pid=1, wstatus=None, options=("WNOHANG",), rusage=0)
    path = p.text("gone/x")
    argv = p.longs(p.text("one"), p.text(b"two \xff"), p.text(""), 0)
    p.call(
        "execve",
        path,
        argv,
        p.longs(p.text("SECRET=1"), 0),
        error=ENOENT,
        pathname="gone/x",
        argv=("one", "two \udcff", ""),
        envp=ANY,
    )
    p.call(
        "execveat",
        AT_FDCWD,
        path,
        argv,
        0,
        0x1000,
        error=ENOENT,
        dirfd=-100,
        pathname="gone/x",
        argv=("one", "two \udcff", ""),
        envp=0,
        flags=("AT_EMPTY_PATH",),
    )
    p.call("execve", path, 0, 0, error=ENOENT, pathname="gone/x", argv=None, envp=0)
    missing = 0x3FFF_FFF0
    p.call("kill", missing, 9, error=ESRCH, pid=missing, sig="SIGKILL")
    p.call("kill", missing, 0, error=ESRCH, pid=missing, sig=0)
    p.call("tkill", missing, 15, error=ESRCH, tid=missing, sig="SIGTERM")
    p.call("tgkill", missing, missing, 34, error=ESRCH, tgid=missing, tid=missing, sig=34)
    p.call("rt_sigqueueinfo", missing, 10, 8, error=EFAULT, tgid=missing, sig="SIGUSR1", info=8)
    p.call("rt_tgsigqueueinfo", missing, 1, 10, 8, error=EFAULT, tgid=missing, tid=1, sig="SIGUSR1", info=8)
    p.call("pidfd_open", missing, 0, error=ANY, pid=missing, flags=())
    p.call("pidfd_send_signal", -1, 1, 0, 0, error=EBADF, pidfd=-1, sig="SIGHUP", info=0, flags=())
    p.call("pidfd_getfd", -1, 7, 0, error=EBADF, pidfd=-1, targetfd=7, flags=0)
    mask = p.put(struct.pack("<Q", 1 << 11))
    old = p.put(b"\xff" * 8)
    p.call("rt_sigprocmask", 0, mask, old, 8, ret=0, how="SIG_BLOCK", set=("SIGUSR2",), oldset=(), sigsetsize=8)
    p.call("rt_sigprocmask", 1, mask, 0, 8, ret=0, how="SIG_UNBLOCK", set=("SIGUSR2",), oldset=None, sigsetsize=8)
    p.call("rt_sigaction", 9, 8, 0, 8, error=EFAULT, signum="SIGKILL", act=8, oldact=0, sigsetsize=8)
    p.call(
        "rt_sigtimedwait", mask, 0, p.longs(0, 1000), 8, error=11, set=("SIGUSR2",), info=0, timeout=1e-6, sigsetsize=8
    )
    p.call(
        "rt_sigtimedwait_time64",
        mask,
        0,
        p.put(struct.pack("<2Q", 0, 1000)),
        8,
        error=11,
        set=("SIGUSR2",),
        info=0,
        timeout=1e-6,
        sigsetsize=8,
    )
    p.call("rt_sigpending", 8, 8, error=EFAULT, set=8, sigsetsize=8)
    p.call("sigaltstack", 8, 0, error=EFAULT, ss=8, old_ss=0)
    for call in ("getpid", "getppid", "gettid", "getpgrp", "sched_yield"):
        p.call(call, ret=ANY)
    p.call("getpgid", missing, error=ESRCH, pid=missing)
    p.call("getsid", missing, error=ESRCH, pid=missing)
    p.call("setpgid", missing, 5, error=ANY, pid=missing, pgid=5)
    p.call("getpriority", 0, 0, ret=ANY, which="PRIO_PROCESS", who=0)
    p.call("setpriority", 7, 1, -5, error=EINVAL, which=7, who=1, prio=-5)
    p.call("sched_getscheduler", 0, ret=0, pid=0)
    p.call(
        "sched_setscheduler",
        0,
        0x4000_0001,
        p.put(struct.pack("<i", -3)),
        error=EINVAL,
        pid=0,
        policy=("SCHED_FIFO", "SCHED_RESET_ON_FORK"),
        param__sched_priority=-3,
    )
    p.call("sched_getparam", 0, status, ret=0, pid=0, param__sched_priority=0)
    p.call("sched_setparam", 0, p.put(struct.pack("<i", 77)), error=EINVAL, pid=0, param__sched_priority=77)
    p.call("sched_get_priority_max", 1, ret=99, policy=("SCHED_FIFO",))
    p.call("sched_get_priority_min", 0, ret=0, policy=("SCHED_OTHER",))
    p.call("sched_getaffinity", missing, 8, 8, error=ESRCH, pid=missing, cpusetsize=8, mask=8)
    p.call("sched_setaffinity", missing, 8, p.put(bytes(8)), error=ESRCH, pid=missing, cpusetsize=8, mask=ANY)
    p.call("prctl", 36, 2, 3, 4, 5, ret=ANY, option="PR_SET_CHILD_SUBREAPER", arg2=2, arg3=3, arg4=4, arg5=5)
    p.call("prctl", 99999, 0, 0, 0, 0, error=EINVAL, option=99999, arg2=0, arg3=0, arg4=0, arg5=0)
    limits = p.put(struct.pack("<2Q", 100, (1 << 64) - 1))
    old_limits = p.put(bytes(16))
    p.call(
        "prlimit64",
        missing,
        7,
        limits,
        old_limits,
        error=ESRCH,
        pid=missing,
        resource="RLIMIT_NOFILE",
        new_limit__rlim_cur=100,
        new_limit__rlim_max=-1,
        old_limit__rlim_cur=None,
        old_limit__rlim_max=None,
    )
    p.call("setrlimit", 4, p.longs(0, 0), ret=0, resource="RLIMIT_CORE", rlim__rlim_cur=0, rlim__rlim_max=0)
    p.call(
        "getrlimit" if not p.is_compat else "ugetrlimit",
        4,
        old_limits,
        ret=0,
        resource="RLIMIT_CORE",
        rlim__rlim_cur=0,
        rlim__rlim_max=0,
    )
    p.call("getrusage", 5, 8, error=EINVAL, who=5, usage__ru_utime=None, usage__ru_stime=None)
    p.call("getrusage", -1, p.put(bytes(144)), ret=0, who="RUSAGE_CHILDREN", usage__ru_utime=ANY, usage__ru_stime=ANY)
    p.call("ptrace", 16, missing, 1, 2, error=ANY, request="PTRACE_ATTACH", pid=missing, addr=1, data=2)
    p.call("unshare", 0x0002_0001, error=EINVAL, flags=("CLONE_NEWNS", "0x1"))
    p.call("setns", -1, 0x4000_0000, error=EBADF, fd=-1, nstype=("CLONE_NEWNET",))
    p.call("kcmp", missing, missing, 0, 1, 2, error=ANY, pid1=missing, pid2=missing, type="KCMP_FILE", idx1=1, idx2=2)
    p.call("personality", 0xFFFF_FFFF, ret=ANY, persona=0xFFFFFFFF)
    p.call("seccomp", 3, 0, 8, error=EFAULT, operation="SECCOMP_GET_NOTIF_SIZES", flags=(), args=8)
    p.call("ioprio_get", 1, missing, error=ESRCH, which="IOPRIO_WHO_PROCESS", who=missing)
    p.call("ioprio_set", 9, 1, 2, error=EINVAL, which=9, who=1, ioprio=2)
    p.call("capget", 8, 0, error=EFAULT, hdrp=8, datap=0)
    p.call("set_robust_list", 8, 1, error=EINVAL, head=8, len=1)
    p.call(
        "process_vm_readv",
        missing,
        8,
        0,
        8,
        0,
        1,
        error=EINVAL,
        pid=missing,
        local_iov=8,
        liovcnt=0,
        remote_iov=8,
        riovcnt=0,
        flags=1,
    )
    p.check(program, tmp_path)


def test_users_and_groups(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, ids = plan, [plan.put(bytes(4)) for _ in range(3)]
    suffixes = ("", "32") if p.is_compat else ("",)
    for suffix in suffixes:
        for call in ("getuid", "getgid", "geteuid", "getegid"):
            p.call(call + suffix, ret=0)
        p.call("setreuid" + suffix, -1, -1, ret=0, ruid=-1, euid=-1)
        p.call("setregid" + suffix, -1, -1, ret=0, rgid=-1, egid=-1)
        p.call("setresuid" + suffix, -1, 0, -1, ret=0, ruid=-1, euid=0, suid=-1)
        p.call("setresgid" + suffix, -1, 0, -1, ret=0, rgid=-1, egid=0, sgid=-1)
        p.call("getresuid" + suffix, *ids, ret=0, ruid=0, euid=0, suid=0)
        p.call("getresgid" + suffix, *ids, ret=0, rgid=0, egid=0, sgid=0)
        p.call("setuid" + suffix, -1, error=EINVAL, uid=-1)
        p.call("setgid" + suffix, -1, error=EINVAL, gid=-1)
        p.call("setfsuid" + suffix, -1, ret=0, fsuid=-1)
        p.call("setfsgid" + suffix, -1, ret=0, fsgid=-1)
        p.call("setgroups" + suffix, 70_000, 8, error=EINVAL, size=70_000, list=8)
        p.call("getgroups" + suffix, -1, 8, error=EINVAL, size=-1, list=8)
    p.check(program, tmp_path)


def test_memory(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, bad = plan, 0x1001
    prot = ("PROT_READ", "PROT_WRITE")
    if p.is_compat:
        p.call(
            "mmap2",
            0,
            0,
            3,
            0x22,
            -1,
            7,
            error=EINVAL,
            addr=0,
            length=0,
            prot=prot,
            flags=("MAP_PRIVATE", "MAP_ANONYMOUS"),
            fd=-1,
            pgoffset=7,
        )
        p.call("mmap", 8, error=EFAULT, arg=8)
    else:
        p.call(
            "mmap",
            0,
            0,
            3,
            0x22,
            -1,
            -1,
            error=EINVAL,
            addr=0,
            length=0,
            prot=prot,
            flags=("MAP_PRIVATE", "MAP_ANONYMOUS"),
            fd=-1,
            offset=-1,
        )
    p.call("munmap", bad, 5, error=EINVAL, addr=bad, length=5)
    p.call("mprotect", bad, 5, 1, error=EINVAL, addr=bad, len=5, prot=("PROT_READ",))
    p.call(
        "mremap",
        bad,
        5,
        6,
        3,
        9,
        error=EINVAL,
        old_address=bad,
        old_size=5,
        new_size=6,
        flags=("MREMAP_MAYMOVE", "MREMAP_FIXED"),
        new_address=9,
    )
    p.call("madvise", bad, 5, 4, error=EINVAL, addr=bad, length=5, advice="MADV_DONTNEED")
    p.call("msync", bad, 5, 5, error=EINVAL, addr=bad, length=5, flags=("MS_ASYNC", "MS_SYNC"))
    p.call("mincore", bad, 5, 8, error=EINVAL, addr=bad, length=5, vec=8)
    p.call("mlock2", bad, 5, 8, error=EINVAL, addr=bad, len=5, flags=("0x8",))
    p.call("munlock", bad, 0, ret=ANY, addr=bad, len=0)
    p.call("mlockall", 8, error=EINVAL, flags=("0x8",))
    p.call("brk", 0, ret=ANY, addr=0)
    p.call("pkey_mprotect", bad, 5, 4, -1, error=EINVAL, addr=bad, len=5, prot=("PROT_EXEC",), pkey=-1)
    p.call("pkey_alloc", 1, 2, error=EINVAL, flags=1, access_rights="PKEY_DISABLE_WRITE")
    p.call("pkey_free", 99, error=EINVAL, pkey=99)
    p.call("membarrier", 0, 0, 0, ret=ANY, cmd="MEMBARRIER_CMD_QUERY", flags=0, cpu_id=0)
    p.call("mbind", bad, 5, 99, 0, 0, 0, error=ANY, addr=bad, len=5, mode=("0x63",), nodemask=0, maxnode=0, flags=())
    p.call("set_mempolicy", 2, 0, 0, error=ANY, mode=("MPOL_BIND",), nodemask=0, maxnode=0)
    p.call("userfaultfd", 5, error=ANY, flags=ANY)
    p.call("shmget", 0, 0, 0o3000 | 0o600, error=ANY, key=0, size=0, shmflg=("IPC_CREAT", "IPC_EXCL", "0x180"))
    p.call("shmat", -1, 8, 0o10000, error=EINVAL, shmid=-1, shmaddr=8, shmflg=("SHM_RDONLY",))
    p.call("shmdt", bad, error=EINVAL, shmaddr=bad)
    p.call("shmctl", -1, 0, 0, error=EINVAL, shmid=-1, cmd=("IPC_RMID",), buf=0)
    p.call("semget", 0, -1, 0o1000, error=EINVAL, key=0, nsems=-1, semflg=("IPC_CREAT",))
    p.call("semctl", -1, 1, 16, 7, error=EINVAL, semid=-1, semnum=1, cmd=("SETVAL",), arg=7)
    p.call("semop", -1, 8, 1, error=ANY, semid=-1, sops=8, nsops=1)
    p.call("semtimedop", -1, 8, 1, p.longs(1, 0), error=ANY, semid=-1, sops=8, nsops=1, timeout=1.0)
    p.call("msgget", 0x7A31_0001, 0, error=ENOENT, key=0x7A310001, msgflg=())
    p.call("msgsnd", -1, 8, 5, 0o4000, error=ANY, msqid=-1, msgp=8, msgsz=5, msgflg=("IPC_NOWAIT",))
    p.call("msgrcv", -1, 8, 5, -7, 0o4000, error=ANY, msqid=-1, msgp=8, msgsz=5, msgtyp=-7, msgflg=("IPC_NOWAIT",))
    p.call("msgctl", -1, 2, 8, error=ANY, msqid=-1, cmd=("IPC_STAT",), buf=8)
    name = p.text("rawtp-none")
    p.call("mq_open", name, 0, 0, 0, error=ANY, name="rawtp-none", oflag=("O_RDONLY",), mode=None, attr=0)
    p.call("mq_unlink", name, error=ANY, name="rawtp-none")
    p.call(
        "mq_timedsend",
        -1,
        8,
        5,
        3,
        p.longs(1, 500_000_000),
        error=ANY,
        mqdes=-1,
        msg_ptr=None,
        msg_len=5,
        msg_prio=3,
        abs_timeout=1.5,
    )
    p.call(
        "mq_timedreceive",
        -1,
        8,
        5,
        0,
        p.longs(1, 500_000_000),
        error=ANY,
        mqdes=-1,
        msg_ptr=None,
        msg_len=5,
        msg_prio=None,
        abs_timeout=1.5,
    )
    p.check(program, tmp_path)


def test_time(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, out = plan, plan.put(bytes(64))
    wide = p.put(struct.pack("<4Q", 0, 1000, 0, 1000))
    narrow = p.longs(0, 1000, 0, 1000)
    p.call("nanosleep", narrow, out, ret=0, req=1e-6, rem=None)
    p.call("nanosleep", p.longs(1, -1), 0, error=EINVAL, req=1 - 1e-9, rem=None)
    p.call("nanosleep", 8, 0, error=EFAULT, req=None, rem=None)
    p.call(
        "clock_nanosleep",
        1,
        1,
        narrow,
        0,
        ret=0,
        clockid="CLOCK_MONOTONIC",
        flags=("TIMER_ABSTIME",),
        request=1e-6,
        remain=None,
    )
    p.call(
        "clock_nanosleep_time64",
        1,
        1,
        wide,
        0,
        ret=0,
        clockid="CLOCK_MONOTONIC",
        flags=("TIMER_ABSTIME",),
        request=1e-6,
        remain=None,
    )
    p.call("clock_gettime", 99, out, error=EINVAL, clockid=99, tp=None)
    p.call("clock_getres", 1, out, ret=0, clockid="CLOCK_MONOTONIC", res=ANY)
    p.call("clock_gettime64", 99, out, error=EINVAL, clockid=99, tp=None)
    p.call("clock_settime", 1, p.longs(-5, 250_000_000), error=EINVAL, clockid="CLOCK_MONOTONIC", tp=-4.75)
    p.call("gettimeofday", 8, 0, error=EFAULT, tv=None, tz=0)
    p.call("settimeofday", p.longs(5, 2_000_000), 0, error=EINVAL, tv=7.0, tz=0)
    p.call("alarm", 0, ret=0, seconds=0)
    zero = p.longs(0, 0, 0, 0)
    p.call(
        "setitimer",
        0,
        zero,
        out,
        ret=0,
        which="ITIMER_REAL",
        new_value__it_interval=0.0,
        new_value__it_value=0.0,
        old_value__it_interval=0.0,
        old_value__it_value=0.0,
    )
    p.call("getitimer", 9, out, error=EINVAL, which=9, curr_value__it_interval=None, curr_value__it_value=None)
    p.call("timer_create", 1, 8, out, error=EFAULT, clockid="CLOCK_MONOTONIC", sevp=8, timerid=None)
    later = p.longs(1, 500_000_000, 7, 0)
    p.call(
        "timer_settime",
        -1,
        1,
        later,
        0,
        error=EINVAL,
        timerid=-1,
        flags=("TIMER_ABSTIME",),
        new_value__it_interval=1.5,
        new_value__it_value=7.0,
        old_value__it_interval=None,
        old_value__it_value=None,
    )
    p.call("timer_gettime", -1, out, error=EINVAL, timerid=-1, curr_value__it_interval=None, curr_value__it_value=None)
    p.call("timer_getoverrun", -1, error=EINVAL, timerid=-1)
    p.call("timer_delete", -1, error=EINVAL, timerid=-1)
    p.call("timerfd_create", 1, 0o2000000, ret=FIRST, clockid="CLOCK_MONOTONIC", flags=("TFD_CLOEXEC",))
    p.call(
        "timerfd_settime",
        FIRST,
        0,
        later,
        out,
        ret=0,
        fd=FIRST,
        flags=(),
        new_value__it_interval=1.5,
        new_value__it_value=7.0,
        old_value__it_interval=0.0,
        old_value__it_value=0.0,
    )
    p.call("timerfd_gettime", FIRST, out, ret=0, fd=FIRST, curr_value__it_interval=1.5, curr_value__it_value=ANY)
    p.call("timerfd_gettime64", -1, out, error=EBADF, fd=-1, curr_value__it_interval=None, curr_value__it_value=None)
    later64 = p.put(struct.pack("<4Q", 1, 500_000_000, 7, 0))
    p.call(
        "timerfd_settime64",
        -1,
        1,
        later64,
        0,
        error=EBADF,
        fd=-1,
        flags=("TFD_TIMER_ABSTIME",),
        new_value__it_interval=1.5,
        new_value__it_value=7.0,
        old_value__it_interval=None,
        old_value__it_value=None,
    )
    p.call("times", 8, error=EFAULT, buf=8)
    p.call("adjtimex", 8, error=EFAULT, buf=8)
    p.call("clock_adjtime", 0, 8, error=EFAULT, clk_id="CLOCK_REALTIME", buf=8)
    p.check(program, tmp_path)


def test_waiting(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p = plan
    event = p.put(struct.pack("<IQ" if p.abi in ("x86_64", "i386") else "<I4xQ", 0x8000_0001, 77))
    p.call("epoll_create1", 0o2000000, ret=FIRST, flags=("EPOLL_CLOEXEC",))
    p.call("epoll_create", -1, error=EINVAL, size=-1)
    p.call(
        "epoll_ctl",
        FIRST,
        1,
        77,
        event,
        error=EBADF,
        epfd=FIRST,
        op="EPOLL_CTL_ADD",
        fd=77,
        event__events=("EPOLLIN", "EPOLLET"),
        event__data=77,
    )
    p.call(
        "epoll_ctl",
        FIRST,
        2,
        77,
        0,
        error=EBADF,
        epfd=FIRST,
        op="EPOLL_CTL_DEL",
        fd=77,
        event__events=None,
        event__data=None,
    )
    p.call("epoll_wait", FIRST, 8, -1, 5, error=EINVAL, epfd=FIRST, events=8, maxevents=-1, timeout=5)
    mask = p.put(struct.pack("<Q", 2))
    p.call(
        "epoll_pwait",
        FIRST,
        8,
        -1,
        5,
        mask,
        8,
        error=EINVAL,
        epfd=FIRST,
        events=8,
        maxevents=-1,
        timeout=5,
        sigmask=("SIGINT",),
        sigsetsize=8,
    )
    p.call(
        "epoll_pwait2",
        FIRST,
        8,
        -1,
        p.put(struct.pack("<2Q", 0, 5000)),
        0,
        8,
        error=EINVAL,
        epfd=FIRST,
        events=8,
        maxevents=-1,
        timeout=5e-6,
        sigmask=None,
        sigsetsize=8,
    )
    p.call("poll", 0, 0, 0, ret=0, fds=0, nfds=0, timeout=0)
    p.call(
        "ppoll", 0, 0, p.longs(0, 1000), mask, 8, ret=0, fds=0, nfds=0, tmo_p=1e-6, sigmask=("SIGINT",), sigsetsize=8
    )
    zero = p.longs(0, 1)
    p.call(
        "select" if not p.is_compat else "_newselect",
        0,
        0,
        0,
        0,
        zero,
        ret=0,
        nfds=0,
        readfds=0,
        writefds=0,
        exceptfds=0,
        timeout=1e-6,
    )
    p.call(
        "pselect6",
        -1,
        1,
        2,
        3,
        p.longs(0, 1000),
        0,
        error=EINVAL,
        nfds=-1,
        readfds=1,
        writefds=2,
        exceptfds=3,
        timeout=1e-6,
        sigmask=0,
    )
    p.call("eventfd2", 5, 0o2000001, ret=ANY, initval=5, flags=("EFD_SEMAPHORE", "EFD_CLOEXEC"))
    p.call("signalfd4", -1, mask, 8, 0o4000, ret=ANY, fd=-1, mask=("SIGINT",), sizemask=8, flags=("SFD_NONBLOCK",))
    word = p.put(struct.pack("<I", 5))
    p.call(
        "futex",
        word,
        0x80,
        6,
        p.longs(3, 250_000_000),
        0,
        0,
        error=11,
        uaddr=word,
        futex_op=("FUTEX_WAIT", "FUTEX_PRIVATE_FLAG"),
        val=6,
        timeout=3.25,
        uaddr2=0,
        val3=0,
    )
    p.call(
        "futex", word, 1, 1, 9, 8, 7, ret=0, uaddr=word, futex_op=("FUTEX_WAKE",), val=1, timeout=None, uaddr2=8, val3=7
    )
    p.call(
        "futex",
        word,
        0x84,
        1,
        9,
        word,
        7,
        error=11,
        uaddr=word,
        futex_op=("FUTEX_CMP_REQUEUE", "FUTEX_PRIVATE_FLAG"),
        val=1,
        timeout=9,
        uaddr2=word,
        val3=7,
    )
    p.call(
        "futex_time64",
        word,
        0x80,
        6,
        p.put(struct.pack("<2Q", 3, 250_000_000)),
        0,
        0,
        error=11,
        uaddr=word,
        futex_op=("FUTEX_WAIT", "FUTEX_PRIVATE_FLAG"),
        val=6,
        timeout=3.25,
        uaddr2=0,
        val3=0,
    )
    p.call("io_uring_setup", 0, 8, error=ANY, entries=0, p=8)
    p.call(
        "io_uring_enter",
        -1,
        1,
        2,
        1,
        0,
        0,
        error=EBADF,
        fd=-1,
        to_submit=1,
        min_complete=2,
        flags=("IORING_ENTER_GETEVENTS",),
        sig=0,
        sz=0,
    )
    p.call("io_uring_register", -1, 1, 8, 2, error=ANY, fd=-1, opcode=1, arg=8, nr_args=2)
    p.call("io_destroy", 8, error=ANY, ctx_id=8)
    p.check(program, tmp_path)


def test_the_kernel(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p = plan
    p.call("bpf", 12345, 8, 9, error=ANY, cmd=12345, attr=8, size=9)
    p.call("bpf", 5, 8, 9, error=ANY, cmd="BPF_PROG_LOAD", attr=8, size=9)
    attr = p.put(struct.pack("<IIQ", 1, 64, 3) + bytes(112))
    p.call(
        "perf_event_open",
        attr,
        -1,
        -1,
        -1,
        0x80,
        error=ANY,
        attr__type="PERF_TYPE_SOFTWARE",
        attr__config=3,
        pid=-1,
        cpu=-1,
        group_fd=-1,
        flags=ANY,
    )
    p.call("keyctl", 9, 1, 2, 3, 4, ret=ANY, operation="KEYCTL_UNLINK", arg2=1, arg3=2, arg4=3, arg5=4)
    p.call(
        "add_key",
        p.text("notype"),
        p.text("name"),
        p.put(b"hidden"),
        6,
        -3,
        error=ANY,
        type="notype",
        description="name",
        payload=None,
        plen=6,
        keyring="KEY_SPEC_SESSION_KEYRING",
    )
    p.call(
        "request_key",
        p.text("notype"),
        p.text("name"),
        0,
        7,
        error=ANY,
        type="notype",
        description="name",
        callout_info=None,
        dest_keyring=7,
    )
    p.call("init_module", 8, 0, p.text("x=1"), error=ANY, module_image=8, len=0, param_values="x=1")
    p.call(
        "finit_module",
        -1,
        p.text("x=1"),
        1,
        error=ANY,
        fd=-1,
        param_values="x=1",
        flags=("MODULE_INIT_IGNORE_MODVERSIONS",),
    )
    p.call("delete_module", p.text("rawtp_none"), 0o4000, error=ANY, name="rawtp_none", flags=("O_NONBLOCK",))
    p.call("getrandom", 8, 0, 1, ret=0, buf=None, buflen=0, flags=("GRND_NONBLOCK",))
    p.call("getcpu", p.put(bytes(4)), 0, 0, ret=0, cpu=ANY, node=None, tcache=0)
    p.call("sethostname", 8, -1, error=EINVAL, name=None, len=-1)
    p.call("syslog", 10, 0, 0, ret=ANY, type="SYSLOG_ACTION_SIZE_BUFFER", bufp=0, len=0)
    p.call("reboot", 1, 2, 0x1234567, 0, error=EINVAL, magic=1, magic2=2, cmd="LINUX_REBOOT_CMD_RESTART", arg=0)
    p.call("uname", 8, error=EFAULT, buf=8)
    p.call("sysinfo", 8, error=EFAULT, info=8)
    p.call("landlock_create_ruleset", 0, 0, 1, error=ANY, attr=0, size=0, flags=("LANDLOCK_CREATE_RULESET_VERSION",))
    p.call(
        "ipc", 23, 0, -1, 0o600, 8, 9, error=ANY, call="SHMGET", first=0, second=0xFFFFFFFF, third=0o600, ptr=8, fifth=9
    )
    p.check(program, tmp_path)


def test_sockets(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p = plan
    inet = p.put(struct.pack("<H", socket.AF_INET) + struct.pack(">H", 9) + bytes([127, 0, 0, 1]) + bytes(8))
    length = p.put(struct.pack("<I", 16))
    out = p.put(bytes(128))
    listener = FIRST
    p.call(
        "socket",
        2,
        0o2000001,
        0,
        ret=listener,
        domain="AF_INET",
        type=("SOCK_STREAM", "SOCK_CLOEXEC"),
        protocol="IPPROTO_IP",
    )
    p.call(
        "socket",
        16,
        0o2000003,
        15,
        ret=listener + 1,
        domain="AF_NETLINK",
        type=("SOCK_RAW", "SOCK_CLOEXEC"),
        protocol="NETLINK_KOBJECT_UEVENT",
    )
    p.call("socket", 99, 9, 7, error=97, domain=99, type=("0x9",), protocol=7)
    any_port = p.put(struct.pack("<H", socket.AF_INET) + bytes([0, 0, 127, 0, 0, 1]) + bytes(8))
    p.call("bind", listener, any_port, 16, ret=0, sockfd=listener, addr="127.0.0.1:0", addrlen=16)
    p.call("listen", listener, 5, ret=0, sockfd=listener, backlog=5)
    p.call("getsockname", listener, out, length, ret=0, sockfd=listener, addr=ANY, addrlen=16)
    p.call("getpeername", listener, out, length, error=107, sockfd=listener, addr=None, addrlen=None)
    p.call("connect", listener + 1, inet, 16, error=EINVAL, sockfd=listener + 1, addr="127.0.0.1:9", addrlen=16)
    p.call("connect", -1, inet, 5, error=EBADF, sockfd=-1, addr="inet:5 bytes", addrlen=5)
    p.call(
        "accept4", -1, out, length, 0o4000, error=EBADF, sockfd=-1, addr=None, addrlen=None, flags=("SOCK_NONBLOCK",)
    )
    one = p.put(struct.pack("<i", 1))
    p.call(
        "setsockopt",
        listener,
        1,
        2,
        one,
        4,
        ret=0,
        sockfd=listener,
        level="SOL_SOCKET",
        optname="SO_REUSEADDR",
        optval=None,
        optlen=4,
    )
    p.call(
        "setsockopt",
        listener,
        6,
        1,
        one,
        4,
        ret=0,
        sockfd=listener,
        level="SOL_TCP",
        optname="TCP_NODELAY",
        optval=None,
        optlen=4,
    )
    four = p.put(struct.pack("<i", 4))
    p.call(
        "getsockopt",
        listener,
        1,
        3,
        out,
        four,
        ret=0,
        sockfd=listener,
        level="SOL_SOCKET",
        optname="SO_TYPE",
        optval=None,
        optlen=4,
    )
    p.call(
        "getsockopt",
        listener,
        77,
        3,
        out,
        four,
        error=ANY,
        sockfd=listener,
        level=77,
        optname=3,
        optval=None,
        optlen=None,
    )
    secret = p.put(b"secret")
    p.call(
        "sendto",
        -1,
        secret,
        6,
        0x4040,
        inet,
        16,
        error=EBADF,
        sockfd=-1,
        buf=None,
        len=6,
        flags=("MSG_DONTWAIT", "MSG_NOSIGNAL"),
        dest_addr="127.0.0.1:9",
        addrlen=16,
    )
    p.call(
        "recvfrom",
        listener,
        out,
        6,
        0x40,
        out,
        length,
        error=107,
        sockfd=listener,
        buf=None,
        len=6,
        flags=("MSG_DONTWAIT",),
        src_addr=None,
        addrlen=None,
    )
    p.call("sendmsg", -1, 8, 0, error=EBADF, sockfd=-1, msg=8, flags=())
    p.call("recvmsg", -1, 8, 1, error=EBADF, sockfd=-1, msg=8, flags=("MSG_OOB",))
    p.call("sendmmsg", -1, 8, 3, 0, error=EBADF, sockfd=-1, msgvec=8, vlen=3, flags=())
    p.call("recvmmsg", -1, 8, 3, 0, p.longs(2, 0), error=EBADF, sockfd=-1, msgvec=8, vlen=3, flags=(), timeout=2.0)
    p.call("shutdown", listener + 1, 2, ret=ANY, sockfd=listener + 1, how="SHUT_RDWR")
    pair = p.put(bytes(8))
    p.call(
        "socketpair",
        1,
        2,
        0,
        pair,
        ret=0,
        domain="AF_UNIX",
        type=("SOCK_DGRAM",),
        protocol=0,
        sv=(listener + 2, listener + 3),
    )
    p.call("socketpair", 1, 2, 0, 8, error=EFAULT, domain="AF_UNIX", type=("SOCK_DGRAM",), protocol=0, sv=None)
    p.call("socketcall", 3, 8, error=EFAULT, call="SYS_CONNECT", args=8)
    p.check(program, tmp_path)


def test_seldom_made(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, gone = plan, plan.text("gone/x")
    wide = p.put(struct.pack("<4Q", 1, 500_000_000, 2, 0))
    out = p.put(bytes(64))
    mask = p.put(struct.pack("<Q", 2))
    p.call("accept", -1, out, out, error=EBADF, sockfd=-1, addr=None, addrlen=None)
    p.call("arch_prctl", 0x9999, 8, error=EINVAL, code=0x9999, addr=8)
    p.call("arch_prctl", 0x1001, -1, error=ANY, code="ARCH_SET_GS", addr=ANY)
    p.call("capset", 8, 9, error=EFAULT, hdrp=8, datap=9)
    p.call("clock_adjtime64", 0, 8, error=EFAULT, clk_id="CLOCK_REALTIME", buf=8)
    p.call("clock_getres_time64", 99, out, error=EINVAL, clockid=99, res=None)
    p.call("clock_settime64", 1, wide, error=EINVAL, clockid="CLOCK_MONOTONIC", tp=1.5)
    p.call("eventfd", 7, ret=ANY, initval=7)
    p.call("fcntl64", -1, 3, 0, error=EBADF, fd=-1, cmd="F_GETFL", arg=None)
    p.call("fstatfs64", -1, 84, 8, error=EBADF, fd=-1, size=84, buf=8)
    p.call("statfs64", gone, 84, 8, error=ENOENT, path="gone/x", size=84, buf=8)
    p.call(
        "futex_waitv",
        8,
        0,
        0,
        wide,
        1,
        error=EINVAL,
        waiters=8,
        nr_futexes=0,
        flags=0,
        timeout=1.5,
        clockid="CLOCK_MONOTONIC",
    )
    p.call("get_mempolicy", out, 0, 0, 0, 8, error=ANY, mode=None, nodemask=0, maxnode=0, addr=0, flags=("0x8",))
    p.call("get_robust_list", 0x3FFF_FFF0, 8, 8, error=ESRCH, pid=0x3FFFFFF0, head_ptr=8, len_ptr=8)
    p.call("getdents", -1, 8, 9, error=EBADF, fd=-1, dirp=8, count=9)
    p.call("inotify_init", ret=ANY)
    p.call("io_setup", 0, 8, error=ANY, nr_events=0, ctx_idp=8)
    p.call("io_submit", 8, -1, 9, error=ANY, ctx_id=8, nr=-1, iocbpp=9)
    p.call("io_cancel", 8, 9, 10, error=ANY, ctx_id=8, iocb=9, result=10)
    p.call("io_getevents", 8, -1, 1, 9, p.longs(1, 0), error=ANY, ctx_id=8, min_nr=-1, nr=1, events=9, timeout=1.0)
    p.call("ioperm", 70_000, 1, -1, error=EINVAL, **{"from": 70_000}, num=1, turn_on=-1)
    p.call("iopl", 9, error=EINVAL, level=9)
    p.call(
        "landlock_add_rule",
        -1,
        1,
        8,
        1,
        error=ANY,
        ruleset_fd=-1,
        rule_type="LANDLOCK_RULE_PATH_BENEATH",
        rule_attr=8,
        flags=1,
    )
    p.call("landlock_restrict_self", -1, 0, error=ANY, ruleset_fd=-1, flags=0)
    p.call("lchown32", gone, 1, 2, error=ENOENT, pathname="gone/x", owner=1, group=2)
    p.call("memfd_secret", 1, error=ANY, flags=("0x1",))
    p.call("migrate_pages", 0x3FFF_FFF0, 0, 0, 0, error=ANY, pid=0x3FFFFFF0, maxnode=0, old_nodes=0, new_nodes=0)
    p.call(
        "move_pages",
        0x3FFF_FFF0,
        1,
        8,
        9,
        10,
        2,
        error=ANY,
        pid=0x3FFFFFF0,
        count=1,
        pages=8,
        nodes=9,
        status=10,
        flags=("MPOL_MF_MOVE",),
    )
    p.call("mlock", 8, 0, ret=ANY, addr=8, len=0)
    p.call("munlockall", ret=0)
    p.call("mseal", 1, 2, 3, error=ANY, addr=1, len=2, flags=3)
    p.call("remap_file_pages", 1, 2, 1, 3, 0, error=EINVAL, addr=1, size=2, prot=("PROT_READ",), pgoff=3, flags=())
    p.call("process_madvise", -1, 8, 1, 20, 0, error=ANY, pidfd=-1, iovec=8, vlen=1, advice="MADV_COLD", flags=0)
    p.call("process_mrelease", -1, 0, error=ANY, pidfd=-1, flags=0)
    p.call(
        "process_vm_writev",
        1,
        8,
        0,
        8,
        0,
        1,
        error=EINVAL,
        pid=1,
        local_iov=8,
        liovcnt=0,
        remote_iov=8,
        riovcnt=0,
        flags=1,
    )
    p.call("mq_notify", -1, 0, error=ANY, mqdes=-1, sevp=0)
    p.call("mq_getsetattr", -1, 0, 0, error=ANY, mqdes=-1, newattr=0, oldattr=0)
    p.call(
        "mq_timedsend_time64",
        -1,
        8,
        5,
        3,
        wide,
        error=ANY,
        mqdes=-1,
        msg_ptr=None,
        msg_len=5,
        msg_prio=3,
        abs_timeout=1.5,
    )
    p.call(
        "mq_timedreceive_time64",
        -1,
        8,
        5,
        0,
        wide,
        error=ANY,
        mqdes=-1,
        msg_ptr=None,
        msg_len=5,
        msg_prio=None,
        abs_timeout=1.5,
    )
    p.call("nice", 0, ret=ANY, inc=0)
    p.call(
        "ppoll_time64",
        0,
        0,
        p.put(struct.pack("<2Q", 0, 1000)),
        mask,
        8,
        ret=0,
        fds=0,
        nfds=0,
        tmo_p=1e-6,
        sigmask=("SIGINT",),
        sigsetsize=8,
    )
    p.call(
        "pselect6_time64",
        -1,
        1,
        2,
        3,
        p.put(struct.pack("<2Q", 1, 500_000_000)),
        0,
        error=EINVAL,
        nfds=-1,
        readfds=1,
        writefds=2,
        exceptfds=3,
        timeout=1.5,
        sigmask=0,
    )
    p.call("preadv2", -1, 1, 2, 5, 0, 1, error=EBADF, fd=-1, iov=1, iovcnt=2, offset=5, flags=("RWF_HIPRI",))
    p.call("pwritev", -1, 1, 2, 5, 0, error=EBADF, fd=-1, iov=1, iovcnt=2, offset=5)
    p.call("recvmmsg_time64", -1, 8, 3, 0, wide, error=EBADF, sockfd=-1, msgvec=8, vlen=3, flags=(), timeout=1.5)
    p.call("restart_syscall", error=4)
    p.call("rseq", 8, 1, 2, 3, error=EINVAL, rseq=8, rseq_len=1, flags=2, sig=3)
    p.call("rt_sigsuspend", mask, 1, error=EINVAL, mask=("SIGINT",), sigsetsize=1)
    p.call("sched_getattr", -1, 8, 1, 0, error=EINVAL, pid=-1, attr=8, size=1, flags=0)
    p.call("sched_setattr", -1, 8, 0, error=EINVAL, pid=-1, attr=8, flags=0)
    p.call("sched_rr_get_interval", -1, out, error=EINVAL, pid=-1, tp=None)
    p.call("sched_rr_get_interval_time64", -1, out, error=EINVAL, pid=-1, tp=None)
    p.call("semtimedop_time64", -1, 8, 1, wide, error=ANY, semid=-1, sops=8, nsops=1, timeout=1.5)
    p.call("sendfile64", -1, -1, p.put(struct.pack("<q", -7)), 5, error=EBADF, out_fd=-1, in_fd=-1, offset=-7, count=5)
    p.call("set_tid_address", 8, ret=ANY, tidptr=8)
    p.call("setdomainname", 8, -1, error=EINVAL, name=None, len=-1)
    p.call("setsid", ret=ANY)
    p.call("signalfd", -1, mask, 8, ret=ANY, fd=-1, mask=("SIGINT",), sizemask=8)
    p.call("time", 8, error=ANY, tloc=8)
    p.call(
        "timer_gettime64", -1, out, error=EINVAL, timerid=-1, curr_value__it_interval=None, curr_value__it_value=None
    )
    p.call(
        "timer_settime64",
        -1,
        0,
        wide,
        0,
        error=EINVAL,
        timerid=-1,
        flags=(),
        new_value__it_interval=1.5,
        new_value__it_value=2.0,
        old_value__it_interval=None,
        old_value__it_value=None,
    )
    if p.is_compat:
        p.call("select", 8, error=EFAULT, arg=8)
    p.check(program, tmp_path)


def test_an_exit_does_not_return(program: Callable[[str], Path], tmp_path: Path) -> None:
    p = Plan()
    p.call("exit_group", 0x1_0000_0007, status=7)
    events = p.run(program, tmp_path, status=7)
    assert [(event["args"], event["ret"]) for event in events] == [({"status": 7}, None)]
