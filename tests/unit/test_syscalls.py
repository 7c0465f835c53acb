"""Numbers, names and flags, against the kernel's own headers where this machine has them."""

from __future__ import annotations

import doctest
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rawtp.syscalls
from rawtp.syscalls import flag_names, name, number

# linux-libc-dev of Debian and Ubuntu, or the layout of the other distributions.
HEADERS = {
    "x86_64": "unistd_64.h",
    "i386": "unistd_32.h",
    "x32": "unistd_x32.h",
}
X32_BIT = 0x40000000


def header(file: str) -> Path | None:
    places = (Path("/usr/include", place, "asm", file) for place in ("x86_64-linux-gnu", ""))
    return next((path for path in places if path.exists()), None)


@pytest.mark.parametrize("abi", HEADERS)
def test_against_the_kernel_s_headers(abi: str) -> None:
    path = header(HEADERS[abi])
    if path is None:
        pytest.skip(f"no {HEADERS[abi]} here (linux-libc-dev)")
    defined = re.findall(r"#define __NR_(\w+) (?:\(__X32_SYSCALL_BIT \+ )?(\d+)", path.read_text())
    bit = X32_BIT if abi == "x32" else 0
    checked = 0
    for call, digits in defined:
        # x32 has a few calls of its own from 512 on, which the table of x86_64 lacks; and a header may be newer.
        expected = int(digits) | bit
        try:
            found = number(call, abi)
        except ValueError:
            continue
        if abi != "x32" or int(digits) < 512:
            assert (found, name(expected, abi)) == (expected, call)
            checked += 1
    assert checked > 300
    for call in rawtp.DELETE + rawtp.RENAME:
        assert (call, str(number(call, abi) & ~bit)) in defined


def test_the_examples() -> None:
    done = doctest.testmod(rawtp.syscalls)
    assert (done.failed, done.attempted) == (0, 7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: number("unlnk"), "has no system call 'unlnk'"),
        (lambda: number("unlink", "aarch64"), "aarch64 has no system call 'unlink'"),
        (lambda: number("unlink", "mips"), 'unknown ABI "mips": there are x86_64, x32, i386, aarch64, arm'),
        (lambda: name(100_000, "x86_64"), "x86_64 has no system call 100000"),
        (lambda: name(-1, "x86_64"), "x86_64 has no system call -1"),
        (lambda: name(1 << 40, "x86_64"), "x86_64 has no system call 1099511627776"),
        (lambda: name(263, "x32"), "x32 has no system call 263"),
    ],
)
def test_what_there_is_not(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_flags() -> None:
    assert flag_names("unlinkat", 0) == []
    assert flag_names("openat", os.O_RDWR | os.O_TRUNC | os.O_CLOEXEC) == ["O_RDWR", "O_CLOEXEC", "O_TRUNC"]
    assert flag_names("open", os.O_WRONLY | os.O_SYNC) == ["O_WRONLY", "O_SYNC"]
    assert flag_names("renameat2", 7) == ["RENAME_NOREPLACE", "RENAME_EXCHANGE", "RENAME_WHITEOUT"]
    assert flag_names("fallocate", 0x83) == [*("FALLOC_FL_KEEP_SIZE", "FALLOC_FL_PUNCH_HOLE", "FALLOC_FL_WRITE_ZEROES")]
    assert flag_names("open_by_handle_at", os.O_WRONLY | os.O_TRUNC) == ["O_WRONLY", "O_TRUNC"]
    assert flag_names("mq_unlink", None) == []


def test_commands_of_ioctl() -> None:
    known = {
        0x5000940F: "BTRFS_IOC_SNAP_DESTROY",
        0x5000943F: "BTRFS_IOC_SNAP_DESTROY_V2",
        0x4030582B: "FS_IOC_UNRESVSP64",
        0x402C5829: "FS_IOC_UNRESVSP_32",
        0x402C5839: "FS_IOC_ZERO_RANGE_32",
        0x40305825: "XFS_IOC_FREESP64",
    }
    assert [flag_names("ioctl", command) for command in known] == [[name] for name in known.values()]
    assert flag_names("ioctl", 0x5401) == ["0x5401"]


@given(st.sampled_from(["open", "unlinkat", "renameat2", "rename", "fallocate", "ioctl"]), st.integers(0, 2**32 - 1))
def test_any_flags_have_names(call: str, flags: int) -> None:
    names = flag_names(call, flags)
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Z0-9_]+|0x[0-9a-f]+", text) for text in names)
