"""Calls about files, with known arguments: each event has exactly those."""

from __future__ import annotations

import struct
from errno import EBADF, EEXIST, EFAULT, EINVAL, ENOENT, ENOTTY
from typing import TYPE_CHECKING

import pytest

from helpers.plans import ANY, Plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel

AT_FDCWD = -100
FIRST = 3
"""The first descriptor that the program opens."""


# One call is one line, or two: with one argument a line nobody could see the calls.
# fmt: off


def test_files(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, path, gone = plan, plan.text("file"), plan.text("gone/file")
    p.call("openat", AT_FDCWD, path, 0o1102, 0o640, ret=FIRST, dirfd=-100, pathname="file",
           flags=("O_RDWR", "O_CREAT", "O_TRUNC"), mode=0o640)
    p.call("openat", AT_FDCWD, gone, 0x8000_0000, 7, error=ENOENT, dirfd=-100, pathname="gone/file",
           flags=("O_RDONLY", "0x80000000"), mode=None)
    p.call("open", path, 0o2000001, 0, ret=FIRST + 1, pathname="file", flags=("O_WRONLY", "O_CLOEXEC"), mode=None)
    p.call("creat", gone, 0o600, error=ENOENT, pathname="gone/file", mode=0o600)
    how = p.put(struct.pack("<3Q", 0, 0, 0x08))
    p.call("openat2", AT_FDCWD, path, how, 24, ret=ANY, dirfd=-100, pathname="file", how__flags=("O_RDONLY",),
           how__mode=0, how__resolve=("RESOLVE_BENEATH",), size=24)
    p.call("openat2", AT_FDCWD, path, 0, 24, error=EFAULT, dirfd=-100, pathname="file", how__flags=None,
           how__mode=None, how__resolve=None, size=24)
    p.call("close", 77, error=EBADF, fd=77)
    p.call("close_range", 500, 600, 4, ret=ANY, first=500, last=600, flags=("CLOSE_RANGE_CLOEXEC",))
    buffer = p.put(b"secret content")
    p.call("write", FIRST, buffer, 14, ret=14, fd=FIRST, buf=None, count=14)
    p.call("write", -1, buffer, 14, error=EBADF, fd=-1, buf=None, count=14)
    p.call("read", FIRST, buffer, 0, ret=0, fd=FIRST, buf=None, count=0)
    if p.is_compat:
        p.call("pread64", FIRST, buffer, 4, 2, 1, ret=0, fd=FIRST, buf=None, count=4, offset=(1 << 32) + 2)
        p.call("pwrite64", FIRST, buffer, 4, -1, -1, error=EINVAL, fd=FIRST, buf=None, count=4, offset=-1)
        p.call("fallocate", FIRST, 3, 1, 0, 2, 0, ret=ANY, fd=FIRST,
               mode=("FALLOC_FL_KEEP_SIZE", "FALLOC_FL_PUNCH_HOLE"), offset=1, len=2)
        p.call("fallocate", -1, 0x10, -1, -1, 2, 1, error=EBADF, fd=-1, mode=("FALLOC_FL_ZERO_RANGE",), offset=-1,
               len=(1 << 32) + 2)
        p.call("ftruncate64", FIRST, 5, 0, ret=0, fd=FIRST, length=5)
        p.call("truncate64", gone, -1, -1, error=EINVAL, path="gone/file", length=-1)
        p.call("fadvise64", FIRST, 1, 0, 2, 4, ret=0, fd=FIRST, offset=1, len=2, advice="POSIX_FADV_DONTNEED")
        p.call("fadvise64_64", -1, 1, 2, 3, 4, 5, error=EBADF, fd=-1, offset=(2 << 32) + 1, len=(4 << 32) + 3,
               advice="POSIX_FADV_NOREUSE")
        p.call("sync_file_range", -1, 1, 0, 2, 0, 6, error=EBADF, fd=-1, offset=1, nbytes=2,
               flags=("SYNC_FILE_RANGE_WRITE", "SYNC_FILE_RANGE_WAIT_AFTER"))
        p.call("readahead", -1, 5, 1, 9, error=EBADF, fd=-1, offset=(1 << 32) + 5, count=9)
        result = p.put(bytes(8))
        p.call("_llseek", FIRST, 1, 2, result, 0, ret=0, fd=FIRST, offset_high=1, offset_low=2, result=(1 << 32) + 2,
               whence="SEEK_SET")
        p.call("_llseek", -1, 1, 2, result, 9, error=EBADF, fd=-1, offset_high=1, offset_low=2, result=None, whence=9)
    else:
        p.call("pread64", FIRST, buffer, 4, (1 << 32) + 2, ret=0, fd=FIRST, buf=None, count=4, offset=(1 << 32) + 2)
        p.call("pwrite64", FIRST, buffer, 4, -1, error=EINVAL, fd=FIRST, buf=None, count=4, offset=-1)
        p.call("fallocate", -1, 0x10, -1, 1 << 40, error=EBADF, fd=-1, mode=("FALLOC_FL_ZERO_RANGE",), offset=-1,
               len=1 << 40)
        p.call("fadvise64", FIRST, 1, 2, 4, ret=0, fd=FIRST, offset=1, len=2, advice="POSIX_FADV_DONTNEED")
        p.call("sync_file_range", -1, 1, 2, 6, error=EBADF, fd=-1, offset=1, nbytes=2,
               flags=("SYNC_FILE_RANGE_WRITE", "SYNC_FILE_RANGE_WAIT_AFTER"))
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
    p.call("splice", -1, 0, -1, 0, 5, 3, error=EBADF, fd_in=-1, off_in=None, fd_out=-1, off_out=None, len=5,
           flags=("SPLICE_F_MOVE", "SPLICE_F_NONBLOCK"))
    offset = p.put(struct.pack("<q", 1 << 33))
    p.call("copy_file_range", -1, offset, -1, 0, 5, 0, error=EBADF, fd_in=-1, off_in=1 << 33, fd_out=-1, off_out=None,
           len=5, flags=0)
    p.call("sendfile", -1, -1, p.longs(7), 5, error=EBADF, out_fd=-1, in_fd=-1, offset=7, count=5)
    p.call("tee", -1, -1, 5, 2, error=EBADF, fd_in=-1, fd_out=-1, len=5, flags=("SPLICE_F_NONBLOCK",))
    p.call("vmsplice", -1, 1, 5, 8, error=EBADF, fd=-1, iov=1, nr_segs=5, flags=("SPLICE_F_GIFT",))
    p.call("memfd_create", p.text("name"), 3, ret=ANY, name="name", flags=("MFD_CLOEXEC", "MFD_ALLOW_SEALING"))
    p.check(program, tmp_path)


def test_names(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    p, one, two, gone = plan, plan.text("one"), plan.text("two"), plan.text("gone/x")
    # What a newer table lacks is done by the newer call, so that the files are the same.
    if not p.call("mkdir", one, 0o750, ret=0, pathname="one", mode=0o750):
        p.call("mkdirat", AT_FDCWD, one, 0o750, ret=0, dirfd=-100, pathname="one", mode=0o750)
    p.call("mkdirat", AT_FDCWD, one, 0o700, error=EEXIST, dirfd=-100, pathname="one", mode=0o700)
    if not p.call("rmdir", one, ret=0, pathname="one"):
        p.call("unlinkat", AT_FDCWD, one, 0x200, ret=0, dirfd=-100, pathname="one", flags=("AT_REMOVEDIR",))
    if not p.call("mknod", one, 0o100600, 0, ret=0, pathname="one", mode=0o100600, dev=0):
        p.call("mknodat", AT_FDCWD, one, 0o100600, 0, ret=0, dirfd=-100, pathname="one", mode=0o100600, dev=0)
    p.call("mknodat", AT_FDCWD, one, 0o10600, 5, error=EEXIST, dirfd=-100, pathname="one", mode=0o10600, dev=5)
    if not p.call("link", one, two, ret=0, oldpath="one", newpath="two"):
        p.call("linkat", AT_FDCWD, one, AT_FDCWD, two, 0, ret=0, olddirfd=-100, oldpath="one", newdirfd=-100,
               newpath="two", flags=())
    p.call("linkat", AT_FDCWD, one, AT_FDCWD, two, 0x400, error=EEXIST, olddirfd=-100, oldpath="one", newdirfd=-100,
           newpath="two", flags=("AT_SYMLINK_FOLLOW",))
    if not p.call("unlink", two, ret=0, pathname="two"):
        p.call("unlinkat", AT_FDCWD, two, 0, ret=0, dirfd=-100, pathname="two", flags=())
    if not p.call("symlink", one, two, ret=0, target="one", linkpath="two"):
        p.call("symlinkat", one, AT_FDCWD, two, ret=0, target="one", newdirfd=-100, linkpath="two")
    p.call("symlinkat", one, AT_FDCWD, two, error=EEXIST, target="one", newdirfd=-100, linkpath="two")
    buffer = p.put(bytes(64))
    p.call("readlink", two, buffer, 64, ret=3, pathname="two", buf="one", bufsiz=64)
    p.call("readlinkat", AT_FDCWD, two, buffer, 2, ret=2, dirfd=-100, pathname="two", buf="on", bufsiz=2)
    p.call("readlink", one, buffer, 64, error=EINVAL, pathname="one", buf=None, bufsiz=64)
    p.call("unlinkat", AT_FDCWD, two, 0x200, error=20, dirfd=-100, pathname="two", flags=("AT_REMOVEDIR",))
    if not p.call("rename", one, two, ret=0, oldpath="one", newpath="two"):
        p.call("renameat", AT_FDCWD, one, AT_FDCWD, two, ret=0, olddirfd=-100, oldpath="one", newdirfd=-100,
               newpath="two")
    p.call("renameat", AT_FDCWD, gone, AT_FDCWD, two, error=ENOENT, olddirfd=-100, oldpath="gone/x", newdirfd=-100,
           newpath="two")
    p.call("renameat2", AT_FDCWD, two, AT_FDCWD, one, 1, ret=0, olddirfd=-100, oldpath="two", newdirfd=-100,
           newpath="one", flags=("RENAME_NOREPLACE",))
    p.call("access", one, 4, ret=0, pathname="one", mode=("R_OK",))
    p.call("access", gone, 0, error=ENOENT, pathname="gone/x", mode=("F_OK",))
    p.call("faccessat", AT_FDCWD, one, 2, ret=0, dirfd=-100, pathname="one", mode=("W_OK",))
    p.call("faccessat2", AT_FDCWD, one, 2, 0x200, ret=0, dirfd=-100, pathname="one", mode=("W_OK",),
           flags=("AT_EACCESS",))
    p.call("chmod", one, 0o640, ret=0, pathname="one", mode=0o640)
    p.call("fchmod", -1, 0o640, error=EBADF, fd=-1, mode=0o640)
    p.call("fchmodat", AT_FDCWD, gone, 0o640, error=ENOENT, dirfd=-100, pathname="gone/x", mode=0o640)
    p.call("fchmodat2", AT_FDCWD, one, 0o604, 0x100, ret=0, dirfd=-100, pathname="one", mode=0o604,
           flags=("AT_SYMLINK_NOFOLLOW",))
    # The mode that is read below, also on a kernel without the call before (Linux 6.6).
    p.call("fchmodat", AT_FDCWD, one, 0o600, ret=0, dirfd=-100, pathname="one", mode=0o600)
    p.call("chown", one, -1, 0, ret=0, pathname="one", owner=-1, group=0)
    p.call("lchown", gone, 1, -1, error=ENOENT, pathname="gone/x", owner=1, group=-1)
    p.call("fchown", -1, 1, 70_000, error=EBADF, fd=-1, owner=1, group=4464 if p.is_compat else 70_000)
    p.call("chown32", one, -1, -1, ret=0, pathname="one", owner=-1, group=-1)
    p.call("fchown32", -1, 1, 70_000, error=EBADF, fd=-1, owner=1, group=70_000)
    p.call("fchownat", AT_FDCWD, one, -1, 0, 0x100, ret=0, dirfd=-100, pathname="one", owner=-1, group=0,
           flags=("AT_SYMLINK_NOFOLLOW",))
    p.call("umask", 0o22, ret=ANY, mask=0o22)
    p.call("utimensat", AT_FDCWD, one, p.longs(7, 0x3FFF_FFFE, 9, 250_000_000), 0, ret=0, dirfd=-100, pathname="one",
           **{"times[0]": "UTIME_OMIT", "times[1]": 9.25}, flags=())
    p.call("utimensat", AT_FDCWD, gone, 0, 0, error=ENOENT, dirfd=-100, pathname="gone/x",
           **{"times[0]": None, "times[1]": None}, flags=())
    p.call("utimensat_time64", AT_FDCWD, one, p.put(struct.pack("<4Q", 7, 0x3FFF_FFFF, 9, 500_000_000)), 0, ret=0,
           dirfd=-100, pathname="one", **{"times[0]": "UTIME_NOW", "times[1]": 9.5}, flags=())
    p.call("utime", one, p.longs(5, 6), ret=0, filename="one", times__actime=5, times__modtime=6)
    p.call("utimes", one, p.longs(5, 500_000, 6, 0), ret=0, filename="one", **{"times[0]": 5.5, "times[1]": 6.0})
    p.call("futimesat", AT_FDCWD, one, p.longs(5, 500_000, 6, 0), ret=0, dirfd=-100, pathname="one",
           **{"times[0]": 5.5, "times[1]": 6.0})
    stat = p.put(bytes(256))
    for call in ("stat", "lstat", "stat64", "lstat64"):
        p.call(call, one, stat, ret=0, pathname="one", statbuf__st_mode=0o100600, statbuf__st_size=0)
        p.call(call, gone, stat, error=ENOENT, pathname="gone/x", statbuf__st_mode=None, statbuf__st_size=None)
    for call in ("fstat", "fstat64"):
        p.call(call, -1, stat, error=EBADF, fd=-1, statbuf__st_mode=None, statbuf__st_size=None)
    for call in ("newfstatat", "fstatat", "fstatat64"):
        p.call(call, AT_FDCWD, one, stat, 0x100, ret=0, dirfd=-100, pathname="one", statbuf__st_mode=0o100600,
               statbuf__st_size=0, flags=("AT_SYMLINK_NOFOLLOW",))
    p.call("statx", AT_FDCWD, one, 0x2000, 0x7FF, stat, ret=0, dirfd=-100, pathname="one",
           flags=("AT_STATX_FORCE_SYNC",),
           mask=("STATX_TYPE", "STATX_MODE", "STATX_NLINK", "STATX_UID", "STATX_GID",
                 "STATX_ATIME", "STATX_MTIME", "STATX_CTIME", "STATX_INO", "STATX_SIZE", "STATX_BLOCKS"),
           statxbuf__stx_mode=0o100600, statxbuf__stx_size=0)
    p.call("statfs", gone, 8, error=ENOENT, path="gone/x", buf=8)
    p.call("fstatfs", -1, 8, error=EBADF, fd=-1, buf=8)
    name, value = p.text("user.rawtp"), p.put(b"hidden")
    p.call("setxattr", gone, name, value, 6, 2, error=ENOENT, path="gone/x", name="user.rawtp", value=None, size=6,
           flags=("XATTR_REPLACE",))
    p.call("lsetxattr", gone, name, value, 6, 1, error=ENOENT, path="gone/x", name="user.rawtp", value=None, size=6,
           flags=("XATTR_CREATE",))
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
    p.call("name_to_handle_at", AT_FDCWD, gone, buffer, buffer, 0x1000, error=ANY, dirfd=-100, pathname="gone/x",
           handle=buffer, mount_id=None, flags=("AT_EMPTY_PATH",))
    p.call("open_by_handle_at", -1, buffer, 0, error=ANY, mount_fd=-1, handle=buffer, flags=("O_RDONLY",))
    p.call("acct", gone, error=ANY, filename="gone/x")
    p.call("quotactl", 1, gone, -1, 8, error=ANY, cmd=1, special="gone/x", id=-1, addr=8)
    p.call("swapon", gone, 0x8000, error=ANY, path="gone/x", swapflags=("SWAP_FLAG_PREFER",))
    p.call("swapoff", gone, error=ANY, path="gone/x")
    p.check(program, tmp_path)


def test_watches_and_mounts(plan: Plan, program: Callable[[str], Path], tmp_path: Path) -> None:
    p, gone = plan, plan.text("gone/x")
    p.call("inotify_init1", 0o2004000, ret=FIRST, flags=("IN_NONBLOCK", "IN_CLOEXEC"))
    p.call("inotify_add_watch", FIRST, gone, 0x0100_0302, error=ENOENT, fd=FIRST, pathname="gone/x",
           mask=("IN_MODIFY", "IN_CREATE", "IN_DELETE", "IN_ONLYDIR"))
    p.call("inotify_rm_watch", FIRST, 5, error=EINVAL, fd=FIRST, wd=5)
    mask = (0x20, 0) if p.is_compat else (0x20,)
    p.call("fanotify_init", 0x200, 0o2000000, error=ANY, flags=ANY, event_f_flags=("O_RDONLY", "O_CLOEXEC"))
    p.call("fanotify_mark", -1, 1, *mask, AT_FDCWD, gone, error=ANY, fanotify_fd=-1, flags=("FAN_MARK_ADD",),
           mask=("FAN_OPEN",), dirfd=-100, pathname="gone/x")
    p.call("mount", p.text("source"), gone, p.text("tmpfs"), 0x1001, p.text("secret=1"), error=ENOENT, source="source",
           target="gone/x", filesystemtype="tmpfs", mountflags=("MS_RDONLY", "MS_BIND"), data=ANY)
    # The kernel ignores the upper half where it is this number, which has the bits of other flags.
    p.call("mount", p.text("source"), gone, p.text("tmpfs"), 0xC0ED1001, 0, error=ENOENT, source="source",
           target="gone/x", filesystemtype="tmpfs", mountflags=("MS_MGC_VAL", "MS_RDONLY", "MS_BIND"), data=0)
    p.call("umount2", gone, 10, error=ENOENT, target="gone/x", flags=("MNT_DETACH", "UMOUNT_NOFOLLOW"))
    p.call("umount", gone, error=ENOENT, target="gone/x")
    p.call("pivot_root", gone, gone, error=ENOENT, new_root="gone/x", put_old="gone/x")
    p.call("move_mount", AT_FDCWD, gone, AT_FDCWD, gone, 0x44, error=ANY, from_dirfd=-100, from_pathname="gone/x",
           to_dirfd=-100, to_pathname="gone/x", flags=("MOVE_MOUNT_F_EMPTY_PATH", "MOVE_MOUNT_T_EMPTY_PATH"))
    p.call("open_tree", AT_FDCWD, gone, 1, error=ENOENT, dirfd=-100, pathname="gone/x", flags=("OPEN_TREE_CLONE",))
    p.call("fsopen", p.text("nofs"), 1, error=19, fsname="nofs", flags=("FSOPEN_CLOEXEC",))
    p.call("fsconfig", -1, 1, p.text("key"), p.text("value"), 0, error=EINVAL, fd=-1, cmd="FSCONFIG_SET_STRING",
           key="key", value=ANY, aux=0)
    p.call("fsmount", -1, 1, 3, error=ANY, fd=-1, flags=("FSMOUNT_CLOEXEC",),
           attr_flags=("MOUNT_ATTR_RDONLY", "MOUNT_ATTR_NOSUID"))
    p.call("fspick", AT_FDCWD, gone, 8, error=ENOENT, dirfd=-100, pathname="gone/x", flags=("FSPICK_EMPTY_PATH",))
    attr = p.put(struct.pack("<4Q", 1, 2, 1 << 18, 0))
    p.call("mount_setattr", AT_FDCWD, gone, 0x8000, attr, 32, error=ENOENT, dirfd=-100, pathname="gone/x",
           flags=("AT_RECURSIVE",), attr__attr_set=("MOUNT_ATTR_RDONLY",), attr__attr_clr=("MOUNT_ATTR_NOSUID",),
           attr__propagation=("MS_PRIVATE",), attr__userns_fd=0, size=32)
    p.check(program, tmp_path)
