"""A filesystem in user space in which every name exists: those that begin with a ``d`` are directories.

The kernel's protocol (include/uapi/linux/fuse.h), as far as chdir(2) and unlink(2) need it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOOKUP, _FORGET, _GETATTR, _UNLINK, _RMDIR, _INIT, _INTERRUPT, _BATCH_FORGET = 1, 2, 3, 10, 11, 26, 36, 42
_DIRECTORY, _FILE = 0o40755, 0o100644
_LIBC = ctypes.CDLL(None, use_errno=True)


def _attributes(node: int, mode: int) -> bytes:
    return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 512, 0)


class _Server:
    def __init__(self, device: int) -> None:
        self.device = device
        self.modes = {1: _DIRECTORY}
        self.nodes: dict[tuple[int, bytes], int] = {}

    def answer(self, opcode: int, node: int, body: bytes) -> bytes | int | None:
        """The answer's body, the number of an error, or ``None`` where none is awaited."""
        if opcode == _INIT:
            return struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 0, 0, 4096, 0, 0, 0, *[0] * 8)
        if opcode in {_FORGET, _BATCH_FORGET, _INTERRUPT}:
            return None
        if opcode == _LOOKUP:
            name = body.rstrip(b"\0")
            found = self.nodes.setdefault((node, name), len(self.nodes) + 2)
            self.modes[found] = _DIRECTORY if name.startswith(b"d") else _FILE
            return struct.pack("<4Q2I", found, 0, 60, 60, 0, 0) + _attributes(found, self.modes[found])
        if opcode == _GETATTR:
            return struct.pack("<Q2I", 60, 0, 0) + _attributes(node, self.modes[node])
        if opcode in {_UNLINK, _RMDIR}:
            return b""
        return errno.ENOSYS

    def run(self) -> None:
        while True:
            try:
                request = os.read(self.device, 1 << 17)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                if error.errno in {errno.ENOENT, errno.EINTR, errno.EAGAIN}:
                    continue
                raise
            _, opcode, unique, node = struct.unpack_from("<2I2Q", request)
            answer = self.answer(opcode, node, request[40:])
            if answer is None:
                continue
            failed = answer if isinstance(answer, int) else 0
            body = b"" if isinstance(answer, int) else answer
            os.write(self.device, struct.pack("<IiQ", 16 + len(body), -failed, unique) + body)


@contextmanager
def served(directory: Path) -> Iterator[Path]:
    """Mounts it in ``directory``, and gives where."""
    mount = directory / "served"
    mount.mkdir()
    try:
        device = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no FUSE here: {error.strerror}")
    try:
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
        if _LIBC.mount(b"rawtp-test", os.fsencode(mount), b"fuse", 0, options):
            pytest.skip(f"no FUSE here: {os.strerror(ctypes.get_errno())}")
        thread = threading.Thread(target=_Server(device).run, daemon=True)
        thread.start()
        try:
            yield mount
        finally:
            assert _LIBC.umount2(os.fsencode(mount), 2) == 0  # MNT_DETACH
            thread.join(timeout=10)
    finally:
        os.close(device)
