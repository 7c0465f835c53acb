"""Closes the descriptors that keep another process's programs attached, by ptrace(2): its hooks fall silent, and it is
told of nothing. For x86_64 alone."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

ATTACH, DETACH, SINGLESTEP, GETREGS, SETREGS = 16, 17, 9, 12, 13
CLOSE = 3
NAMES = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)


class Registers(ctypes.Structure):
    """``struct user_regs_struct``."""

    _fields_ = [(name, ctypes.c_uint64) for name in NAMES]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, pid: int, data: ctypes.Structure | None = None) -> None:
    address = None if data is None else ctypes.addressof(data)
    if _libc.ptrace(request, pid, None, address) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def attachments(pid: int) -> list[int]:
    """The descriptors of links, and of perf events with programs."""
    found = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        if str(path.readlink()) in {"anon_inode:bpf_link", "anon_inode:[perf_event]"} or "link_type" in (
            Path(f"/proc/{pid}/fdinfo/{path.name}").read_text()
        ):
            found.append(int(path.name))
    return found


def silence(pid: int) -> int:
    """Closes them; how many."""
    fds = attachments(pid)
    _ptrace(ATTACH, pid)
    os.waitpid(pid, 0)
    try:
        before = Registers()
        _ptrace(GETREGS, pid, before)
        # Stopped inside of a call, it stands right behind the instruction.
        with Path(f"/proc/{pid}/mem").open("rb") as memory:
            memory.seek(before.rip - 2)
            assert memory.read(2) == b"\x0f\x05", "it is not in a call"
        for fd in fds:
            changed = Registers.from_buffer_copy(before)
            changed.rip, changed.rax, changed.rdi = before.rip - 2, CLOSE, fd
            # Nothing is to be restarted.
            changed.orig_rax = 2**64 - 1
            _ptrace(SETREGS, pid, changed)
            _ptrace(SINGLESTEP, pid)
            _, status = os.waitpid(pid, 0)
            assert os.WIFSTOPPED(status)
            assert os.WSTOPSIG(status) == signal.SIGTRAP
            _ptrace(GETREGS, pid, changed)
            assert changed.rax == 0, changed.rax
        _ptrace(SETREGS, pid, before)
    finally:
        _ptrace(DETACH, pid)
    return len(fds)
