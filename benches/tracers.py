"""What the tracers under test are asked for."""

from __future__ import annotations

from typing import TypedDict

import rawtp


class _Asked(TypedDict):
    fields: tuple[str, ...]
    results: bool


class Asked(_Asked, total=False):
    """Arguments of a tracer."""

    syscalls: tuple[str, ...]


BASIC_ENTER: Asked = {"fields": rawtp.BASIC_FIELDS, "results": False}
BASIC: Asked = {"fields": rawtp.BASIC_FIELDS, "results": True}
BASIC_LOSS: Asked = {"fields": rawtp.BASIC_FIELDS, "results": True, "syscalls": rawtp.LOSS}
ALL: Asked = {"fields": rawtp.ALL_FIELDS, "results": True}

REAL_PATHS = ("real_path", "new_real_path", "real_path_by")
OF_THE_FILE = (
    *REAL_PATHS,
    *("dev", "ino", "generation", "nlink", "size", "mode", "file_type", "owner", "mtime_ns"),
    *("replaced", "replaced_ino", "replaced_size", "replaced_nlink", "length"),
)
"""The keys that tell what the kernel did, as far as :data:`rawtp.ALL_FIELDS` has them."""
ALL_CLAIMS: Asked = {"fields": tuple(key for key in rawtp.ALL_FIELDS if key not in OF_THE_FILE), "results": True}

# Room for everything that a case makes: what nobody reads costs nobody.
RING_BYTES = 16 << 20
QUEUE_BYTES = 1 << 30


def unread(asked: Asked) -> rawtp.Tracer:
    """A tracer of the whole host that nobody reads."""
    return rawtp.Tracer(**asked, ring_bytes=RING_BYTES, queue_bytes=QUEUE_BYTES)
