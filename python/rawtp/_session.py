"""A description of the host and of a tracer, for the first JSON line and for the events of other schemas."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Arguments of a tracer that are described under their own names. All others are filters.
_NO_FILTERS = (
    "syscalls",
    "when",
    "exclude",
    "buffers",
    "fields",
    "results",
    "hook",
    "ring_bytes",
    "queue_bytes",
    "broker",
)


def host() -> dict[str, object]:
    """Describe this host; None stands for what it does not say."""
    from rawtp._core import __version__

    system = os.uname()
    return {
        "version": __version__,
        "host": system.nodename,
        "machine_id": _line("/etc/machine-id"),
        "boot_id": _line("/proc/sys/kernel/random/boot_id"),
        "kernel": system.release,
        "architecture": system.machine,
    }


def described(asked: Mapping[str, object], coverage: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    """Describe this host, now, and a tracer: its arguments and its coverage."""
    filters = {key: value for key, value in asked.items() if key not in _NO_FILTERS and value is not None}
    return {
        **host(),
        "pid": os.getpid(),
        "start_ns": time.time_ns(),
        "syscalls": asked["syscalls"],
        "filters": filters,
        "fields": asked["fields"],
        "hook": coverage["syscalls"]["hook"],
        "coverage": coverage,
        "ring_bytes": asked["ring_bytes"],
        "queue_bytes": asked["queue_bytes"],
    }


def _line(path: str) -> str | None:
    try:
        with open(path, errors="replace") as file:  # noqa: PTH123 - pathlib takes longer to import than all else here
            return file.read().strip() or None
    except OSError:
        return None
