"""Records its own deletions into ``argv[1]``, and prints up to which number they are acknowledged. It goes on whenever
a line is given. With ``lies`` as ``argv[2]`` the kernel says that it has flushed, and flushes nothing.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from contextlib import suppress

import rawtp

CALLS = {"x86_64": (74, 75), "aarch64": (82, 83)}  # fsync, fdatasync
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


def lie() -> None:
    """Has these calls return 0 at once: a seccomp filter whose errno is 0."""
    code = [struct.pack("<HBBI", 0x20, 0, 0, 0)]  # the number of the call
    calls = CALLS[platform.machine()]
    for at, call in enumerate(calls):
        code.append(struct.pack("<HBBI", 0x15, len(calls) - at, 0, call))  # equal: to the end
    code += [struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000), struct.pack("<HBBI", 0x06, 0, 0, 0x00050000)]
    text = ctypes.create_string_buffer(b"".join(code))
    program = struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(text))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    assert prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0, os.strerror(ctypes.get_errno())


def main() -> None:
    if sys.argv[2:] == ["lies"]:
        lie()
    number = 0
    with (
        rawtp.Tracer(rawtp.LOSS, pid=os.getpid()) as tracer,
        rawtp.Recorder(tracer, sys.argv[1], sync_s=0.05, segment_bytes=65_536, segment_s=0.5) as recorder,
    ):
        print(number, flush=True)
        while sys.stdin.readline():
            for _ in range(20):
                number += 1
                with suppress(FileNotFoundError):
                    os.unlink(f"/nonexistent/rawtp-power/{number}")  # noqa: PTH108
            recorder.sync(60)
            print(number, flush=True)


main()
