"""Any name and any number, through the kernel and back."""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rawtp
from helpers.support import HANG_S

pytestmark = pytest.mark.kernel

SECOND_REGISTER = "regs.si" if os.uname().machine == "x86_64" else "regs.regs[1]"


@pytest.mark.skipif(struct.calcsize("P") != 8, reason="an offset of 64 bits is one register")
def test_any_name_and_any_number() -> None:
    """Names of any bytes, and numbers of 64 bits, come out of the record as they went into the kernel."""
    path = Path(f"/proc/self/task/{threading.get_native_id()}/comm")
    before = path.read_bytes().rstrip(b"\n")
    with rawtp.RawTracepoint("sys_enter", [SECOND_REGISTER], pid=os.getpid()) as calls:

        @settings(max_examples=200, deadline=None)
        @given(name=st.binary(min_size=1, max_size=20), offset=st.integers(-(2**63), 2**63 - 1))
        def check(name: bytes, offset: int) -> None:
            path.write_bytes(name)
            calls.get_many(timeout=0)
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.lseek(-1, offset, os.SEEK_SET)
            batch: list[Any] = [*calls.batch(timeout=HANG_S).to_dicts()]
            found = [
                it for it in batch if it[SECOND_REGISTER] == offset % 2**64 and it["tid"] == threading.get_native_id()
            ]
            assert found
            assert found[0]["comm"] == os.fsdecode(name[:15].partition(b"\0")[0])

        try:
            check()
        finally:
            path.write_bytes(before)
