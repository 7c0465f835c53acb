"""System calls by name and by number, and what their flags mean.

The tables are those of the kernel's sources, for ``"x86_64"``, ``"x32"``, ``"i386"``, ``"aarch64"`` and ``"arm"``.
"""

from __future__ import annotations

import os

from rawtp._core import _NATIVE_ABI, _syscall_arguments, _syscall_name, _syscall_number

# include/uapi/linux/fcntl.h and fs.h; the same on every architecture that rawtp knows.
_AT_FLAGS = {"AT_REMOVEDIR": 0x200}
_RENAME_FLAGS = {"RENAME_NOREPLACE": 1, "RENAME_EXCHANGE": 2, "RENAME_WHITEOUT": 4}
# include/uapi/linux/falloc.h
_MODES = {
    "FALLOC_FL_KEEP_SIZE": 0x01,
    "FALLOC_FL_PUNCH_HOLE": 0x02,
    "FALLOC_FL_NO_HIDE_STALE": 0x04,
    "FALLOC_FL_COLLAPSE_RANGE": 0x08,
    "FALLOC_FL_ZERO_RANGE": 0x10,
    "FALLOC_FL_INSERT_RANGE": 0x20,
    "FALLOC_FL_UNSHARE_RANGE": 0x40,
    "FALLOC_FL_WRITE_ZEROES": 0x80,
}
# Those of ioctl(2) that are watched. i386 packs the structure of those in _RANGE_COMMANDS to 44 bytes in place of 48,
# and the size is a part of the number.
_RANGE_COMMANDS = {
    "FS_IOC_UNRESVSP": 0x40305829,
    "FS_IOC_UNRESVSP64": 0x4030582B,
    "FS_IOC_ZERO_RANGE": 0x40305839,
    "XFS_IOC_ALLOCSP": 0x4030580A,
    "XFS_IOC_FREESP": 0x4030580B,
    "XFS_IOC_ALLOCSP64": 0x40305824,
    "XFS_IOC_FREESP64": 0x40305825,
}
_COMMANDS = {
    0x5000940F: "BTRFS_IOC_SNAP_DESTROY",
    0x5000943F: "BTRFS_IOC_SNAP_DESTROY_V2",
    **{command: name for name, command in _RANGE_COMMANDS.items()},
    **{command - (4 << 16): f"{name}_32" for name, command in _RANGE_COMMANDS.items()},
}
_ACCESS_MODES = {0: "O_RDONLY", 1: "O_WRONLY", 2: "O_RDWR"}
# Those of open(2). O_TMPFILE and O_SYNC contain the bits of others, and so come first.
_OPEN_FLAGS = {
    flag: getattr(os, flag, 0)
    for flag in (
        *("O_TMPFILE", "O_SYNC", "O_DSYNC", "O_APPEND", "O_ASYNC", "O_CLOEXEC", "O_CREAT", "O_DIRECT", "O_DIRECTORY"),
        *("O_EXCL", "O_NOATIME", "O_NOCTTY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH", "O_TRUNC"),
    )
}
# libc says 0 where every program has it. 32-bit ones pass it all the same, and io_uring adds it.
_OPEN_FLAGS["O_LARGEFILE"] = 0o400000 if _NATIVE_ABI == "aarch64" else 0o100000


def number(name: str, abi: str = _NATIVE_ABI) -> int:
    """The number of a system call.

    >>> number("unlinkat", abi="x86_64")
    263

    Raises:
        ValueError: the table has no call of that name, or there is no such table.
    """
    if (found := _syscall_number(name, abi)) is None:
        raise ValueError(f"{abi} has no system call {name!r}")
    return found


def name(number: int, abi: str = _NATIVE_ABI) -> str:
    """The name of a system call's number.

    >>> name(263, abi="x86_64"), name(263, abi="i386")
    ('unlinkat', 'timer_delete')

    Raises:
        ValueError: the table has no call of that number, or there is no such table.
    """
    found = _syscall_name(number, abi) if 0 <= number < 1 << 32 else None
    if found is None:
        raise ValueError(f"{abi} has no system call {number}")
    return found


def arguments(syscall: str, abi: str = _NATIVE_ABI) -> dict[str, str] | None:
    """The arguments of a system call by the names of its man page, each with the kind of its value in ``args``.

    ``"int"``; ``"address"``, an int as well; ``"text"``, a path or a socket's address; ``"word"``, one of few names, or
    an int that has none; ``"flags"``, a tuple of names; ``"seconds"``, a float; ``"texts"`` and ``"ints"``, tuples;
    ``"bytes"``, content of a buffer, which only ``buffers=`` asks for; and ``"any"``, where another argument decides.
    ``None`` for a call whose arguments have no names here: ``args`` then has the registers, ``a1`` to ``a6``.

    >>> arguments("unlinkat", abi="x86_64")
    {'dirfd': 'int', 'pathname': 'text', 'flags': 'flags'}

    Raises:
        ValueError: there is no such table.
    """
    found = _syscall_arguments(syscall, abi)
    return None if found is None else dict(found)


def flag_names(syscall: str, flags: int | None) -> list[str]:
    """An event's ``flags`` by name; what has none comes last, in hexadecimal. Of ioctl(2) they are its command.

    >>> flag_names("unlinkat", 0x200)
    ['AT_REMOVEDIR']
    >>> flag_names("renameat2", 9)
    ['RENAME_NOREPLACE', '0x8']
    >>> flag_names("ioctl", 0x5000940F)
    ['BTRFS_IOC_SNAP_DESTROY']
    >>> flag_names("rename", None)
    []
    """
    if flags is None:
        return []
    if syscall == "ioctl":
        return [_COMMANDS.get(flags, hex(flags))]
    names, rest = [], flags
    if syscall.startswith("open"):
        names, rest = [_ACCESS_MODES.get(flags & os.O_ACCMODE, "O_ACCMODE")], flags & ~os.O_ACCMODE
        known = _OPEN_FLAGS
    else:
        known = {"renameat2": _RENAME_FLAGS, "fallocate": _MODES}.get(syscall, _AT_FLAGS)
    for flag, bits in known.items():
        if bits and rest & bits == bits:
            names.append(flag)
            rest &= ~bits
    return [*names, hex(rest)] if rest else names
