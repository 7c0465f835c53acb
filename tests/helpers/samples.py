"""An event for the tests that need no kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rawtp.event import Event

RM: Event = {
    "ts_ns": 1_700_000_000_123_999_999,
    "duration_ns": 5200,
    "cpu": 1,
    "seq": 7,
    "lost": 0,
    "pid": 12345,
    "tid": 12345,
    "ppid": 12000,
    "uid": 1000,
    "gid": 1000,
    "comm": "rm",
    "parent_comm": "bash",
    "exe": "/usr/bin/rm",
    "argv": ("rm", "/tmp/test.txt"),
    "argv_truncated": False,
    "euid": 1000,
    "auid": 1000,
    "session_id": 3,
    "start_ns": 1_700_000_000_100_000_000,
    "ns_pid": 12345,
    "pid_ns": 4026531836,
    "mnt_ns": 4026531832,
    "cgroup_id": 4242,
    "container_id": None,
    "pod_id": None,
    "unit": "session-3.scope",
    "syscall": "unlinkat",
    "abi": "x86_64",
    "via": "syscall",
    "action": "delete",
    "dfd": -100,
    "flags": 0,
    "range_start": None,
    "range_length": None,
    "filename": "/tmp/test.txt",
    "new_filename": None,
    "path": "/tmp/test.txt",
    "new_path": None,
    "path_kind": "absolute",
    "host_path": None,
    "name_status": "ok",
    "ret": 0,
    "errno": None,
    "ancestors": ((12000, "bash"), (1, "systemd")),
}
