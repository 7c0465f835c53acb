"""Programs whose calls seccomp refuses."""

from __future__ import annotations

from rawtp._core import _NATIVE_ABI
from rawtp.syscalls import number

ERRNO, TRAP = 0x50000, 0x30000
"""SECCOMP_RET_ERRNO, where the first argument is the error, and SECCOMP_RET_TRAP (include/uapi/linux/seccomp.h)."""


def refusing(call: str, action: int = ERRNO) -> str:
    """The source of a Python program that has seccomp refuse this call from here on. It leaves `libc` behind."""
    return f"""
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
code = [
    (0x20, 0, 0, 0),  # the number
    (0x15, 0, 3, {number(call, _NATIVE_ABI)}),
    (0x20, 0, 0, 16),  # the first argument
    (0x44, 0, 0, {action}),
    (0x16, 0, 0, 0),
    (0x06, 0, 0, 0x7fff0000),
]
filter = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(filter)))
assert not libc.prctl(38, 1, 0, 0, 0)
assert not libc.prctl(22, 2, program, 0, 0)
"""
