"""Events for the tests that need no kernel."""

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
    "fsuid": 1000,
    "fsgid": 1000,
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
    "real_path": "/tmp/test.txt",
    "new_real_path": None,
    "real_path_by": "kernel",
    "dev": 0x801,
    "ino": 131074,
    "generation": 3735928559,
    "nlink": 1,
    "size": 4096,
    "mode": 0o100644,
    "file_type": "file",
    "owner": 1000,
    "mtime_ns": 1_699_999_999_000_000_001,
    "replaced": None,
    "replaced_ino": None,
    "replaced_size": None,
    "replaced_nlink": None,
    "length": None,
    "exchange": False,
    "name_status": "ok",
    "ret": 0,
    "errno": None,
    "ancestors": ((12000, "bash", ("bash", "./clean.sh")), (1, "systemd", None)),
    "parent_argv": ("bash", "./clean.sh"),
    "cwd": "/home/me",
    "user": "me",
    "login": "me",
    "freed": True,
    "args": {"dirfd": -100, "pathname": "file", "flags": None},
}

WITHOUT_FACTS: Event = {
    **RM,
    "real_path": None,
    "real_path_by": None,
    "dev": None,
    "ino": None,
    "generation": None,
    "nlink": None,
    "size": None,
    "mode": None,
    "file_type": None,
    "owner": None,
    "mtime_ns": None,
}
"""The same deletion where the kernel's own functions cannot be watched, and the path was not found either."""

LINKED: Event = {
    **RM,
    "filename": "link/x",
    "path": "/home/me/link/x",
    "path_kind": "cwd",
    "real_path": "/srv/data/x",
    "real_path_by": "lookup",
}
"""A deletion by a name that leads through a symbolic link."""

MOVED: Event = {
    **RM,
    "comm": "mv",
    "syscall": "renameat2",
    "action": "rename",
    "filename": "/srv/new",
    "path": "/srv/new",
    "real_path": "/srv/new",
    "new_filename": "/srv/db",
    "new_path": "/srv/db",
    "new_real_path": "/srv/db",
    "replaced": True,
    "replaced_ino": 131080,
    "replaced_size": 1_572_864,
    "replaced_nlink": 1,
}
"""A rename that replaced a file."""

EXCHANGED: Event = {
    **MOVED,
    "flags": 2,
    "replaced": False,
    "replaced_ino": None,
    "replaced_size": None,
    "replaced_nlink": None,
    "exchange": True,
}
"""A rename that exchanged two files."""

EMPTIED: Event = {
    **RM,
    "comm": "truncate",
    "syscall": "ftruncate",
    "action": "truncate",
    "dfd": 3,
    "flags": None,
    "filename": None,
    "path": "/var/log/app.log",
    "path_kind": "dirfd",
    "real_path": "/var/log/app.log",
    "length": 0,
}
"""A truncation that took all of a file."""

PUNCHED: Event = {
    **EMPTIED,
    "comm": "fallocate",
    "syscall": "fallocate",
    "action": "punch",
    "flags": 3,
    "range_start": 8192,
    "range_length": 4096,
    "length": None,
}
"""A hole in a file."""
