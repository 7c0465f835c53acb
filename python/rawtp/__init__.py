"""Which process deleted my file?

A :class:`Tracer` watches the deletions of every process on this host, live, and yields each as a plain dict::

    import rawtp

    with rawtp.Tracer() as tracer:
        for event in tracer:
            print(event["pid"], event["comm"], event["filename"], event["errno"])

It needs Linux 5.10 or later with BTF, and CAP_BPF and CAP_PERFMON (root has both).
"""

import sys as _sys

if not _sys.platform.startswith("linux"):
    raise ImportError(f"rawtp attaches BPF programs to the Linux kernel; this is {_sys.platform}")

from rawtp import syscalls
from rawtp._core import (
    ALL_FIELDS,
    DELETE,
    RENAME,
    TRUNCATE,
    LoadError,
    RawtpError,
    Stats,
    Tracer,
    UnsupportedKernelError,
    __version__,
)
from rawtp.event import Event

BASIC_FIELDS = tuple(key for key in ALL_FIELDS if key not in {"path", "new_path", "path_kind", "host_path"})
"""The keys that the call itself brings: without those that need the directories looked up."""

__all__ = [
    "ALL_FIELDS",
    "BASIC_FIELDS",
    "DELETE",
    "RENAME",
    "TRUNCATE",
    "Event",
    "LoadError",
    "RawtpError",
    "Stats",
    "Tracer",
    "UnsupportedKernelError",
    "__version__",
    "syscalls",
]
