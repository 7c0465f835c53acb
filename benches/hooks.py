"""Who else hooks system calls: with others attached, no figure here is rawtp's."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Numbers of bpf(2) (include/uapi/linux/bpf.h).
SYS_BPF = {"x86_64": 321, "aarch64": 280}
PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD, TASK_FD_QUERY, LINK_GET_FD_BY_ID, LINK_GET_NEXT_ID = 13, 15, 20, 30, 31
LINK_RAW_TRACEPOINT = 1
TRACEFS = Path("/sys/kernel/tracing")


def others() -> list[str]:
    """What hooks system calls on this host now, one line for each."""
    return [*_links(), *_perf_events(), *_tracefs()]


def _bpf(command: int, attr: ctypes.Array[ctypes.c_char]) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    found: int = libc.syscall(SYS_BPF[platform.machine()], command, attr, len(attr))
    if found < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return found


def _by_id(command: int, number: int) -> int:
    return _bpf(command, ctypes.create_string_buffer(struct.pack("=I", number), 128))


def _info(fd: int, info: ctypes.Array[ctypes.c_char]) -> bytes:
    attr = struct.pack("=IIQ", fd, len(info), ctypes.addressof(info))
    _bpf(OBJ_GET_INFO_BY_FD, ctypes.create_string_buffer(attr, 128))
    return info.raw


def _program_name(number: int) -> str:
    fd = _by_id(PROG_GET_FD_BY_ID, number)
    try:
        # struct bpf_prog_info: name[16] at 64.
        return _info(fd, ctypes.create_string_buffer(96))[64:80].rstrip(b"\0").decode(errors="replace")
    finally:
        os.close(fd)


def _link(fd: int) -> str | None:
    """What a link hooks, when that concerns system calls; ``tp_btf`` links are of this kind, too."""
    # struct bpf_link_info: type, id, prog_id, then for a raw tracepoint a buffer for its name and the buffer's size.
    # For other types these are other things, so that the type is asked first.
    kind, _, program = struct.unpack_from("=III", _info(fd, ctypes.create_string_buffer(64)))
    if kind != LINK_RAW_TRACEPOINT:
        return None
    name = ctypes.create_string_buffer(128)
    _info(fd, ctypes.create_string_buffer(struct.pack("=IIIIQI", 0, 0, 0, 0, ctypes.addressof(name), len(name)), 64))
    if name.value not in (b"sys_enter", b"sys_exit"):
        return None
    return f"the raw tracepoint {name.value.decode()}, by the BPF program {_program_name(program)!r} (id {program})"


def _links() -> Iterator[str]:
    number = 0
    while True:
        attr = ctypes.create_string_buffer(struct.pack("=I", number), 128)
        try:
            _bpf(LINK_GET_NEXT_ID, attr)
        except FileNotFoundError:
            return
        number = struct.unpack_from("=I", attr.raw, 4)[0]
        try:
            fd = _by_id(LINK_GET_FD_BY_ID, number)
        except FileNotFoundError:
            # Gone since.
            continue
        try:
            line = _link(fd)
        finally:
            os.close(fd)
        if line:
            yield line


def _perf_events() -> Iterator[str]:
    """Programs on classic tracepoints, as bpftrace and bcc attach them: found by the descriptors that hold them."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(link.readlink()) != "anon_inode:[perf_event]":
                continue
            pid, fd = int(link.parts[2]), int(link.name)
            name = ctypes.create_string_buffer(128)
            attr = struct.pack("=IIIIQ", pid, fd, 0, len(name), ctypes.addressof(name))
            _bpf(TASK_FD_QUERY, ctypes.create_string_buffer(attr, 128))
            command = Path("/proc", str(pid), "comm").read_text().strip()
        except OSError:
            # Gone since, or a perf event without a program.
            continue
        if name.value.startswith(b"sys_") or name.value.startswith(b"raw_syscalls"):
            yield f"the tracepoint {name.value.decode()}, by {command} (pid {pid})"


def _tracefs() -> Iterator[str]:
    for root in (TRACEFS, *TRACEFS.glob("instances/*")):
        for group in ("raw_syscalls", "syscalls"):
            enable = root / "events" / group / "enable"
            if enable.exists() and enable.read_text().strip() != "0":
                yield f"the tracepoints of {group}, by {enable}"
