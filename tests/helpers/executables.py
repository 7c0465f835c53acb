"""Programs in files that are made by hand."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from rawtp._core import _NATIVE_ABI

if TYPE_CHECKING:
    from pathlib import Path


def program_without_room(path: Path) -> Path:
    """The kernel finds only after the exec has ended the other threads that it cannot map its second segment."""
    bytes_, base, beyond = 64 + 2 * 56, 0x400000, 0x7FFFFFFFFF000000
    machine = {"x86_64": 62, "aarch64": 183}[_NATIVE_ABI]
    head = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, base + 64, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = [struct.pack("<IIQQQQQQ", 1, 5, 0, at, at, bytes_, bytes_, 0x1000) for at in (base, beyond)]
    path.write_bytes(b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + head + b"".join(segments))
    path.chmod(0o755)
    return path
