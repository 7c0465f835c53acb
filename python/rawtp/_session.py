"""A description of the host and of a tracer, for the first JSON line and for the events of other schemas."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_BYTES = 4096

# Arguments of a tracer that are described under their own names. All others are filters.
_NO_FILTERS = (
    "_from_exec",
    "syscalls",
    "when",
    "exclude",
    "buffers",
    "fields",
    "results",
    "hook",
    "ring_bytes",
    "queue_bytes",
    "root",
    "broker",
)


def host(root: str = "/") -> dict[str, object]:
    """Describe the host, whose root is mounted at ``root``; None stands for what it does not say."""
    from rawtp import _root
    from rawtp._core import __version__

    system = os.uname()
    return {
        "version": __version__,
        "host": system.nodename,
        "machine_id": _text(_root.read(root, "/etc/machine-id", _MAX_BYTES)),
        "boot_id": _text(_root.read("/", "/proc/sys/kernel/random/boot_id", _MAX_BYTES)),
        "kernel": system.release,
        "architecture": system.machine,
    }


def described(asked: Mapping[str, object], coverage: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Describe the host, now, and a tracer: its arguments and its coverage."""
    root = os.fsdecode(asked.get("root", "/"))  # type: ignore[arg-type]
    filters = {key: value for key, value in asked.items() if key not in _NO_FILTERS and value is not None}
    return {
        **host(root),
        "pid": os.getpid(),
        "start_ns": time.time_ns(),
        "syscalls": asked["syscalls"],
        "filters": filters,
        "fields": asked["fields"],
        "hook": coverage["syscalls"]["hook"],
        "coverage": coverage,
        "ring_bytes": asked["ring_bytes"],
        "queue_bytes": asked["queue_bytes"],
        "root": root,
    }


def _text(content: bytes | None) -> str | None:
    return (content or b"").decode(errors="replace").strip() or None
